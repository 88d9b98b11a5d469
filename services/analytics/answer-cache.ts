/**
 * Answers by key: kept in the process, and where there is a shared store for all instances; computed once however many ask at the
 * same time.
 */
import type { Meter } from "@opentelemetry/api";
import { LRUCache } from "lru-cache";

/** An answer, and whether it was there already. */
export interface Found {
  readonly value: Uint8Array;
  readonly cached: boolean;
}

/** How to get an answer. */
export interface Wanted {
  readonly key: string;
  /** True: compute it, whatever is kept. */
  readonly fresh: boolean;
  /** This caller's; others who wait for the same answer go on. */
  readonly signal: AbortSignal;
  /** Aborts when nobody waits any more. */
  compute(signal: AbortSignal): Promise<Uint8Array>;
}

/** Keeps answers. */
export interface AnswerCache {
  /** @throws what computing throws; the signal's reason. */
  get(wanted: Wanted): Promise<Found>;
}

/** A place where all instances keep answers. It is allowed to know nothing at any time, and never throws. */
export interface SharedStore {
  get(key: string): Promise<Uint8Array | undefined>;
  put(key: string, value: Uint8Array, ttlMs: number): void;
}

/** What a cache is made with. */
export interface AnswerCacheOptions {
  readonly ttlMs: number;
  readonly maxBytes: number;
  /** How many answers are computed at the same time. */
  readonly concurrency: number;
  readonly shared: SharedStore | undefined;
  readonly meter: Meter;
}

interface Flight {
  readonly answer: Promise<Found>;
  readonly controller: AbortController;
  waiting: number;
}

/** An empty cache. */
export function answerCache({ ttlMs, maxBytes, concurrency, shared, meter }: AnswerCacheOptions): AnswerCache {
  const kept = new LRUCache<string, Uint8Array>({
    maxSize: maxBytes,
    ttl: ttlMs,
    sizeCalculation: (value) => value.length + 500,
  });
  const flights = new Map<string, Flight>();
  const turns = new Turns(concurrency);
  const requests = meter.createCounter("heddle.analytics.cache.requests", { description: "Answers by where they came from" });

  async function find({ key, fresh, compute }: Wanted, signal: AbortSignal): Promise<Found> {
    const known = fresh ? undefined : await shared?.get(key);
    if (known !== undefined) {
      // Its age is not known here, so it is not kept beyond what the store says.
      requests.add(1, { result: "shared" });
      return { value: known, cached: true };
    }
    const value = await turns.run(signal, () => compute(signal));
    kept.set(key, value);
    shared?.put(key, value, ttlMs);
    requests.add(1, { result: "miss" });
    return { value, cached: false };
  }

  function take(wanted: Wanted): Flight {
    const controller = new AbortController();
    const flight = { answer: find(wanted, controller.signal), controller, waiting: 0 };
    const land = () => {
      if (flights.get(wanted.key) === flight) flights.delete(wanted.key);
    };
    flight.answer.then(land, land);
    flights.set(wanted.key, flight);
    return flight;
  }

  return {
    async get(wanted) {
      const value = wanted.fresh ? undefined : kept.get(wanted.key);
      if (value !== undefined) {
        requests.add(1, { result: "hit" });
        return { value, cached: true };
      }
      // Who asks for a fresh answer does not want one that was begun before.
      const flight = (wanted.fresh ? undefined : flights.get(wanted.key)) ?? take(wanted);
      flight.waiting++;
      try {
        return await orAbort(flight.answer, wanted.signal);
      } finally {
        if (--flight.waiting === 0) {
          if (flights.get(wanted.key) === flight) flights.delete(wanted.key);
          flight.controller.abort();
        }
      }
    },
  };
}

/** Lets `most` run at the same time, the others in the order in which they came. */
class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.#free = most;
  }

  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free--;
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}

async function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    promise.catch(() => {});
    work.catch(() => {});
  }
}
