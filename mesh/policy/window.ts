/** What a breaker counts: calls, failures and slow calls of the last N calls or of the last T milliseconds. */
import { SlidingSum } from "./sliding-sum.ts";

/** What a window holds. */
export type WindowSettings = { readonly kind: "count"; readonly calls: number } | { readonly kind: "time"; readonly ms: number };

/** Counts of one breaker. It knows no thresholds and no states. */
export interface Window {
  /** Counts one ended call at `now`, in milliseconds. */
  add(failed: boolean, slow: boolean, now: number): void;
  /** The sums at `now`. */
  totals(now: number): { readonly calls: number; readonly failures: number; readonly slow: number };
}

/** An empty window. */
export function createWindow(settings: WindowSettings): Window {
  return settings.kind === "count" ? new CountWindow(settings.calls) : new TimeWindow(settings.ms);
}

const failedBit = 1;
const slowBit = 2;

/** A ring of the last calls, one byte each. */
class CountWindow implements Window {
  readonly #ring: Uint8Array;
  #next = 0;
  #calls = 0;
  #failures = 0;
  #slow = 0;

  constructor(calls: number) {
    this.#ring = new Uint8Array(calls);
  }

  add(failed: boolean, slow: boolean): void {
    if (this.#calls < this.#ring.length) this.#calls++;
    else this.#count(this.#ring[this.#next] ?? 0, -1);
    const entry = (failed ? failedBit : 0) | (slow ? slowBit : 0);
    this.#ring[this.#next] = entry;
    this.#count(entry, 1);
    this.#next = (this.#next + 1) % this.#ring.length;
  }

  totals() {
    return { calls: this.#calls, failures: this.#failures, slow: this.#slow };
  }

  #count(entry: number, by: 1 | -1): void {
    if ((entry & failedBit) !== 0) this.#failures += by;
    if ((entry & slowBit) !== 0) this.#slow += by;
  }
}

class TimeWindow implements Window {
  readonly #calls: SlidingSum;
  readonly #failures: SlidingSum;
  readonly #slow: SlidingSum;

  constructor(ms: number) {
    this.#calls = new SlidingSum(ms);
    this.#failures = new SlidingSum(ms);
    this.#slow = new SlidingSum(ms);
  }

  add(failed: boolean, slow: boolean, now: number): void {
    this.#calls.add(1, now);
    if (failed) this.#failures.add(1, now);
    if (slow) this.#slow.add(1, now);
  }

  totals(now: number) {
    return { calls: this.#calls.total(now), failures: this.#failures.total(now), slow: this.#slow.total(now) };
  }
}
