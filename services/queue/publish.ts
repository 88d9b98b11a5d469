/** Publishing, once: deduplication keys within the queue's window, request ids for a day. */
import { createHash } from "node:crypto";
import { alreadyExists, invalidArgument } from "#mesh/errors.ts";
import type { Queryable } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { Backend } from "./backend.ts";
import { type Claim, claimKeys } from "./deduplication-store.ts";
import type { Content, NewMessage, Queue } from "./queue.ts";

/** A message as it was asked for. */
export interface Draft extends Content {
  /** Milliseconds since the epoch; undefined means now. */
  readonly dueTime: number | undefined;
  /** Empty without. */
  readonly deduplicationKey: string;
}

/** What makes a Publish idempotent. */
export interface RequestKey {
  readonly caller: string;
  /** In lower case. */
  readonly requestId: string;
}

/** What became of a message. */
export interface Published {
  readonly messageId: string;
  readonly duplicate: boolean;
}

/** How long a request id is remembered. */
const requestWindowMs = 86_400_000;

/**
 * Publishes drafts, except those that came before. The results are in their order.
 *
 * @throws INVALID_ARGUMENT naming ordering_key in a queue without order; ALREADY_EXISTS for a request id that came with other content.
 */
export async function publishAll(
  backend: Backend,
  queue: Queue,
  drafts: readonly Draft[],
  request: RequestKey | undefined,
  now: number,
): Promise<Published[]> {
  if (!queue.ordered && drafts.some(({ orderingKey }) => orderingKey !== "")) {
    const description = `expected none, since queue ${JSON.stringify(queue.name)} keeps no order: make one with ORDER_PER_KEY`;
    throw invalidArgument([{ field: "message.ordering_key", description }]);
  }
  const messages = drafts.map((draft) => toMessage(draft, now));
  let results: Published[] = messages.map(({ id }) => ({ messageId: id, duplicate: false }));
  const keyed = request !== undefined || drafts.some(({ deduplicationKey }) => deduplicationKey !== "");
  if (!keyed) await backend.publish(queue, messages);
  else {
    await backend.publish(queue, messages, async (tx) => {
      results = await claim(tx, queue, drafts, messages, request, now);
      return messages.filter((_, index) => results[index]?.duplicate === false);
    });
  }
  return results;
}

async function claim(
  tx: Queryable,
  queue: Queue,
  drafts: readonly Draft[],
  messages: readonly NewMessage[],
  request: RequestKey | undefined,
  now: number,
): Promise<Published[]> {
  const ids = messages.map(({ id }) => id);
  if (request !== undefined) {
    const repeated = await claimRequest(tx, queue.id, drafts, ids[0] ?? "", request, now);
    if (repeated !== undefined) return drafts.map(() => ({ messageId: repeated, duplicate: true }));
  }
  const claims = new Map<string, Claim>();
  drafts.forEach(({ deduplicationKey }, index) => {
    const key = `key:${deduplicationKey}`;
    const messageId = ids[index];
    // The first of a batch wins.
    if (deduplicationKey === "" || messageId === undefined || claims.has(key)) return;
    claims.set(key, { key, messageId, contentHash: undefined, expireTime: now + queue.deduplicationMs });
  });
  const taken = await claimKeys(tx, queue.id, [...claims.values()], now);
  const results = drafts.map(({ deduplicationKey }, index) => {
    const key = `key:${deduplicationKey}`;
    const own = ids[index] ?? "";
    const messageId = taken.get(key)?.messageId ?? claims.get(key)?.messageId ?? own;
    return { messageId, duplicate: messageId !== own };
  });
  const [only] = results;
  // A repeat of this request is to be told of the message that is there.
  if (request !== undefined && only?.duplicate === true) {
    await tx.query("UPDATE deduplication SET message_id = $3 WHERE queue_id = $1 AND key = $2", [
      ...[queue.id, requestKey(request), only.messageId],
    ]);
  }
  return results;
}

/** The message of the same request before, if there was one. */
async function claimRequest(
  tx: Queryable,
  queueId: string,
  drafts: readonly Draft[],
  messageId: string,
  request: RequestKey,
  now: number,
): Promise<string | undefined> {
  const key = requestKey(request);
  const contentHash = fingerprint(drafts.map((draft) => ({ ...draft, headers: Object.entries(draft.headers).sort() })));
  const taken = await claimKeys(tx, queueId, [{ key, messageId, contentHash, expireTime: now + requestWindowMs }], now);
  const before = taken.get(key);
  if (before !== undefined && before.contentHash !== contentHash) {
    throw alreadyExists(`request_id ${JSON.stringify(request.requestId)} came before with other content`);
  }
  return before?.messageId;
}

/** SHA-256 in hex of a JSON value. */
export function fingerprint(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

function requestKey({ caller, requestId }: RequestKey): string {
  return `request:${caller}:${requestId}`;
}

function toMessage({ data, headers, priority, orderingKey, dueTime }: Draft, now: number): NewMessage {
  const due = dueTime !== undefined && dueTime > now ? dueTime : undefined;
  return { id: uuidv7(now), data, headers, priority, orderingKey, publishTime: now, dueTime: due };
}
