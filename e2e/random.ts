/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
export type Random = () => number;

/** A generator that begins anew for each seed. */
export function randomFrom(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Choices over a generator. Its methods are bound, so that they can be taken apart: `({ pick, number }) => ...`. */
export class Dice {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
  }

  /** A whole number from 0 to `below` - 1. */
  readonly number = (below: number): number => {
    return Math.floor(this.#random() * below);
  };

  /** One of the items. */
  readonly pick = <T>(...items: readonly [T, ...T[]]): T => {
    return items[this.number(items.length)] ?? items[0];
  };

  /** So many bytes of any value. */
  readonly bytes = (count: number): Buffer => {
    return Buffer.from(Array.from({ length: count }, () => this.number(256)));
  };
}
