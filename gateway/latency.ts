/** Latencies in bounded memory: a histogram whose buckets grow by a tenth, so that a quantile is right to about 5 %. */

const growth = 1.1;
/** The upper bound of the first bucket, in milliseconds; the last one begins above a minute. */
const leastMs = 0.1;
const buckets = 144;

/** Latencies of one kind. */
export class LatencyHistogram {
  readonly #counts = new Uint32Array(buckets);
  #total = 0;

  add(ms: number): void {
    const index = ms <= leastMs ? 0 : Math.ceil(Math.log(ms / leastMs) / Math.log(growth));
    const bucket = Math.min(buckets - 1, index);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#total++;
  }

  /** The latency that a share of them, from 0 to 1, stayed below, in milliseconds; undefined when there are none. */
  quantile(share: number): number | undefined {
    if (this.#total === 0) return undefined;
    const wanted = Math.max(1, Math.ceil(share * this.#total));
    let seen = 0;
    for (const [index, count] of this.#counts.entries()) {
      seen += count;
      // The middle of the bucket, on the scale that it has.
      if (seen >= wanted) return Math.round(leastMs * growth ** (index - 0.5) * 100) / 100;
    }
    return undefined;
  }
}
