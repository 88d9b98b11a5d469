/** Exact sums of amounts by bucket, with no bigint in the loop: a million amounts take some milliseconds. */

/** Sums by bucket. Memory grows with the buckets that got anything, not with those that there are. */
export class Sums {
  /** Parallel: a bucket and a part of its sum, a safe integer. A bucket may come again. */
  readonly #buckets: number[] = [];
  readonly #parts: number[] = [];
  /** Amounts that are no safe integers. */
  readonly #large: (readonly [bucket: number, amount: bigint])[] = [];

  /** Adds an amount in whole minor units. */
  add(bucket: number, amount: number): void {
    const last = this.#buckets.length - 1;
    const sum = (this.#parts[last] ?? 0) + amount;
    if (this.#buckets[last] === bucket && Number.isSafeInteger(sum)) {
      this.#parts[last] = sum;
    } else {
      this.#buckets.push(bucket);
      this.#parts.push(amount);
    }
  }

  /** Adds an amount of any size. */
  addLarge(bucket: number, amount: bigint): void {
    this.#large.push([bucket, amount]);
  }

  /** The sum of each of `count` buckets. */
  byBucket(count: number): bigint[] {
    const sums = new Array<bigint>(count).fill(0n);
    for (const [index, bucket] of this.#buckets.entries()) sums[bucket] = (sums[bucket] ?? 0n) + BigInt(this.#parts[index] ?? 0);
    for (const [bucket, amount] of this.#large) sums[bucket] = (sums[bucket] ?? 0n) + amount;
    return sums;
  }

  /** The sum of all. */
  total(): bigint {
    const large = this.#large.reduce((sum, [, amount]) => sum + amount, 0n);
    return this.#parts.reduce((sum, part) => sum + BigInt(part), large);
  }
}
