/** The best of many, a few at a time: a heap of bounded size. */

/** Keeps the `size` slots of the greatest scores; of equal scores, those of the lower slots. */
export class Top {
  readonly #size: number;
  readonly #slots: number[] = [];
  readonly #scores: number[] = [];

  constructor(size: number) {
    this.#size = size;
  }

  /** The least score that is kept, once there are `size`; a lower one need not be offered. */
  get bar(): number {
    return this.#slots.length < this.#size ? Number.NEGATIVE_INFINITY : (this.#scores[0] ?? Number.NEGATIVE_INFINITY);
  }

  /** Takes a slot when it is among the best so far. */
  offer(slot: number, score: number): void {
    if (this.#slots.length < this.#size) {
      this.#slots.push(slot);
      this.#scores.push(score);
      this.#up(this.#slots.length - 1);
    } else if (this.#size > 0 && this.#isWorse(0, slot, score)) {
      this.#slots[0] = slot;
      this.#scores[0] = score;
      this.#down();
    }
  }

  /** Best first. */
  sorted(): { readonly slot: number; readonly score: number }[] {
    return this.#slots
      .map((slot, at) => ({ slot, score: this.#scores[at] ?? 0 }))
      .sort((a, b) => b.score - a.score || a.slot - b.slot);
  }

  /** Whether what stands at `at` is worse than this. */
  #isWorse(at: number, slot: number, score: number): boolean {
    const there = this.#scores[at] ?? 0;
    return there < score || (there === score && (this.#slots[at] ?? 0) > slot);
  }

  #up(from: number): void {
    for (let at = from; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (this.#isWorse(parent, this.#slots[at] ?? 0, this.#scores[at] ?? 0)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #down(): void {
    for (let at = 0; ; ) {
      let worst = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#slots.length && this.#isWorse(child, this.#slots[worst] ?? 0, this.#scores[worst] ?? 0)) worst = child;
      }
      if (worst === at) return;
      this.#swap(at, worst);
      at = worst;
    }
  }

  #swap(a: number, b: number): void {
    [this.#slots[a], this.#slots[b]] = [this.#slots[b] ?? 0, this.#slots[a] ?? 0];
    [this.#scores[a], this.#scores[b]] = [this.#scores[b] ?? 0, this.#scores[a] ?? 0];
  }
}
