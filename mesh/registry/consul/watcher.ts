/**
 * One blocking query, kept running for all who watch the same thing in this process.
 *
 *   asking --answer--> (published when it differs) --> pause by rate --> asking
 *   asking --failure--> backoff --> asking          the last good state stays, its age grows
 *   nothing known after the first failure, or a second of silence: the snapshot's state is published
 *   empty at the end of an outage: published only when it is still empty after a grace
 */
import { setTimeout as sleep } from "node:timers/promises";
import { canceled } from "#mesh/errors.ts";
import type { Watch } from "#mesh/registry/registry.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import { backoffMs, fullRate, nextIndex, queryTimeoutMs, takeQuery } from "./blocking.ts";
import { type Answer, type Connection, isRefusal } from "./connection.ts";
import type { Snapshot } from "./snapshot.ts";

/** What a watcher needs. */
export interface WatcherParts<T> {
  readonly connection: Connection;
  /** The path to ask, with its leading /v1; also the key in the snapshot. */
  readonly path: string;
  /** Turns an answer into a state, or throws when it is not a good answer. */
  readonly read: (answer: Answer) => T;
  /** Whether a state has nothing in it. Such a state, first thing after an outage, is believed only after a grace. */
  readonly isEmpty: (state: T) => boolean;
  readonly snapshot: Snapshot;
  /** Milliseconds that Consul may hold a query. */
  readonly waitMs: number;
  readonly log: Logger;
  /** Called when the last watch was disposed. */
  readonly onIdle: () => void;
}

/**
 * Milliseconds after an outage in which an empty state is not believed: a registry that lost its memory answers before the
 * instances have registered again, which takes them up to backoffMs and a moment.
 */
const graceMs = 6000;
/** Milliseconds without an answer, after which a process starts from its snapshot. */
const coldStartMs = 1000;

/** A watched thing and its watches. It starts asking with its first watch and stops with its last. */
export class Watcher<T> {
  readonly #parts: WatcherParts<T>;
  readonly #listeners = new Set<(state: T) => void>();
  readonly #stop = new AbortController();
  readonly #first = Promise.withResolvers<void>();
  #state: { readonly value: T; readonly text: string } | undefined;
  #confirmedAt = Number.NEGATIVE_INFINITY;
  /** When the last outage ended. */
  #recoveredAt = Number.NEGATIVE_INFINITY;
  #held: NodeJS.Timeout | undefined;

  constructor(parts: WatcherParts<T>) {
    this.#parts = parts;
    // Whoever waits for it learns of a watch that ended before; nobody has to wait.
    this.#first.promise.catch(() => undefined);
    void this.#run();
  }

  /** Adds a listener; it is told the present state, when there is one, after this call has returned. */
  watch(listener: (state: T) => void): Watch {
    const own = (state: T) => listener(state);
    this.#listeners.add(own);
    const known = this.#state;
    if (known !== undefined)
      queueMicrotask(() => this.#listeners.has(own) && known === this.#state && this.#tell(own, known.value));
    return {
      ageMs: () => Math.max(0, Date.now() - this.#confirmedAt),
      first: this.#first.promise,
      [Symbol.dispose]: () => {
        if (this.#listeners.delete(own) && this.#listeners.size === 0) this.close();
      },
    };
  }

  /** Stops asking, whoever still watches. */
  close(): void {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.#first.reject(canceled("the watch was stopped before its first state"));
    this.#parts.onIdle();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const coldStart = setTimeout(() => this.#publishSnapshot(), coldStartMs);
    let index = 0;
    let failures = 0;
    let rate = fullRate(Date.now());
    while (!signal.aborted) {
      try {
        index = await this.#ask(index, failures > 0);
        failures = 0;
        const taken = takeQuery(rate, Date.now());
        rate = taken.rate;
        if (taken.delayMs > 0) await sleep(taken.delayMs, undefined, { signal });
      } catch (error) {
        if (signal.aborted) break;
        failures += 1;
        index = 0;
        this.#noteFailure(error, failures);
        this.#publishSnapshot();
        await sleep(backoffMs(failures, Math.random()), undefined, { signal }).catch(() => undefined);
      }
    }
    clearTimeout(coldStart);
    clearTimeout(this.#held);
  }

  /** One query; gives the index for the next. */
  async #ask(index: number, afterOutage: boolean): Promise<number> {
    const { connection, path, read, waitMs } = this.#parts;
    const query = index === 0 ? {} : { index: String(index), wait: `${waitMs}ms` };
    const answer = await connection.get(path, query, queryTimeoutMs(index, waitMs), this.#stop.signal);
    const value = read(answer);
    if (this.#stop.signal.aborted) return 0;
    const now = Date.now();
    connection.noteGood(now);
    const next = nextIndex(index, answer.index);
    // An index that starts anew tells of another life of the registry, also when no query failed in between.
    if (afterOutage || (index > 0 && next === 0)) this.#recoveredAt = now;
    this.#take(value, answer, now);
    return next;
  }

  #take(value: T, answer: Answer, now: number): void {
    clearTimeout(this.#held);
    const { isEmpty } = this.#parts;
    const remainingMs = this.#recoveredAt + graceMs - now;
    if (remainingMs > 0 && isEmpty(value) && this.#state !== undefined && !isEmpty(this.#state.value)) {
      this.#held = setTimeout(() => this.#take(value, answer, Date.now()), remainingMs);
      return;
    }
    this.#confirmedAt = now;
    this.#publish(value, answer);
  }

  /** The return of a query is no proof of a change: only a state that differs is published. */
  #publish(value: T, answer: Answer): void {
    const text = stateText(value);
    if (text === this.#state?.text) return;
    this.#state = { value, text };
    this.#parts.snapshot.put(this.#parts.path, { answer, confirmedAt: this.#confirmedAt });
    for (const listener of [...this.#listeners]) this.#tell(listener, value);
    this.#first.resolve();
  }

  #publishSnapshot(): void {
    const entry = this.#state === undefined ? this.#parts.snapshot.entry(this.#parts.path) : undefined;
    if (entry === undefined || this.#stop.signal.aborted) return;
    try {
      const value = this.#parts.read(entry.answer);
      this.#confirmedAt = entry.confirmedAt;
      this.#publish(value, entry.answer);
      const age = Math.round((Date.now() - entry.confirmedAt) / 1000);
      this.#parts.log.warn({ path: this.#parts.path }, `registry is away: starting from a snapshot, ${age} s old`);
    } catch (error) {
      this.#parts.log.warn({ path: this.#parts.path, err: error }, "the registry's snapshot could not be read");
    }
  }

  #noteFailure(error: unknown, failures: number): void {
    const { connection, log, path } = this.#parts;
    connection.noteFailure(error);
    if (failures === 1 && isRefusal(error)) log.warn({ path, err: error }, "the registry refuses this watch; trying on");
  }

  #tell(listener: (state: T) => void, value: T): void {
    try {
      listener(value);
    } catch (error) {
      this.#parts.log.error({ path: this.#parts.path, err: error }, "a listener of the registry failed");
    }
  }
}

function stateText(value: unknown): string {
  return JSON.stringify(value instanceof Map ? [...value] : value) ?? "";
}
