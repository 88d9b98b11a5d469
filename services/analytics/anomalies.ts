/** Transactions that stand out, by the robust z-score. Pure but for its breaks; the contract has the formulas. */
import { setImmediate } from "node:timers/promises";
import { quickselect } from "simple-statistics";
import type { CurrencyFacts, Facts } from "./facts.ts";

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
    const { items, total, skipped } = await search(currency, threshold, limit);
    const past = before?.of(currency.currency);
    const previousTotal = before === undefined ? undefined : past === undefined ? 0 : (await search(past, threshold, 0)).total;
    found.push({ currency: currency.currency, items, total, previousTotal, threshold, skipped });
  }
  return found;
}

async function search(currency: CurrencyFacts, threshold: number, limit: number) {
  const items: Anomaly[] = [];
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
      const { median, mad, unit } = scale;
      for (let index = 0; index < sizes.length; index++) {
        const z = ((sizes[index] ?? 0) - median) / unit;
        if (Math.abs(z) < threshold) continue;
        total++;
        const { time: occurTime, amount, transactionId } = samples.at(index);
        items.push({ transactionId, occurTime, category, amount, z, median, mad });
        if (items.length >= 2 * limit + 1000) keepFurthest(items, limit);
      }
      await setImmediate();
    }
  }
  keepFurthest(items, limit);
  return { items, total, skipped };
}

function keepFurthest(items: Anomaly[], limit: number): void {
  items.sort(
    (a, b) => Math.abs(b.z) - Math.abs(a.z) || a.occurTime - b.occurTime || (a.transactionId < b.transactionId ? -1 : 1),
  );
  items.length = Math.min(items.length, limit);
}

/** A group's median and MAD, and the distance that is a z-score of 1; undefined when all are the same. */
export function scaleOf(sizes: Float64Array): { median: number; mad: number; unit: number } | undefined {
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
