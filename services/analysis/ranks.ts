/** Ranks, and the two correlations that are made of them, with their tests. Pure. */
import { normalProbability, tProbability } from "./distributions.ts";
import type { TestResult } from "./results.ts";

/** The order of values: their numbers, the least value first. */
export function orderOf(values: Float64Array): Int32Array {
  return new Int32Array(values.length).map((_, at) => at).sort((a, b) => (values[a] as number) - (values[b] as number));
}

/** The rank of each value from 1; equal values share the mean of theirs. */
export function ranksOf(values: Float64Array): Float64Array {
  const order = orderOf(values);
  const ranks = new Float64Array(values.length);
  for (let start = 0, end = 0; start < order.length; start = end) {
    while (end < order.length && values[order[end] as number] === values[order[start] as number]) end++;
    for (let at = start; at < end; at++) ranks[order[at] as number] = (start + end + 1) / 2;
  }
  return ranks;
}

/** Whether two values are the same. */
export function hasTies(values: Float64Array): boolean {
  return new Set(values).size < values.length;
}

/** The test of Spearman's `rho` of `n` rows. */
export function spearmanTest(rho: number, n: number, ties: boolean): TestResult {
  const cubic = (n * n * n - n) / 6;
  const statistic = cubic * (1 - rho);
  // The sum of squared differences is a whole, even number unless there are ties.
  const exact = n <= 1290 && !ties;
  const s = exact ? Math.round(statistic) : statistic;
  const high = s > cubic;
  const one = exact ? spearmanTail(s, n, high) : tProbability(rho / Math.sqrt((1 - rho * rho) / (n - 2)), n - 2, side(!high));
  return { name: "S", statistic, degreesOfFreedom: [], pValue: Math.min(1, 2 * one) };
}

function side(high: boolean) {
  return high ? "greater" : "less";
}

/** The probability of a sum of squared differences of at least (`high`) or at most `s`: algorithm AS 89 (Best and Roberts, 1975). */
function spearmanTail(s: number, n: number, high: boolean): number {
  if (n <= 9) {
    const counts = squaredDifferences(n);
    const all = counts.reduce((sum, count) => sum + count, 0);
    const some = high ? counts.slice(s) : counts.slice(0, s + 1);
    return some.reduce((sum, count) => sum + count, 0) / all;
  }
  const largest = (n * n * n - n) / 3;
  const from = high ? s : s + 2;
  if (from > largest) return high ? 0 : 1;
  if (from <= 0) return high ? 1 : 0;
  const b = 1 / n;
  const x = ((6 * (from - 1) * b) / (n * n - 1) - 1) * Math.sqrt(n - 1);
  const y = x * x;
  const outer = 0.0879 + 0.0151 * b - y * (0.0072 - 0.0831 * b + y * b * (0.0131 - 4.6e-4 * y));
  const inner = -0.0758 + b * (0.1033 + 0.3932 * b) - y * b * outer;
  const correction = (x * b * (0.2274 + b * (0.2531 + 0.1745 * b) + y * inner)) / Math.exp(y / 2);
  const tail = high ? correction + normalProbability(x, "greater") : normalProbability(x, "less") - correction;
  return Math.min(1, Math.max(0, tail));
}

/** How many permutations of 1 to n have each sum of squared differences: subset by subset of the places taken. */
function squaredDifferences(n: number): number[] {
  const sums = (n * n * n - n) / 3 + 1;
  const bySubset = Array.from({ length: 2 ** n }, () => new Float64Array(sums));
  (bySubset[0] as Float64Array)[0] = 1;
  for (let subset = 0; subset < 2 ** n; subset++) {
    const counts = bySubset[subset] as Float64Array;
    let row = 0;
    for (let bits = subset; bits > 0; bits &= bits - 1) row++;
    for (let place = 0; place < n; place++) {
      if ((subset >> place) & 1) continue;
      const next = bySubset[subset | (1 << place)] as Float64Array;
      const square = (row - place) ** 2;
      for (let sum = 0; sum + square < sums; sum++) next[sum + square] = (next[sum + square] as number) + (counts[sum] as number);
    }
  }
  return Array.from(bySubset.at(-1) ?? []);
}

/** Kendall's tau-b, NaN when a side does not vary, and its test. */
export function kendall(x: Float64Array, y: Float64Array): { tau: number; test: TestResult } {
  const n = x.length;
  const order = new Int32Array(n).map((_, at) => at);
  order.sort((a, b) => (x[a] as number) - (x[b] as number) || (y[a] as number) - (y[b] as number));
  const sorted = Float64Array.from(order, (at) => y[at] as number);
  const tiesX = tieSums(Float64Array.from(order, (at) => x[at] as number));
  let tiedBoth = 0;
  for (let start = 0, end = 0; start < n; start = end) {
    const [first, last] = [order[start] as number, () => order[end] as number];
    while (end < n && x[last()] === x[first] && y[last()] === y[first]) end++;
    tiedBoth += ((end - start) * (end - start - 1)) / 2;
  }
  // Knight, 1966: discordant pairs are the swaps of a merge sort, which also leaves y sorted.
  const swaps = sortCounting(sorted);
  const tiesY = tieSums(sorted);
  const pairs = (n * (n - 1)) / 2;
  const s = pairs - tiesX.pairs - tiesY.pairs + tiedBoth - 2 * swaps;
  const tau = s / Math.sqrt((pairs - tiesX.pairs) * (pairs - tiesY.pairs));
  if (n < 50 && tiesX.pairs === 0 && tiesY.pairs === 0) {
    const concordant = pairs - swaps;
    const pValue = Math.min(1, 2 * fewInversions(Math.min(concordant, swaps), n));
    return { tau, test: { name: "T", statistic: concordant, degreesOfFreedom: [], pValue } };
  }
  const base = n * (n - 1) * (2 * n + 5) - tiesX.fives - tiesY.fives;
  const twos = (4 * tiesX.pairs * tiesY.pairs) / (2 * n * (n - 1));
  const threes = n > 2 ? (tiesX.triples * tiesY.triples) / (9 * n * (n - 1) * (n - 2)) : 0;
  const z = s / Math.sqrt(base / 18 + twos + threes);
  return { tau, test: { name: "z", statistic: z, degreesOfFreedom: [], pValue: normalProbability(z) } };
}

/** Sums over the groups of equal values: pairs t(t-1)/2, t(t-1)(2t+5), t(t-1)(t-2). */
function tieSums(sorted: Float64Array): { pairs: number; fives: number; triples: number } {
  const sums = { pairs: 0, fives: 0, triples: 0 };
  for (let start = 0, end = 0; start < sorted.length; start = end) {
    while (end < sorted.length && sorted[end] === sorted[start]) end++;
    const t = end - start;
    sums.pairs += (t * (t - 1)) / 2;
    sums.fives += t * (t - 1) * (2 * t + 5);
    sums.triples += t * (t - 1) * (t - 2);
  }
  return sums;
}

/** Sorts in place and says how many pairs were in the wrong order. */
function sortCounting(values: Float64Array): number {
  let swaps = 0;
  let from: Float64Array = values;
  let to: Float64Array = new Float64Array(values.length);
  for (let width = 1; width < values.length; width *= 2) {
    for (let start = 0; start < values.length; start += 2 * width) {
      const middle = Math.min(start + width, values.length);
      const end = Math.min(start + 2 * width, values.length);
      for (let left = start, right = middle, at = start; at < end; at++) {
        if (right >= end || (left < middle && (from[left] as number) <= (from[right] as number))) {
          to[at] = from[left++] as number;
        } else {
          swaps += middle - left;
          to[at] = from[right++] as number;
        }
      }
    }
    [from, to] = [to, from];
  }
  if (from !== values) values.set(from);
  return swaps;
}

/** The probability that a permutation of n has at most k inversions. */
function fewInversions(k: number, n: number): number {
  let shares = new Float64Array([1]);
  for (let size = 2; size <= n; size++) {
    const next = new Float64Array(shares.length + size - 1);
    for (let at = 0; at < next.length; at++) {
      let sum = 0;
      for (let back = Math.max(0, at - shares.length + 1); back < size && back <= at; back++) sum += shares[at - back] as number;
      next[at] = sum / size;
    }
    shares = next;
  }
  return shares.subarray(0, k + 1).reduce((sum, share) => sum + share, 0);
}
