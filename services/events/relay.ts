/**
 * Brings what is stored to Kafka: each topic in its order, by one process at a time, again and again until Kafka has it.
 *
 * A batch is sent within a transaction that holds the topic's advisory lock and, at its end, marks how far Kafka has come. When that
 * mark may be wrong (a failure, a kill, another process before us), Kafka itself is asked what it has, so that nothing is sent twice.
 */
import type { Meter } from "@opentelemetry/api";
import type { Logger } from "pino";
import { runWithoutContext } from "#mesh/context.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Event } from "./event.ts";
import { readPage } from "./event-store.ts";
import { addLog } from "./log-store.ts";
import { lockRelay, markRelayed, markRelayFailed, type RelayState, relayStates } from "./relay-store.ts";
import type { Tail } from "./tail.ts";

/** Where events are relayed to. */
export interface Sink extends AsyncDisposable {
  /** Makes the topic when it is absent, with at least as many partitions; answers how many it has. */
  ensure(topic: string, partitions: number): Promise<number>;
  /** The last position that each partition of the topic has; 0 where it has none of ours. */
  written(topic: string): Promise<ReadonlyMap<number, number>>;
  /** Settles when all replicas that must have them have the events, in their order within each partition. */
  send(topic: string, batch: readonly { readonly event: Event; readonly partition: number }[]): Promise<void>;
  /** Forgets connections and what was learned, after a failure. */
  reset(): Promise<void>;
}

/** What the relay works with. */
export interface RelayOptions {
  readonly db: Database;
  readonly sink: Sink;
  readonly tail: Tail;
  readonly log: Logger;
  readonly meter: Meter;
  readonly clock: () => number;
  /** This process's name among those that share the database. */
  readonly owner: string;
  /** Events at most in one batch. Default 1000. */
  readonly batch?: number;
  /** Milliseconds between looks for topics that lag, beside the news of each. Default 2000. */
  readonly pollMs?: number;
  /** The first and the longest wait after a failure, in milliseconds. Default 200 and 5000. */
  readonly retry?: { readonly firstMs: number; readonly maxMs: number };
}

/** A relay that runs. */
export interface Relay extends AsyncDisposable {
  /** Why the last attempt of this process failed; undefined when it did not. */
  failure(): string | undefined;
}

/**
 * Bytes of events in one batch. Kafka takes 1 MiB of records for a partition at once by default; headers and the like come to some
 * 250 bytes a record.
 */
const maxBatchBytes = 700_000;

/** What this process knows of Kafka's side of a topic. */
interface Known {
  readonly partitions: number;
  readonly written: ReadonlyMap<number, number>;
}

/** Starts relaying. */
export function startRelay(o: RelayOptions): Relay {
  const { db, sink, tail, log, meter, clock, owner, batch = 1000, pollMs = 2000, retry = { firstMs: 200, maxMs: 5000 } } = o;
  const relayed = meter.createCounter("events_relayed_total", { description: "Events that were brought to Kafka" });
  const failures = meter.createCounter("events_relay_failures_total", {
    description: "Attempts to bring events to Kafka that failed",
  });
  const known = new Map<number, Known>();
  const dirty = new Set<number>();
  let failure: string | undefined;
  let failed = 0;
  let stopped = false;
  let wake = Promise.withResolvers<void>();

  const growth = tail.onStored((topicId) => {
    dirty.add(topicId);
    if (failed === 0) wake.resolve();
  });
  const running = runWithoutContext(loop);

  async function loop(): Promise<void> {
    let lookAt = 0;
    while (!stopped) {
      let waitMs = pollMs;
      try {
        if (clock() >= lookAt) {
          lookAt = clock() + pollMs;
          for (const state of await relayStates(db)) if (state.position < state.lastPosition) dirty.add(state.topicId);
        }
        for (const topicId of [...dirty]) {
          if (stopped) break;
          dirty.delete(topicId);
          if (await relayTopic(topicId)) dirty.add(topicId);
        }
        failure = undefined;
        failed = 0;
        if (dirty.size > 0) continue;
      } catch (error) {
        failed++;
        failures.add(1);
        failure = messageOf(error);
        waitMs = Math.min(retry.maxMs, retry.firstMs * 2 ** (failed - 1)) * (0.75 + Math.random() / 2);
        log[failed === 1 ? "warn" : "debug"]({ err: error, failed }, "cannot relay to Kafka; trying again");
        lookAt = 0;
      }
      wake = Promise.withResolvers();
      if (dirty.size > 0 && failed === 0) continue;
      const timer = setTimeout(wake.resolve, waitMs);
      if (!stopped) await wake.promise;
      clearTimeout(timer);
    }
  }

  /** Sends one batch. True when there may be more. */
  async function relayTopic(topicId: number): Promise<boolean> {
    try {
      // Once: a repeat after a conflict would send again what the first attempt sent.
      return await db.transaction((tx) => relayBatch(tx, topicId), { attempts: 1 });
    } catch (error) {
      known.delete(topicId);
      await sink.reset().catch(() => undefined);
      await recordFailure(topicId, messageOf(error)).catch(() => undefined);
      throw error;
    }
  }

  async function relayBatch(tx: Parameters<typeof lockRelay>[0], topicId: number): Promise<boolean> {
    const state = await lockRelay(tx, topicId);
    if (state === undefined) {
      // Another process is at it; what it does meanwhile we learn when we get the topic.
      known.delete(topicId);
      return false;
    }
    if (state.position >= state.lastPosition) return false;
    const { partitions, written } = await knowledge(state);
    const after = Math.max(state.position, state.firstPosition - 1);
    const stretch = { topicId, after, end: state.lastPosition, size: batch, bytes: maxBatchBytes, filter: {} };
    const { events } = await readPage(tx, stretch);
    const last = events.at(-1)?.position;
    if (last === undefined) return false;
    const placed = events.map((event) => ({ event, partition: event.partition % partitions }));
    const missing = placed.filter(({ event, partition }) => event.position > (written.get(partition) ?? 0));
    if (missing.length > 0) await sink.send(state.topic, missing);
    const run = { firstPosition: after + 1, lastPosition: last, count: events.length };
    await addLog(tx, { time: clock(), kind: "relayed", topic: state.topic, ...run });
    await markRelayed(tx, topicId, last, owner, clock());
    relayed.add(events.length, { topic: state.topic });
    return last < state.lastPosition || tail.end(topicId) > last;
  }

  async function knowledge(state: RelayState): Promise<Known> {
    const before = known.get(state.topicId);
    if (before !== undefined && state.owner === owner && before.partitions >= state.partitions) return before;
    const partitions = await sink.ensure(state.topic, state.partitions);
    const now = { partitions, written: await sink.written(state.topic) };
    known.set(state.topicId, now);
    return now;
  }

  async function recordFailure(topicId: number, error: string): Promise<void> {
    if (!(await markRelayFailed(db, topicId, error))) return;
    const [state] = await relayStates(db, [topicId]);
    if (state === undefined) return;
    await addLog(db, {
      time: clock(),
      kind: "relay-failed",
      topic: state.topic,
      firstPosition: state.position + 1,
      detail: error,
    });
  }

  return {
    failure: () => failure,
    async [Symbol.asyncDispose]() {
      stopped = true;
      growth[Symbol.dispose]();
      wake.resolve();
      await running;
      await sink[Symbol.asyncDispose]();
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 500) : String(error);
}
