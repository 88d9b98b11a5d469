/** The relay: a loop that claims keys, and the keys under way, each published one event after the other. */
import { Code, type ConnectError } from "@connectrpc/connect";
import type { Counter } from "@opentelemetry/api";
import { from, retryAfterMs } from "#mesh/errors.ts";
import { statusName } from "#mesh/policy/status-codes.ts";
import type { OutboxOptions } from "./outbox.ts";
import { type Claim, type ClaimedEvent, type Cursor, claimHeads, finish, park, putOff, release, renew } from "./outbox-store.ts";
import { afterFailure, gateAfterAttempt, openGate, roomFor } from "./relay-decision.ts";

/** The outbox's options with all defaults in, and what is the relay's own. */
export interface RelayOptions extends Required<OutboxOptions> {
  /** Marks this process's claims. */
  readonly leaseId: string;
}

const start: Cursor = { topic: "", key: "" };

/** Events of one key after which others get their turn. */
const maxRun = 100;

/** How long to wait after an error of the database. */
const errorPauseMs = 1000;

/** A relay. start() once, stop() once. */
export class Relay {
  readonly #o: RelayOptions;
  readonly #count: Counter;
  readonly #underWay = new Set<Promise<void>>();
  /** What is claimed and under way: only that is held for longer, never what a lost answer of the database left claimed. */
  readonly #held = new Set<string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #stopping = new AbortController();
  /** Aborts when the grace of stop() is over. */
  readonly #cut = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #bell = Promise.withResolvers<void>();
  #gate = openGate;
  #cursor = start;
  #failing = false;

  constructor(options: RelayOptions) {
    this.#o = options;
    this.#count = options.meter.createCounter("heddle.outbox.attempts", {
      description: "Attempts to publish an event, by topic and outcome (published, later, parked)",
    });
  }

  start(): void {
    const renewal = setInterval(() => void this.#renew(), this.#o.leaseMs / 4);
    this.#loop = this.#run().finally(() => clearInterval(renewal));
  }

  wake(): void {
    this.#bell.resolve();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    const grace = setTimeout(() => this.#cut.abort(), this.#o.graceMs);
    await this.#loop;
    clearTimeout(grace);
    for (const timer of this.#timers) clearTimeout(timer);
    await release(this.#o.db, this.#o.leaseId).catch(() => undefined);
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      // Hung up before the look, so that a ring during it is heard.
      this.#bell = Promise.withResolvers();
      const waitMs = await this.#try("look for events", () => this.#look());
      await this.#bellOr(waitMs ?? errorPauseMs);
    }
    await Promise.all(this.#underWay);
  }

  /** Begins as many keys as there is room for. Answers with how long nothing more is to be done, unless the bell rings. */
  async #look(): Promise<number> {
    const { clock, concurrency, pollMs } = this.#o;
    const now = clock();
    const room = roomFor(this.#gate, this.#underWay.size, concurrency, now);
    // The end of a key rings.
    if (room === 0) return now < this.#gate.closedUntil ? this.#gate.closedUntil - now : pollMs;
    const claimed = await this.#claim(room);
    for (const event of claimed) this.#begin(event);
    return pollMs;
  }

  /** Goes round the keys, so that the first ones in the alphabet have no privilege. */
  async #claim(room: number): Promise<ClaimedEvent[]> {
    const after = this.#cursor;
    const claimed = await claimHeads(this.#o.db, after, room, this.#mark());
    if (claimed.length < room && after !== start) {
      claimed.push(...(await claimHeads(this.#o.db, start, room - claimed.length, this.#mark())));
    }
    this.#cursor = claimed.length < room ? start : (claimed.at(-1) ?? start);
    return claimed;
  }

  #begin(first: ClaimedEvent): void {
    const run = this.#key(first).finally(() => {
      this.#underWay.delete(run);
      // More may have come to this key since it was found empty.
      this.wake();
    });
    this.#underWay.add(run);
  }

  async #key(first: ClaimedEvent): Promise<void> {
    let event: ClaimedEvent | undefined = first;
    for (let count = 1; event !== undefined; count++) {
      if (this.#stopping.signal.aborted || count > maxRun) return this.#giveBack(event);
      const { seq } = event;
      this.#held.add(seq);
      event = await this.#attempt(event).finally(() => this.#held.delete(seq));
    }
  }

  /** Publishes one event; answers with the next one of its key when that may go on. */
  async #attempt(event: ClaimedEvent): Promise<ClaimedEvent | undefined> {
    const { db, clock } = this.#o;
    const failure = await this.#publish(event);
    if (failure === undefined) {
      this.#gate = openGate;
      this.#count.add(1, { topic: event.topic, outcome: "published" });
      // Should this fail, the claim ends and the event is published again, which its id tells the receiver.
      return this.#try("take away a published event", () => finish(db, event, this.#mark()));
    }
    // Cut short at the end of the process: that says nothing of the receiver.
    if (this.#cut.signal.aborted) return undefined;
    const now = clock();
    const attempts = event.attempts + 1;
    const { code, rawMessage } = failure;
    const wait = retryAfterMs(failure);
    const fate = afterFailure({ code, attempts, retryAfterMs: wait, now, random: this.#o.random() });
    this.#gate = gateAfterAttempt(this.#gate, fate.kind === "later" && fate.receiverAway, now);
    const reason = `${statusName(code)}: ${rawMessage}`;
    const about = { event: event.id, topic: event.topic, key: event.key, type: event.type, attempts, reason };
    this.#count.add(1, { topic: event.topic, outcome: fate.kind === "park" ? "parked" : "later" });
    if (fate.kind === "park") {
      const hint = "SELECT heddle_outbox.retry(id) publishes it again";
      this.#o.log.error({ ...about, err: failure }, `the receiver refused an event for good; it is parked: ${hint}`);
      return this.#try("park an event", () => park(db, event, reason, this.#mark()));
    }
    const level = attempts === 1 || code !== Code.Unavailable ? "warn" : "debug";
    this.#o.log[level](about, "cannot publish an event yet");
    const put = { attempts, nextAttemptTime: fate.nextAttemptTime, reason };
    await this.#try("put off an event", () => putOff(db, event, put, this.#o.leaseId));
    this.#ringAfter(fate.nextAttemptTime - now);
    return undefined;
  }

  async #publish({ seq, attempts, ...event }: ClaimedEvent): Promise<ConnectError | undefined> {
    const limit = AbortSignal.timeout(this.#o.timeoutMs);
    const signal = AbortSignal.any([limit, this.#cut.signal]);
    const late = Promise.withResolvers<never>();
    const onAbort = () => late.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      // A receiver's client that does not listen to the signal must not hold the key for ever.
      await Promise.race([this.#o.publish(event, signal), late.promise]);
      return undefined;
    } catch (error) {
      return from(limit.aborted ? limit.reason : error);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  async #giveBack(event: ClaimedEvent): Promise<void> {
    const unchanged = { attempts: event.attempts, nextAttemptTime: this.#o.clock(), reason: "" };
    await this.#try("give back an event", () => putOff(this.#o.db, event, unchanged, this.#o.leaseId));
  }

  async #renew(): Promise<void> {
    if (this.#held.size > 0) await this.#try("renew the claims", () => renew(this.#o.db, [...this.#held], this.#mark()));
  }

  #mark(): Claim {
    const { leaseId, leaseMs, clock } = this.#o;
    return { leaseId, leaseMs, now: clock() };
  }

  /** The database may be away at any moment; the claims then end by themselves. */
  async #try<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await work();
      this.#failing = false;
      return result;
    } catch (error) {
      if (!this.#failing) this.#o.log.warn({ err: error }, `the outbox cannot ${what}; trying again`);
      this.#failing = true;
      return undefined;
    }
  }

  #ringAfter(ms: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.wake();
    }, ms);
    this.#timers.add(timer);
  }

  async #bellOr(ms: number): Promise<void> {
    const { promise, resolve } = this.#bell;
    const timer = setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
  }
}
