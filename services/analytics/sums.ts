/** Exact sums of amounts by bucket, in minor units. Memory grows with the buckets that got anything, not with those that there are. */
export class Sums {
  readonly #sums = new Map<number, bigint>();

  add(bucket: number, amount: bigint): void {
    this.#sums.set(bucket, (this.#sums.get(bucket) ?? 0n) + amount);
  }

  /** The sum of each of `count` buckets. */
  byBucket(count: number): bigint[] {
    return Array.from({ length: count }, (_, bucket) => this.#sums.get(bucket) ?? 0n);
  }

  /** The sum of all. */
  total(): bigint {
    return this.#sums.values().reduce((sum, part) => sum + part, 0n);
  }
}
