/** Making and changing queues. */
import { alreadyExists, internal, resourceExhausted } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { mayUseAll, ownerOf, type Who } from "./access.ts";
import type { Backend } from "./backend.ts";
import { mistake } from "./messages.ts";
import { fingerprint } from "./publish.ts";
import type { Queue, QueueRules } from "./queue.ts";
import { countQueues, findQueue, insertQueue, queueOfRequest, updateQueue } from "./store.ts";

/** What it works with. */
export interface ManageParts {
  readonly db: Database;
  readonly backend: Backend;
  readonly clock: () => number;
  readonly maxQueues: number;
}

/** A queue to make. */
export type AskedQueue = QueueRules & { readonly name: string; readonly ordered: boolean };

/**
 * Makes a queue that belongs to the caller. The same request again answers with the queue that it made; `requestId` may be "".
 *
 * @throws ALREADY_EXISTS when the name is taken, or when the request id came with other rules; RESOURCE_EXHAUSTED beyond the owner's number.
 */
export async function makeQueue(parts: ManageParts, who: Who, asked: AskedQueue, requestId: string): Promise<Queue> {
  const { db, backend, clock, maxQueues } = parts;
  const owner = ownerOf(who);
  assertKeepable(backend, asked);
  const by = { caller: owner, requestId: requestId === "" ? undefined : requestId, contentHash: fingerprint(asked) };
  const before = await beforeOf(db, by, asked.name);
  if (before !== undefined) return before;
  if (!mayUseAll(who) && (await countQueues(db, owner)) >= maxQueues) {
    throw resourceExhausted(`expected at most ${maxQueues} queues of one owner: delete some`, 60_000);
  }
  const now = clock();
  const queue: Queue = { ...asked, id: uuidv7(now), owner, createTime: now, updateTime: now };
  // The backend first: whoever finds the queue can use it.
  await backend.create(queue);
  if (await db.transaction((tx) => insertQueue(tx, queue, by))) return queue;
  await backend.remove(queue);
  const faster = await beforeOf(db, by, asked.name);
  if (faster === undefined) throw internal(new Error("a queue was neither stored nor there"));
  return faster;
}

/** Changes rules. */
export async function changeQueue({ db, backend, clock }: ManageParts, queue: Queue, rules: Partial<QueueRules>): Promise<Queue> {
  assertKeepable(backend, { ...queue, ...rules });
  const now = clock();
  await db.transaction((tx) => updateQueue(tx, queue.id, rules, now));
  return { ...queue, ...rules, updateTime: now };
}

async function beforeOf(
  db: Database,
  { caller, requestId, contentHash }: { caller: string; requestId: string | undefined; contentHash: string },
  name: string,
): Promise<Queue | undefined> {
  const before = requestId === undefined ? undefined : await queueOfRequest(db, caller, requestId);
  if (before?.contentHash === contentHash) return before.queue;
  if (before !== undefined) throw alreadyExists(`request_id ${JSON.stringify(requestId)} came before with another queue`);
  if ((await findQueue(db, name)) !== undefined) throw alreadyExists(`queue ${JSON.stringify(name)} exists`);
  return undefined;
}

function assertKeepable(backend: Backend, { visibilityMs }: Pick<QueueRules, "visibilityMs">): void {
  if (visibilityMs <= backend.maxVisibilityMs) return;
  throw mistake("queue.visibility_timeout", `expected at most ${backend.maxVisibilityMs / 1000}s with this backend`);
}
