/**
 * Histograms with explicit bounds, merged before anything is read off them.
 *
 * A layout is the ascending list of its finite upper bounds; bucket i holds what lies in (bounds[i - 1], bounds[i]], the last one what
 * lies above all bounds. Buckets count their own, not what lies below.
 */

/** One histogram: how many lie in each bucket, one more bucket than there are bounds. */
export interface Histogram {
  readonly bounds: readonly number[];
  readonly buckets: ArrayLike<number>;
}

/**
 * The value below which the share `q` of everything lies, by linear interpolation within a bucket, as Prometheus' histogram_quantile;
 * undefined when there is nothing.
 *
 * Histograms of one layout are summed bucket by bucket. Those of other layouts are summed where the bounds of all are known, each as
 * if evenly spread within its own buckets. What lies in the last bucket counts as the greatest bound, and what lies in the first as
 * between 0 and its bound, or as the bound where that is not above 0.
 */
export function quantile(histograms: readonly Histogram[], q: number): number | undefined {
  const layouts = sumByLayout(histograms);
  const total = layouts.reduce((sum, { buckets }) => sum + totalOf(buckets), 0);
  if (!(total > 0)) return undefined;
  const rank = q * total;
  const bounds = [...new Set(layouts.flatMap((layout) => layout.bounds))].sort((a, b) => a - b);
  let [below, lower] = [0, Math.min(0, bounds[0] ?? 0)];
  for (const bound of bounds) {
    const upTo = layouts.reduce((sum, layout) => sum + cumulative(layout, bound), 0);
    // The first bucket with anything in it, also for q = 0.
    if (upTo >= rank && upTo > below) return lower + (bound - lower) * Math.max(0, (rank - below) / (upTo - below));
    [below, lower] = [upTo, bound];
  }
  return lower;
}

/** The number in all buckets. */
export function totalOf(buckets: ArrayLike<number>): number {
  let total = 0;
  for (let at = 0; at < buckets.length; at++) total += buckets[at] ?? 0;
  return total;
}

function sumByLayout(histograms: readonly Histogram[]): readonly Histogram[] {
  const [first, ...others] = histograms;
  if (first === undefined || others.length === 0) return histograms;
  const sums = new Map<string, { bounds: readonly number[]; buckets: Float64Array }>();
  for (const { bounds, buckets } of histograms) {
    const key = bounds.join();
    const sum = sums.get(key) ?? { bounds, buckets: new Float64Array(bounds.length + 1) };
    for (let at = 0; at < buckets.length; at++) sum.buckets[at] = (sum.buckets[at] ?? 0) + (buckets[at] ?? 0);
    sums.set(key, sum);
  }
  return [...sums.values()];
}

/** How many lie at or below `value`, with each bucket evenly spread. */
function cumulative({ bounds, buckets }: Histogram, value: number): number {
  let below = 0;
  let lower = Math.min(0, bounds[0] ?? 0);
  for (let at = 0; at < bounds.length; at++) {
    const bound = bounds[at] ?? 0;
    const here = buckets[at] ?? 0;
    if (value < bound) return value <= lower ? below : below + (here * (value - lower)) / (bound - lower);
    below += here;
    lower = bound;
  }
  return below;
}
