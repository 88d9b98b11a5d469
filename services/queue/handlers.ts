/** The contract's methods: who may, then what; messages to domain values and back. */
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import type { Meter } from "@opentelemetry/api";
import { QueueService } from "#gen/queue/v1/queue_pb.ts";
import { currentContext } from "#mesh/context.ts";
import { failedPrecondition, from, notFound } from "#mesh/errors.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import type { Database } from "#mesh/storage/database.ts";
import { badPageToken, decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import { assertMay, may, mayCreate, mayUseAll, ownerOf, type Right, type Who } from "./access.ts";
import type { Backend } from "./backend.ts";
import * as letters from "./dead-letter-store.ts";
import { changeQueue, makeQueue } from "./manage.ts";
import * as form from "./messages.ts";
import { type Draft, publishAll } from "./publish.ts";
import { pull } from "./pull.ts";
import { maxAnswerWeight, type Queue, weightOf } from "./queue.ts";
import { deleteQueue, findQueue, listQueues } from "./store.ts";
import { subscription } from "./subscription.ts";
import type { WaitingRoom } from "./waiting-room.ts";

/** What the handlers work with. */
export interface HandlerParts {
  readonly db: Database;
  readonly backend: Backend;
  readonly room: WaitingRoom;
  readonly clock: () => number;
  readonly meter: Meter;
  /** How many queues one user may own. */
  readonly maxQueues: number;
}

/** Milliseconds before the call's deadline at which a wait ends, so that the answer "none" still arrives. */
const marginMs = 300;

/** The contract and its methods. */
export function queueHandlers({ db, backend, room, clock, meter, maxQueues }: HandlerParts): Implementation {
  const published = meter.createCounter("heddle_queue_published", { description: "messages published" });
  const delivered = meter.createCounter("heddle_queue_delivered", { description: "messages delivered, again included" });
  const settled = meter.createCounter("heddle_queue_settled", { description: "deliveries settled, by how" });

  /** The queue, for one who may. */
  async function queueFor(who: Who, right: Right, name: string): Promise<Queue> {
    const queue = await findQueue(db, name);
    if (queue === undefined) throw notFound("queue", name);
    assertMay(who, right, queue);
    return queue;
  }

  /** As queueFor, but makes a queue that is missing. */
  async function queueToPublish(who: Who, name: string): Promise<Queue> {
    if (mayCreate(who) && (await findQueue(db, name)) === undefined) {
      const asked = { ...form.defaultRules, name, ordered: false };
      await makeQueue({ db, backend, clock, maxQueues }, who, asked, "").catch((error: unknown) => {
        // Somebody else made it at the same time: then it is theirs, and their grants count.
        if (from(error).code !== Code.AlreadyExists) throw error;
      });
    }
    return queueFor(who, "publish", name);
  }

  async function publish(queue: Queue, drafts: readonly Draft[], who: Who, requestId: string) {
    const request = requestId === "" ? undefined : { caller: ownerOf(who), requestId: requestId.toLowerCase() };
    const results = await publishAll(backend, queue, drafts, request, clock());
    published.add(results.filter(({ duplicate }) => !duplicate).length);
    return results;
  }

  /** The tokens that were not open. @throws FAILED_PRECONDITION when none was. */
  function expiredOf(tokens: readonly string[], open: ReadonlySet<string>, how: string): string[] {
    const expired = tokens.filter((token) => !open.has(token));
    settled.add(tokens.length - expired.length, { how });
    if (expired.length < tokens.length) return expired;
    const which = tokens.length === 1 ? "the delivery is" : "the deliveries are";
    throw failedPrecondition("DELIVERY_EXPIRED", `${which} not open any more: the time passed, or it was settled before`);
  }

  function visibility(asked: Parameters<typeof form.wholeSeconds>[0] | undefined, queue: Queue): number {
    const ms = asked === undefined ? queue.visibilityMs : form.wholeSeconds(asked, "visibility_timeout");
    if (ms > backend.maxVisibilityMs && asked !== undefined) {
      throw form.mistake("visibility_timeout", `expected at most ${backend.maxVisibilityMs / 1000}s with this backend`);
    }
    return Math.min(ms, backend.maxVisibilityMs);
  }

  return implement(QueueService, {
    async publish({ requestId, queue: name, message }) {
      const who = currentWho();
      const draft = form.toDraft(message, "message", clock());
      const [result] = await publish(await queueToPublish(who, name), [draft], who, requestId);
      return result ?? {};
    },

    async publishBatch({ queue: name, messages }) {
      const who = currentWho();
      const drafts = messages.map((message, index) => form.toDraft(message, `messages[${index}]`, clock()));
      return { results: await publish(await queueToPublish(who, name), drafts, who, "") };
    },

    async pull({ queue: name, maxMessages, wait, visibilityTimeout }) {
      const queue = await queueFor(currentWho(), "consume", name);
      const context = currentContext();
      const until = Math.min(
        clock() + (wait === undefined ? 0 : durationMs(wait)),
        (context?.deadline ?? Number.POSITIVE_INFINITY) - marginMs,
      );
      const signal = context?.signal ?? new AbortController().signal;
      const wanted = { queue, max: maxMessages || 1, visibilityMs: visibility(visibilityTimeout, queue), until, signal };
      const deliveries = await pull(backend, room, wanted, clock);
      delivered.add(deliveries.length);
      return { deliveries: deliveries.map(form.fromDelivery) };
    },

    async ack({ queue: name, ackTokens }) {
      const queue = await queueFor(currentWho(), "consume", name);
      return { expiredTokens: expiredOf(ackTokens, await backend.ack(queue, ackTokens), "ack") };
    },

    async nack({ queue: name, ackTokens, delay, reason }) {
      const queue = await queueFor(currentWho(), "consume", name);
      const open = await backend.nack(queue, ackTokens, delay === undefined ? 0 : durationMs(delay), reason);
      return { expiredTokens: expiredOf(ackTokens, open, "nack") };
    },

    async extendVisibility({ queue: name, ackTokens, visibilityTimeout }) {
      const queue = await queueFor(currentWho(), "consume", name);
      const open = await backend.extend(queue, ackTokens, visibility(visibilityTimeout, queue));
      return { expiredTokens: expiredOf(ackTokens, open, "extend") };
    },

    async getStats({ queue: name }) {
      const queue = await queueFor(currentWho(), "see", name);
      const [counts, dead] = await Promise.all([backend.count(queue), letters.countDeadLetters(db, queue.id)]);
      const { ready, inFlight, scheduled } = counts;
      const numbers = { ready: BigInt(ready), inFlight: BigInt(inFlight), scheduled: BigInt(scheduled), dead: BigInt(dead) };
      return { queue: name, ...numbers, backend: backend.name };
    },

    async listQueues({ pageSize, pageToken }) {
      const who = currentWho();
      const after = decodePageToken(pageToken);
      if (after !== undefined && after.length !== 1) throw badPageToken();
      const size = pageSize || defaultPageSize;
      const userId = mayUseAll(who) ? undefined : ownerOf(who);
      const found = await listQueues(db, { userId, size: size + 1, after: after?.[0] });
      // A grant of nothing shows nothing.
      const page = found.slice(0, size);
      const last = page.at(-1);
      const nextPageToken = found.length > size && last !== undefined ? encodePageToken([last.name]) : "";
      const shown = page.filter((queue) => may(who, "see", queue));
      return { queues: shown.map((queue) => form.fromQueue(queue, may(who, "manage", queue))), nextPageToken };
    },

    async getQueue({ name }) {
      const who = currentWho();
      const queue = await queueFor(who, "see", name);
      return { queue: form.fromQueue(queue, may(who, "manage", queue)) };
    },

    async createQueue({ requestId, queue }) {
      if (queue === undefined) throw form.mistake("queue", "expected a queue");
      const made = await makeQueue({ db, backend, clock, maxQueues }, currentWho(), form.toRules(queue), requestId.toLowerCase());
      return { queue: form.fromQueue(made, true) };
    },

    async updateQueue({ queue: asked, updateMask }) {
      if (asked === undefined) throw form.mistake("queue", "expected a queue");
      const queue = await queueFor(currentWho(), "manage", asked.name);
      const rules = form.maskedRules(form.toRules(asked), updateMask?.paths ?? []);
      return { queue: form.fromQueue(await changeQueue({ db, backend, clock, maxQueues }, queue, rules), true) };
    },

    async deleteQueue({ name }) {
      const queue = await queueFor(currentWho(), "manage", name);
      // The messages first: a repeat after a failure in between finds the queue, and completes.
      await backend.remove(queue);
      await deleteQueue(db, queue.id);
      return {};
    },

    async purge({ queue: name, deadLetters }) {
      const queue = await queueFor(currentWho(), "manage", name);
      const waiting = await backend.purge(queue);
      return { purged: BigInt(waiting + (deadLetters ? await letters.purgeDeadLetters(db, queue.id) : 0)) };
    },

    async listDeadLetters({ queue: name, pageSize, pageToken }) {
      const queue = await queueFor(currentWho(), "consume", name);
      const position = positionOf(pageToken);
      const after = position === undefined ? undefined : { deadTime: position.time, messageId: position.id };
      const size = pageSize || defaultPageSize;
      const page = pageOf(
        await letters.listDeadLetters(db, queue.id, { size: size + 1, after }),
        size,
        ({ deadTime }) => deadTime,
      );
      return { deadLetters: page.items.map(form.fromDeadLetter), nextPageToken: page.nextPageToken };
    },

    async redrive({ queue: name, messageIds, maxMessages }) {
      const queue = await queueFor(currentWho(), "manage", name);
      let redriven = 0;
      await backend.publish(queue, [], async (tx) => {
        const taken = await letters.takeDeadLetters(tx, queue.id, messageIds, maxMessages || 1000);
        redriven = taken.length;
        return taken.map(({ messageId, deliveryCount: _count, reason: _reason, deadTime: _time, ...same }) => {
          return { ...same, id: messageId, dueTime: undefined };
        });
      });
      return { redriven };
    },

    async listScheduled({ queue: name, pageSize, pageToken }) {
      const queue = await queueFor(currentWho(), "publish", name);
      const position = positionOf(pageToken);
      const after = position === undefined ? undefined : { dueTime: position.time, messageId: position.id };
      const size = pageSize || defaultPageSize;
      const page = pageOf(await backend.listScheduled(queue, size + 1, after), size, ({ dueTime }) => dueTime);
      return { messages: page.items.map(form.fromScheduled), nextPageToken: page.nextPageToken };
    },

    async cancelScheduled({ queue: name, messageId }) {
      const queue = await queueFor(currentWho(), "publish", name);
      const found = await backend.cancelScheduled(queue, messageId.toLowerCase());
      if (!found) throw notFound("scheduled message", messageId);
      return {};
    },

    subscribe(requests, { signal }) {
      // No generator: the context of the call is here now.
      const who = currentWho();
      const said = (async function* () {
        for await (const request of requests) yield form.toSaid(request);
      })();
      const expiresAt = who.principal?.expiresAt ?? Number.POSITIVE_INFINITY;
      const queueOf = (name: string) => queueFor(who, "consume", name);
      const heard = subscription(said, { backend, room, clock, queueOf, expiresAt, signal });
      return (async function* () {
        for await (const one of heard) {
          if (one.kind === "delivery") delivered.add(1);
          else settled.add(one.settled.length, { how: "stream" });
          yield form.fromHeard(one, clock());
        }
      })();
    },
  });
}

function currentWho(): Who {
  return currentContext() ?? { principal: undefined, caller: undefined };
}

/** A page's first items, as many as fit into an answer, and where the next page begins. */
function pageOf<T extends { readonly messageId: string; readonly data: string }>(
  found: readonly T[],
  size: number,
  timeOf: (item: T) => number,
): { readonly items: readonly T[]; readonly nextPageToken: string } {
  let fit = 0;
  for (let weight = 0; fit < Math.min(size, found.length); fit++) {
    weight += weightOf(found[fit]?.data ?? "");
    if (weight > maxAnswerWeight && fit > 0) break;
  }
  const items = found.slice(0, fit);
  const last = items.at(-1);
  const more = found.length > items.length && last !== undefined;
  return { items, nextPageToken: more ? encodePageToken([timeOf(last), last.messageId]) : "" };
}

function positionOf(token: string): { readonly time: number; readonly id: string } | undefined {
  const parts = decodePageToken(token);
  if (parts === undefined) return undefined;
  const [time = "", id = ""] = parts;
  if (parts.length !== 2 || !/^\d{1,15}$/.test(time) || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id))
    throw badPageToken();
  return { time: Number(time), id };
}
