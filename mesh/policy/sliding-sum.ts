/** A sum over the last so many milliseconds, in a fixed number of slots: constant memory and time, whatever the rate. */

const slots = 10;

/**
 * The sum of what was added in the last `windowMs`. It forgets in tenths of the window, so it covers between nine tenths and all
 * of it. A clock that goes backwards adds to the newest slot.
 */
export class SlidingSum {
  readonly #slotMs: number;
  readonly #sums = new Float64Array(slots);
  #newest = Number.NEGATIVE_INFINITY;
  #total = 0;

  constructor(windowMs: number) {
    this.#slotMs = windowMs / slots;
  }

  /** Adds `amount` at `now`, in milliseconds. */
  add(amount: number, now: number): void {
    this.#advance(now);
    const slot = mod(this.#newest);
    this.#sums[slot] = (this.#sums[slot] ?? 0) + amount;
    this.#total += amount;
  }

  /** The sum at `now`. */
  total(now: number): number {
    this.#advance(now);
    return this.#total;
  }

  #advance(now: number): void {
    const slot = Math.floor(now / this.#slotMs);
    if (slot <= this.#newest) return;
    if (slot - this.#newest >= slots) {
      this.#sums.fill(0);
      this.#total = 0;
    } else {
      for (let passed = this.#newest + 1; passed <= slot; passed++) {
        this.#total -= this.#sums[mod(passed)] ?? 0;
        this.#sums[mod(passed)] = 0;
      }
    }
    this.#newest = slot;
  }
}

function mod(slot: number): number {
  return ((slot % slots) + slots) % slots;
}
