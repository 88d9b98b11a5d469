/** Transactions that stand out, by the robust z-score. Pure but for its breaks and for what it looks up; the contract has the formulas. */
import { setImmediate } from "node:timers/promises";
import { quickselect } from "simple-statistics";
import type { CurrencyFacts, Facts, PostingRange } from "./facts.ts";
import { samplesIn } from "./samples.ts";

/** The anomalies in one currency. */
export interface Anomalies {
  readonly currency: string;
  readonly items: readonly Anomaly[];
  readonly total: number;
  readonly previousTotal: number | undefined;
  readonly threshold: number;
  readonly skipped: number;
}

/** A transaction that stands out. */
export interface Anomaly {
  readonly transactionId: string;
  readonly occurTime: number;
  readonly category: string;
  readonly amount: bigint;
  readonly z: number;
  readonly median: number;
  readonly mad: number;
}

/** How many transactions a group needs. */
const leastSamples = 8;

/** The anomalies of each currency. Other work gets its turn between groups, since a group of a million takes 50 ms. */
export async function anomaliesOf(
  facts: Facts,
  before: Facts | undefined,
  { threshold, limit }: { readonly threshold: number; readonly limit: number },
): Promise<Anomalies[]> {
  const found: Anomalies[] = [];
  for (const currency of facts.currencies) {
    const { outlying, total, skipped, cut } = await search(currency, threshold, limit);
    const items = await furthest(facts, currency.currency, outlying, cut, limit);
    const past = before?.of(currency.currency);
    const previousTotal = before === undefined ? undefined : past === undefined ? 0 : (await search(past, threshold, 0)).total;
    found.push({ currency: currency.currency, items, total, previousTotal, threshold, skipped });
  }
  return found;
}

/** A group that has transactions that stand out. */
interface Outlying extends Scale {
  readonly category: string;
  readonly positive: boolean;
  /** The largest |z|. */
  readonly furthest: number;
}

/** Counts what stands out by the amounts alone, and finds from which |z| on (`cut`) the furthest `limit` are. */
async function search(currency: CurrencyFacts, threshold: number, limit: number) {
  const outlying: Outlying[] = [];
  const distances: number[] = [];
  let total = 0;
  let skipped = 0;
  for (const { category, incomeSamples, expenseSamples } of currency.categories.values()) {
    const groups = [incomeSamples, expenseSamples].filter(({ length }) => length > 0);
    if (groups.length > 0 && groups.every(({ length }) => length < leastSamples)) skipped++;
    for (const samples of groups) {
      if (samples.length < leastSamples) continue;
      const sizes = samples.sizes();
      const scale = scaleOf(sizes);
      if (scale === undefined) continue;
      let furthest = -1;
      for (const size of sizes) {
        const distance = Math.abs(zOf(size, scale));
        if (distance < threshold) continue;
        total++;
        furthest = Math.max(furthest, distance);
        distances.push(distance);
        if (distances.length >= 2 * limit + 1000) keepLargest(distances, limit);
      }
      if (furthest >= 0) outlying.push({ category, positive: samples === incomeSamples, furthest, ...scale });
      await setImmediate();
    }
  }
  keepLargest(distances, limit);
  return { outlying, total, skipped, cut: distances.at(-1) };
}

/** The transactions behind the furthest distances: all from the cut on are looked up, since time decides among equals. */
async function furthest(
  facts: Facts,
  currency: string,
  outlying: readonly Outlying[],
  cut: number | undefined,
  limit: number,
): Promise<Anomaly[]> {
  if (cut === undefined) return [];
  const groups = outlying.filter((group) => group.furthest >= cut);
  const groupOf = new Map(groups.map((group) => [`${group.positive}${group.category}`, group]));
  const items: Anomaly[] = [];
  for await (const { category, positive, postings } of facts.lookup(groups.map((group) => rangeOf(currency, group, cut)))) {
    const group = groupOf.get(`${positive}${category}`);
    if (group === undefined) continue;
    const { median, mad } = group;
    for (const { transactionId, time: occurTime, amount, size } of samplesIn(postings)) {
      const z = zOf(size, group);
      if (Math.abs(z) < cut) continue;
      items.push({ transactionId, occurTime, category, amount, z, median, mad });
      if (items.length >= 2 * limit + 1000) keepFurthest(items, limit);
    }
  }
  keepFurthest(items, limit);
  return items;
}

/** The amounts from the cut on, and a few more for what floating point rounds. */
function rangeOf(currency: string, { category, positive, median, unit }: Outlying, cut: number): PostingRange {
  const [low, high] = [median - cut * unit, median + cut * unit];
  const slack = high * 2 ** -48;
  const [to, from] = [BigInt(Math.floor(low + slack)), BigInt(Math.ceil(high - slack))];
  const [atMost, atLeast] = positive ? [to, from] : [-from, -to];
  return { currency, category, positive, atMost: int64(atMost), atLeast: int64(atLeast) };
}

/** No amount is beyond 64 bits. */
function int64(value: bigint): bigint | undefined {
  return value === BigInt.asIntN(64, value) ? value : undefined;
}

function zOf(size: number, { median, unit }: Scale): number {
  return (size - median) / unit;
}

function keepLargest(distances: number[], limit: number): void {
  distances.sort((a, b) => b - a);
  distances.length = Math.min(distances.length, limit);
}

function keepFurthest(items: Anomaly[], limit: number): void {
  items.sort(
    (a, b) => Math.abs(b.z) - Math.abs(a.z) || a.occurTime - b.occurTime || (a.transactionId < b.transactionId ? -1 : 1),
  );
  items.length = Math.min(items.length, limit);
}

/** What the z-scores of a group are computed by. */
export interface Scale {
  readonly median: number;
  readonly mad: number;
  /** The distance that is a z-score of 1. */
  readonly unit: number;
}

/** A group's median and MAD, and the distance that is a z-score of 1; undefined when all are the same. */
export function scaleOf(sizes: Float64Array): Scale | undefined {
  const values = sizes.slice();
  const median = medianInPlace(values);
  let sum = 0;
  for (let index = 0; index < values.length; index++) {
    const distance = Math.abs((values[index] ?? 0) - median);
    values[index] = distance;
    sum += distance;
  }
  const mad = medianInPlace(values);
  const unit = mad > 0 ? mad / 0.6745 : 1.253314 * (sum / values.length);
  return unit > 0 ? { median, mad, unit } : undefined;
}

/** The median, in linear time; the values change places. */
export function medianInPlace(values: Float64Array): number {
  const upper = values.length >> 1;
  // Its types know only arrays; it only swaps items by their index.
  quickselect(values as unknown as number[], upper);
  const high = values[upper] ?? Number.NaN;
  if (values.length % 2 === 1) return high;
  let low = Number.NEGATIVE_INFINITY;
  for (let index = 0; index < upper; index++) low = Math.max(low, values[index] ?? low);
  return (low + high) / 2;
}
