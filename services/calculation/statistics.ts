/** What a simulation's outcomes come to. Pure; everything is summed in order, so that the same outcomes make the same bits. */

/** The figures of outcomes; undefined where there are too few. */
export interface Summary {
  readonly count: number;
  readonly failed: number;
  readonly mean: number | undefined;
  readonly standardDeviation: number | undefined;
  readonly standardError: number | undefined;
  readonly min: number | undefined;
  readonly max: number | undefined;
  readonly skewness: number | undefined;
  readonly excessKurtosis: number | undefined;
  readonly percentiles: readonly { readonly percent: number; readonly value: number }[];
  readonly histogram: readonly { readonly from: number; readonly to: number; readonly count: number }[];
  readonly thresholds: readonly { readonly threshold: number; readonly probabilityBelow: number }[];
}

/** What to tell. */
export interface SummaryWanted {
  readonly percentiles: readonly number[];
  readonly bins: number;
  readonly thresholds: readonly number[];
}

/** Outcomes that are not finite have failed, and count in nothing else. */
export function summarise(outcomes: Float64Array, { percentiles, bins, thresholds }: SummaryWanted): Summary {
  const values = finiteOf(outcomes);
  const sorted = values.toSorted();
  const count = values.length;
  const [min, max] = [sorted.at(0), sorted.at(-1)];
  return {
    count: outcomes.length,
    failed: outcomes.length - count,
    ...momentsOf(values),
    min,
    max,
    percentiles: count === 0 ? [] : percentiles.map((percent) => ({ percent, value: percentileOf(sorted, percent) })),
    histogram: min === undefined || max === undefined ? [] : histogramOf(sorted, min, max, bins),
    thresholds:
      count === 0 ? [] : thresholds.map((threshold) => ({ threshold, probabilityBelow: below(sorted, threshold) / count })),
  };
}

type Moments = Pick<Summary, "mean" | "standardDeviation" | "standardError" | "skewness" | "excessKurtosis">;

/** Skewness and kurtosis are those of the outcomes themselves, g1 and g2. */
function momentsOf(values: Float64Array): Moments {
  const n = values.length;
  const none = { standardDeviation: undefined, standardError: undefined, skewness: undefined, excessKurtosis: undefined };
  if (n === 0) return { mean: undefined, ...none };
  const mean = sumOfPowers(values, 0, n, 1);
  if (n === 1) return { mean, ...none };
  const squares = sumOfPowers(values, mean, 1, 2);
  const standardDeviation = Math.sqrt(squares / (n - 1));
  const scale = Math.sqrt(squares / n);
  const shaped = scale > 0 && Number.isFinite(scale);
  return {
    mean,
    standardDeviation,
    standardError: standardDeviation / Math.sqrt(n),
    skewness: shaped ? sumOfPowers(values, mean, scale, 3) / n : undefined,
    excessKurtosis: shaped ? sumOfPowers(values, mean, scale, 4) / n - 3 : undefined,
  };
}

/** The sum of ((value - from) / unit) ^ power, as Neumaier does: what it loses to rounding is summed beside it. */
function sumOfPowers(values: Float64Array, from: number, unit: number, power: 1 | 2 | 3 | 4): number {
  let sum = 0;
  let lost = 0;
  for (const value of values) {
    const z = (value - from) / unit;
    const one = power === 1 ? z : power === 2 ? z * z : power === 3 ? z * z * z : z * z * z * z;
    const next = sum + one;
    lost += Math.abs(sum) >= Math.abs(one) ? sum - next + one : one - next + sum;
    sum = next;
  }
  return sum + lost;
}

function finiteOf(outcomes: Float64Array): Float64Array {
  const kept = new Float64Array(outcomes.length);
  let count = 0;
  for (const value of outcomes) if (Number.isFinite(value)) kept[count++] = value;
  return kept.subarray(0, count);
}

/** Type 7 of Hyndman and Fan, as in R and NumPy. */
function percentileOf(sorted: Float64Array, percent: number): number {
  const at = ((sorted.length - 1) * percent) / 100;
  const low = sorted[Math.floor(at)] as number;
  const high = sorted[Math.ceil(at)] as number;
  return low + (high - low) * (at - Math.floor(at));
}

function histogramOf(sorted: Float64Array, min: number, max: number, bins: number): Summary["histogram"] {
  // Outcomes that are all the same have one bin, which has no width.
  if (min === max) return [{ from: min, to: max, count: sorted.length }];
  const edge = (at: number) => (at === bins ? max : min + (max / bins - min / bins) * at);
  let counted = 0;
  return Array.from({ length: bins }, (_, at) => {
    const upTo = at === bins - 1 ? sorted.length : below(sorted, edge(at + 1));
    const count = upTo - counted;
    counted = upTo;
    return { from: edge(at), to: edge(at + 1), count };
  });
}

/** How many are less. */
function below(sorted: Float64Array, value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
