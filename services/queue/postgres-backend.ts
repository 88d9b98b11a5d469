/**
 * The backend over PostgreSQL, by pg-boss. Its jobs are the messages: insert and fetch with priorities, schedules and strict order per key are
 * its own; acknowledging, giving back, expiry and dead letters are job-store.ts, in transactions with the service's tables.
 */
import type { JobWithMetadata } from "pg-boss";
import type { Logger } from "pino";
import { notFound } from "#mesh/errors.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { codeOf } from "#mesh/storage/sql-error.ts";
import type { Backend } from "./backend.ts";
import { startBoss, within } from "./boss.ts";
import { insertDeadLetters } from "./dead-letter-store.ts";
import * as jobs from "./job-store.ts";
import { startPeriodic } from "./periodic.ts";
import { maxAnswerWeight, type NewMessage, type Queue, timedOut, weightOf } from "./queue.ts";

/** What it works with. */
export interface PostgresOptions {
  readonly db: Database;
  readonly log: Logger;
  readonly clock: () => number;
  /** Milliseconds between two looks for deliveries that nobody settled in time. Default 500. */
  readonly sweepMs?: number;
}

/** Opens the backend; pg-boss makes its schema. */
export async function openPostgresBackend({ db, log, clock, sweepMs = 500 }: PostgresOptions): Promise<Backend> {
  const listeners = new Set<(queueId: string | undefined) => void>();
  const ready = (queueId: string | undefined) => {
    for (const listener of [...listeners]) listener(queueId);
  };
  const learnt = new Set<string>();
  await using undo = new AsyncDisposableStack();
  const boss = undo.use(await startBoss({ db, log, onJob: ready }));
  const sweep = async () => {
    // As many as there are, a handful at a time, so that no transaction is long.
    for (let found = sweepSize; found === sweepSize; ) {
      found = await db.transaction(async (tx) => {
        const expired = await jobs.lockExpired(tx, sweepSize);
        await release(tx, expired, 0, timedOut);
        return expired.length;
      });
    }
  };
  undo.use(startPeriodic("sweep expired deliveries", sweepMs, sweep, log));
  undo.use(startPeriodic("drop old messages", 60_000, () => jobs.removeOld(db), log));

  /** Gives jobs back, or makes them dead letters where they were delivered often enough. */
  async function release(tx: Queryable, open: readonly jobs.OpenJob[], delayMs: number, reason: string): Promise<void> {
    const spent = open.filter(({ retryCount, maxDeliveries }) => retryCount + 1 >= maxDeliveries);
    const alive = open.filter(({ retryCount, maxDeliveries }) => retryCount + 1 < maxDeliveries);
    const deadTime = clock();
    for (const [queueId, some] of Map.groupBy(spent, ({ queueId }) => queueId)) {
      const letters = some.map(({ id, data, priority, retryCount }) => {
        const counted = { messageId: id, deliveryCount: retryCount + 1, publishTime: data.t };
        return { ...jobs.contentOf(data, priority), ...counted, reason, deadTime };
      });
      await insertDeadLetters(tx, queueId, letters);
    }
    await jobs.remove(
      tx,
      spent.map(({ id }) => id),
    );
    await jobs.giveBack(
      tx,
      alive.map(({ id }) => id),
      delayMs,
    );
    // A dead letter frees its key, so somebody may have waited for it too.
    for (const queueId of new Set(open.map((job) => job.queueId))) await jobs.announce(tx, queueId);
  }

  /**
   * Lets pg-boss look a queue up before a transaction needs it: it does so on a connection of its own, and many transactions that wait for one
   * more would wait for each other.
   */
  async function learn(queueId: string): Promise<void> {
    if (learnt.has(queueId)) return;
    await boss.insert(queueId, []).catch((error: unknown) => {
      if (!isQueueGone(error)) throw error;
    });
    learnt.add(queueId);
  }

  const disposal = undo.move();
  return {
    name: "postgresql",
    maxVisibilityMs: 43_200_000,

    async create(queue) {
      const policy = queue.ordered ? "key_strict_fifo" : "standard";
      await boss.createQueue(queue.id, { policy, notify: true, expireInSeconds: seconds(queue.visibilityMs) });
    },

    async remove(queue) {
      learnt.delete(queue.id);
      await boss.deleteQueue(queue.id);
    },

    async publish(queue, messages, first) {
      const insert = async (some: readonly NewMessage[], tx?: Queryable) => {
        if (some.length === 0) return;
        const options = { returnId: true, ...(tx === undefined ? {} : within(tx)) };
        const inserted = boss.insert(
          queue.id,
          some.map((message) => toJob(queue, message)),
          options,
        );
        const ids = await inserted.catch((error: unknown) => {
          throw isQueueGone(error) ? notFound("queue", queue.name) : error;
        });
        // pg-boss inserts nothing, and says nothing, when the queue went in between.
        if (ids?.length !== some.length) throw notFound("queue", queue.name);
      };
      if (first === undefined) return insert(messages);
      await learn(queue.id);
      await db.transaction(async (tx) => insert(await first(tx), tx));
    },

    async take(queue, max, visibilityMs) {
      const fetching = boss.fetch<jobs.JobData>(queue.id, { batchSize: max, includeMetadata: true });
      const fetched = await fetching.catch((error: unknown) => {
        if (isQueueGone(error)) return [];
        throw error;
      });
      // The fetch chooses in order and returns in any.
      fetched.sort(inOrder);
      const fit = fitting(fetched);
      if (fit < fetched.length) await jobs.untake(db, queue.id, fetched.splice(fit));
      const wanted = seconds(visibilityMs);
      const other = fetched.filter(({ expireInSeconds }) => expireInSeconds !== wanted);
      if (other.length > 0) await jobs.expireAfter(db, queue.id, other, wanted);
      return fetched.map((job) => ({
        ...jobs.contentOf(job.data, job.priority),
        messageId: job.id,
        token: toToken(job),
        deliveryCount: job.retryCount + 1,
        publishTime: job.data.t,
        visibleTime: job.startedOn.getTime() + visibilityMs,
      }));
    },

    onReady(listener) {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },

    async ack(queue, tokens) {
      return tokensOf(await jobs.removeOpen(db, queue.id, attemptsOf(tokens), queue.ordered));
    },

    async nack(queue, tokens, delayMs, reason) {
      return db.transaction(async (tx) => {
        const open = await jobs.lockOpen(tx, queue.id, attemptsOf(tokens));
        await release(tx, open, delayMs, reason);
        return tokensOf(open);
      });
    },

    async extend(queue, tokens, visibilityMs) {
      return tokensOf(await jobs.extendOpen(db, queue.id, attemptsOf(tokens), seconds(visibilityMs)));
    },

    count: (queue) => jobs.countJobs(db, queue.id),

    purge: (queue) => jobs.removeWaiting(db, queue.id),

    async listScheduled(queue, size, after) {
      const waiting = await jobs.listWaiting(db, queue.id, size, after);
      return waiting.map(({ id, data, priority, start_after }) => ({
        ...jobs.contentOf(data, priority),
        messageId: id,
        publishTime: data.t,
        dueTime: start_after.getTime(),
      }));
    },

    cancelScheduled: (queue, messageId) => jobs.removeScheduled(db, queue.id, messageId),

    check: (signal) => db.check(signal),

    [Symbol.asyncDispose]: () => disposal.disposeAsync(),
  };
}

/** How many expired deliveries one transaction takes on. */
const sweepSize = 500;

function toJob(queue: Queue, { id, data, headers, priority, orderingKey, publishTime, dueTime }: NewMessage) {
  const carried: jobs.JobData = { b: data, h: headers, k: orderingKey, t: publishTime };
  const times = { expireInSeconds: seconds(queue.visibilityMs), retentionSeconds: seconds(queue.retentionMs) };
  // Strict order wants a key for every job: one without is alone with its id.
  const key = queue.ordered ? { singletonKey: orderingKey === "" ? `m:${id}` : `k:${orderingKey}` } : {};
  const due = dueTime === undefined ? {} : { startAfter: new Date(dueTime) };
  return { id, data: carried, priority, ...times, ...key, ...due };
}

/** By priority, then by age. Jobs of one insert have one age, and ids that increase. */
function inOrder(a: JobWithMetadata, b: JobWithMetadata): number {
  return b.priority - a.priority || a.createdOn.getTime() - b.createdOn.getTime() || (a.id < b.id ? -1 : 1);
}

/** Whether an error says that there is no such queue: pg-boss's own, or the table of jobs' (foreign_key_violation). */
function isQueueGone(error: unknown): boolean {
  return error instanceof Error && (/^Queue \S+ does not exist$/.test(error.message) || codeOf(error) === "23503");
}

/** How many of the first fit into an answer: at least one. */
function fitting(fetched: readonly JobWithMetadata<jobs.JobData>[]): number {
  let weight = 0;
  const over = fetched.findIndex(({ data }, index) => {
    weight += weightOf(data.b);
    return weight > maxAnswerWeight && index > 0;
  });
  return over === -1 ? fetched.length : over;
}

/** The id's 16 bytes and the attempt's number. Not secret: a token opens nothing to those who may not consume from the queue. */
function toToken({ id, retryCount }: jobs.Attempt): string {
  const bytes = Buffer.alloc(20);
  bytes.write(id.replaceAll("-", ""), "hex");
  bytes.writeUInt32BE(retryCount, 16);
  return bytes.toString("base64url");
}

/** The attempts that tokens name; what is no token of ours names none. */
function attemptsOf(tokens: readonly string[]): jobs.Attempt[] {
  return tokens.flatMap((token) => {
    const bytes = Buffer.from(token, "base64url");
    if (bytes.length !== 20 || bytes.readUInt32BE(16) > 0x7fff_ffff) return [];
    const hex = bytes.toString("hex", 0, 16);
    const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
    return { id, retryCount: bytes.readUInt32BE(16) };
  });
}

function tokensOf(attempts: readonly jobs.Attempt[]): ReadonlySet<string> {
  return new Set(attempts.map(toToken));
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000);
}
