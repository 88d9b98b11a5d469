/**
 * The transactional outbox: events that are stored in the same transaction as the change they tell of, and published afterwards.
 *
 *     put (in a transaction) --> event --published--> gone
 *                                 | ^--later---|
 *                                 |--refused for good--> parked --retry--> event
 *
 * At least once, and in order per topic and key: an event is deleted when the receiver has it, so a relay that dies in between
 * publishes it again, with the same id for the receiver to know it by. Any number of processes may relay from one database.
 */
import { randomUUID } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import type { Meter } from "@opentelemetry/api";
import type { Logger } from "pino";
import { runWithoutContext } from "#mesh/context.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { migrate } from "#mesh/storage/migrate.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { countParked, countWaiting, listParked, type ParkedEvent, putEvent, putEvents, retryParked } from "./outbox-store.ts";
import { Relay } from "./relay.ts";

/** Something that happened. */
export interface OutboxEvent {
  readonly topic: string;
  /** Events of one topic and key arrive in the order in which they were put. */
  readonly key: string;
  /** Dotted and lower case: `payment.captured`. */
  readonly type: string;
  readonly data: JsonObject;
  /** A UUID, by which the receiver knows a repeat. Default a new UUIDv7. */
  readonly id?: string;
}

/** An event as it is published. */
export interface StoredEvent extends Required<OutboxEvent> {
  /** When it was put. */
  readonly at: Date;
}

/** An open outbox. Disposing lets what is being published finish, within the grace; what then waits stays stored. */
export interface Outbox extends AsyncDisposable {
  /**
   * Stores an event in the caller's transaction, and answers with its id. Until that transaction ends, others that put to the same topic
   * and key wait for it: put late, and several in the order of their keys.
   */
  put(tx: Queryable, event: OutboxEvent): Promise<string>;
  /** Stores several events as put does, in one statement: those of a key in the order given, the keys in an order of its own. */
  putAll(tx: Queryable, events: readonly OutboxEvent[]): Promise<void>;
  /** How many events wait to be published, those that are parked not counted. */
  waiting(): Promise<number>;
  /** The events that the receiver refused for good, oldest first, at most 1000. */
  parked(): Promise<ParkedEvent[]>;
  /** Publishes a parked event again, after all that waits of its key. False when it is not parked. */
  retry(id: string): Promise<boolean>;
  /** Look for events now. There is no need to call it after put: the database tells every instance. */
  wake(): void;
}

/** What an outbox works with. */
export interface OutboxOptions {
  readonly db: Database;
  /**
   * Hands one event to the receiver and settles when that has it for good. What it throws decides: see `afterFailure`. The signal aborts
   * when the attempt has taken too long, and at the end of the process.
   */
  readonly publish: (event: StoredEvent, signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
  readonly meter: Meter;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Keys that are published at the same time. Default 16. */
  readonly concurrency?: number;
  /** Milliseconds that one attempt may take. Default 10,000. */
  readonly timeoutMs?: number;
  /** Milliseconds after which the keys of a process that died are taken over. It renews its claims four times as often. Default 3000. */
  readonly leaseMs?: number;
  /** Milliseconds between looks when nothing says that there is work. Default 2000. */
  readonly pollMs?: number;
  /** Milliseconds that attempts under way may go on at the end. Default 5000. */
  readonly graceMs?: number;
  /** From 0 to 1. Default Math.random. */
  readonly random?: () => number;
}

/** Makes the outbox's tables in the schema heddle_outbox when they are absent, and starts to relay. */
export async function openOutbox(options: OutboxOptions): Promise<Outbox> {
  const { db, log, meter, clock } = options;
  await migrate(db, new URL("./migrations/", import.meta.url), log, "heddle_outbox");
  const defaults = { concurrency: 16, timeoutMs: 10_000, leaseMs: 3000, pollMs: 2000, graceMs: 5000, random: Math.random };
  const relay = new Relay({ ...defaults, ...options, leaseId: randomUUID() });
  const waiting = meter.createObservableGauge("heddle.outbox.waiting", { description: "Events that wait to be published" });
  const parked = meter.createObservableGauge("heddle.outbox.parked", {
    description: "Events that the receiver refused for good",
  });
  // A scrape while the database is away shows nothing, which is true.
  const observe = (count: (db: Queryable) => Promise<number>) => async (result: { observe(value: number): void }) => {
    await count(db).then(
      (value) => result.observe(value),
      () => undefined,
    );
  };
  const [observeWaiting, observeParked] = [observe(countWaiting), observe(countParked)];
  waiting.addCallback(observeWaiting);
  parked.addCallback(observeParked);
  const wake = () => relay.wake();
  // The relay outlives the call that happens to open it.
  const listening = await runWithoutContext(() => db.listen("heddle_outbox", wake, wake));
  runWithoutContext(() => relay.start());
  return {
    async put(tx, event) {
      const id = event.id ?? uuidv7(clock());
      await putEvent(tx, { ...event, id, at: new Date(clock()) });
      return id;
    },
    async putAll(tx, events) {
      const now = clock();
      const stored = events.map((event) => ({ ...event, id: event.id ?? uuidv7(now), at: new Date(now) }));
      if (stored.length > 0) await putEvents(tx, stored);
    },
    waiting: () => countWaiting(db),
    parked: () => listParked(db),
    retry: (id) => retryParked(db, id),
    wake,
    async [Symbol.asyncDispose]() {
      waiting.removeCallback(observeWaiting);
      parked.removeCallback(observeParked);
      await listening[Symbol.asyncDispose]();
      await relay.stop();
    },
  };
}
