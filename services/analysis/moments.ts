/** Sums over numbers, each in two passes so that no digit is lost to a large mean. Pure. */
import { tQuantile } from "./distributions.ts";
import { around, finite, type Interval, type Quantile } from "./results.ts";

/** The mean; NaN of nothing. */
export function meanOf(values: ArrayLike<number>): number {
  const n = values.length;
  let sum = 0;
  for (let at = 0; at < n; at++) sum += values[at] as number;
  const first = sum / n;
  let rest = 0;
  for (let at = 0; at < n; at++) rest += (values[at] as number) - first;
  return first + rest / n;
}

/** The sum of (value - mean)^power. */
export function centralSum(values: ArrayLike<number>, mean: number, power: 2 | 3 | 4): number {
  let sum = 0;
  for (let at = 0; at < values.length; at++) {
    const off = (values[at] as number) - mean;
    const square = off * off;
    sum += power === 2 ? square : power === 3 ? square * off : square * square;
  }
  return sum;
}

/** sum((x - mean)^2) / (n - 1); NaN of fewer than two. */
export function varianceOf(values: ArrayLike<number>, mean = meanOf(values)): number {
  return values.length < 2 ? Number.NaN : centralSum(values, mean, 2) / (values.length - 1);
}

/** Whether there are two different values. */
export function varies(values: ArrayLike<number>): boolean {
  for (let at = 1; at < values.length; at++) if (values[at] !== values[0]) return true;
  return false;
}

/** The quantile of sorted values, type 7 of Hyndman and Fan. */
export function quantileOf(sorted: Float64Array, probability: number): number {
  const at = (sorted.length - 1) * probability;
  // What is a whole number but for the rounding of the product counts as one.
  const low = Math.floor(at + 4 * Number.EPSILON);
  const part = Math.abs(at - low) < 4 * Number.EPSILON * Math.max(1, at) ? 0 : at - low;
  const below = sorted[low] as number;
  return part === 0 ? below : below + part * ((sorted[low + 1] as number) - below);
}

/** Quantiles of values in any order. */
export function quantilesOf(values: Float64Array, probabilities: readonly number[]): Quantile[] {
  const sorted = values.toSorted();
  return probabilities.map((probability) => ({ probability, value: quantileOf(sorted, probability) }));
}

/** The five numbers of a box. */
export const quartiles: readonly number[] = [0, 0.25, 0.5, 0.75, 1];

/** Values that belong together. */
export interface Sample {
  name: string;
  count: number;
  mean: number;
  standardDeviation?: number;
  meanInterval?: Interval;
}

/** A sample with the interval of its mean. */
export function sampleOf(name: string, values: Float64Array, confidence: number): Sample {
  const mean = meanOf(values);
  const sample = { name, count: values.length, mean };
  if (values.length < 2) return sample;
  const sd = Math.sqrt(varianceOf(values, mean));
  const reach = tQuantile((1 + confidence) / 2, values.length - 1) * (sd / Math.sqrt(values.length));
  return { ...sample, ...finite("standardDeviation", sd), meanInterval: around(mean, reach) };
}
