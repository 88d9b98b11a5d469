/**
 * The transactional inbox, the outbox's counterpart: events of a topic, each with its effect on the service's database once.
 *
 *     event --handled--> on record, in the transaction of its effect; then its offset is committed
 *       | ^--later---|
 *       |--refused for good--> parked --retry--> handled
 *
 * The events service delivers at least once. Whatever dies after the transaction and before the offset's commit gets the event again, and
 * knows it by its id; what dies before has no effect to undo. Events of a key are handled in order.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { JsonObject } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { Meter } from "@opentelemetry/api";
import type { Logger } from "pino";
import { runWithoutContext } from "#mesh/context.ts";
import { from } from "#mesh/errors.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { migrate } from "#mesh/storage/migrate.ts";
import { Committer } from "./committer.ts";
import type { EventSource } from "./event-source.ts";
import { afterFailure, waitAfter } from "./handling-decision.ts";
import { countParked, forgetEvents, listParked, type ParkedEvent, parkEvent, recordEvent, takeParked } from "./inbox-store.ts";

/** Something that happened elsewhere. */
export interface InboxEvent {
  /** A UUID, the same whenever it comes. */
  readonly id: string;
  readonly topic: string;
  readonly key: string;
  readonly type: string;
  readonly data: JsonObject;
  /** Who published it: `service:ledger`, or `user:` and an id. */
  readonly producer: string;
  /** Its place in the topic. */
  readonly offset: bigint;
  /** When it happened. */
  readonly at: Date;
}

/** An open inbox. Disposing lets the event that is being handled come to its end. */
export interface Inbox extends AsyncDisposable {
  /** The events that were refused for good, oldest first, at most 1000. */
  parked(): Promise<ParkedEvent[]>;
  /** Handles a parked event again. False when it is not parked. @throws What the handler throws; it stays parked then. */
  retry(id: string): Promise<boolean>;
}

/** What an inbox works with. */
export interface InboxOptions {
  readonly db: Database;
  readonly source: EventSource;
  /**
   * The effect of an event, in a transaction that also puts the event on record. It may be run again after a conflict, and must touch nothing
   * but `tx`. What it throws decides: see `afterFailure`.
   */
  readonly handle: (tx: Queryable, event: InboxEvent) => Promise<void>;
  readonly log: Logger;
  readonly meter: Meter;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Milliseconds for which an event is known as handled; longer than its topic keeps it. Default 400 days. */
  readonly keepMs?: number;
  /** From 0 to 1. Default Math.random. */
  readonly random?: () => number;
}

/** Makes the inbox's tables in the schema heddle_inbox when they are absent, and begins to listen. */
export async function openInbox(options: InboxOptions): Promise<Inbox> {
  const { db, source, handle, log, meter, clock, keepMs = 400 * 86_400_000, random = Math.random } = options;
  await migrate(db, new URL("./migrations/", import.meta.url), log, "heddle_inbox");
  const stop = new AbortController();
  const parked = meter.createObservableGauge("heddle.inbox.parked", { description: "Events that were refused for good" });
  const observe = async (result: { observe(value: number): void }) => {
    // A scrape while the database is away shows nothing, which is true.
    await countParked(db).then(
      (value) => result.observe(value),
      () => undefined,
    );
  };
  parked.addCallback(observe);

  async function handleOnce(event: InboxEvent): Promise<void> {
    for (let attempts = 1; ; attempts++) {
      try {
        await db.transaction(async (tx) => {
          if (await recordEvent(tx, event.id, clock())) await handle(tx, event);
        });
        return;
      } catch (error) {
        const { code, rawMessage } = from(error);
        const fate = afterFailure({ code, attempts, random: random() });
        const about = { err: error, event: event.id, type: event.type, offset: String(event.offset) };
        if (fate.kind === "park") {
          log.error(about, "an event was put aside");
          await park(event, `${Code[code]}: ${rawMessage}`);
          return;
        }
        log.debug(about, "an event is to be handled later");
        await sleep(fate.waitMs, undefined, { signal: stop.signal });
      }
    }
  }

  async function park(event: InboxEvent, reason: string): Promise<void> {
    await db.transaction(async (tx) => {
      if (await recordEvent(tx, event.id, clock())) await parkEvent(tx, event, reason, clock());
    });
  }

  async function listen(): Promise<void> {
    for (let failures = 0; !stop.signal.aborted; ) {
      const over = new AbortController();
      const signal = AbortSignal.any([stop.signal, over.signal]);
      const committer = new Committer({ source, signal, log, random });
      try {
        for await (const next of source.events(signal)) {
          failures = 0;
          await handleOnce(next.event);
          committer.done(next);
        }
      } catch (error) {
        if (stop.signal.aborted) break;
        failures += 1;
        log.debug({ err: error }, "the events stopped coming");
      } finally {
        over.abort();
      }
      await sleep(waitAfter(Math.max(failures, 1), random()), undefined, { signal: stop.signal }).catch(() => undefined);
    }
  }

  const forget = () => {
    forgetEvents(db, clock() - keepMs).catch((error: unknown) => log.debug({ err: error }, "old events are forgotten later"));
  };
  const forgetting = setInterval(() => runWithoutContext(forget), 3_600_000).unref();
  // The stream outlives whatever call happens to open it, and is nobody's.
  const listening = runWithoutContext(listen);
  return {
    parked: () => listParked(db),
    retry: (id) =>
      db.transaction(async (tx) => {
        const event = await takeParked(tx, id);
        if (event !== undefined) await handle(tx, event);
        return event !== undefined;
      }),
    async [Symbol.asyncDispose]() {
      clearInterval(forgetting);
      parked.removeCallback(observe);
      stop.abort();
      await listening;
    },
  };
}
