/** How spending develops, by category. Pure; the contract has the formulas. */
import { type Change, changeOf, ratioOf } from "./change.ts";
import type { CategoryFacts, Facts } from "./facts.ts";

/** The trends in one currency. */
export interface SpendingTrends {
  readonly currency: string;
  readonly total: bigint;
  readonly categories: readonly CategoryTrend[];
  readonly otherTotal: bigint;
  readonly otherCount: number;
  readonly change: Change | undefined;
  readonly labels: readonly string[];
}

/** One category of expenses. */
export interface CategoryTrend {
  readonly category: string;
  readonly total: bigint;
  readonly share: number | undefined;
  readonly count: number;
  readonly buckets: readonly bigint[];
  readonly slope: number | undefined;
  readonly slopeRatio: number | undefined;
  readonly direction: Direction;
  readonly change: Change | undefined;
}

/** Where a category goes. */
export type Direction = "rising" | "falling" | "steady" | "unknown";

/** Up to which slope, relative to the mean, spending is steady. */
const steadyRatio = 0.05;
/** How many whole buckets a slope needs. */
const leastBuckets = 3;

/**
 * @param before the facts of the compared period
 * @param limit categories at most
 */
export function spendingTrendsOf(facts: Facts, before: Facts | undefined, limit: number): SpendingTrends[] {
  return facts.currencies.map(({ currency, categories, expense }) => {
    const past = before?.of(currency);
    const total = expense.total();
    const sorted = [...categories.values()]
      .filter(({ expenses }) => expenses > 0)
      .map((category) => ({ category, sum: category.expense.total() }))
      .sort((a, b) => compare(b.sum, a.sum) || compare(a.category.category, b.category.category));
    return {
      currency,
      total,
      categories: sorted.slice(0, limit).map(({ category, sum }) => {
        const previous = past?.categories.get(category.category)?.expense.total() ?? 0n;
        const change = before === undefined ? undefined : changeOf(sum, previous);
        return trendOf(facts, category, sum, total, change);
      }),
      otherTotal: sorted.slice(limit).reduce((rest, { sum }) => rest + sum, 0n),
      otherCount: Math.max(0, sorted.length - limit),
      change: before === undefined ? undefined : changeOf(total, past?.expense.total() ?? 0n),
      labels: facts.period.buckets.map(({ label }) => label),
    };
  });
}

function trendOf(facts: Facts, category: CategoryFacts, total: bigint, all: bigint, change: Change | undefined): CategoryTrend {
  const buckets = category.expense.byBucket(facts.period.buckets.length);
  const whole = buckets.filter((_, index) => facts.period.buckets[index]?.whole).map(Number);
  const slope = whole.length < leastBuckets ? undefined : slopeOf(whole);
  const mean = whole.reduce((sum, value) => sum + value, 0) / whole.length;
  const slopeRatio = slope === undefined || !(mean > 0) ? undefined : slope / mean;
  return {
    category: category.category,
    total,
    share: ratioOf(total, all),
    count: category.expenses,
    buckets,
    slope,
    slopeRatio,
    direction: directionOf(slopeRatio),
    change,
  };
}

/** The slope of the least squares line through (0, v0), (1, v1), ... */
export function slopeOf(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  let over = 0;
  let under = 0;
  for (const [index, value] of values.entries()) {
    over += (index - middle) * value;
    under += (index - middle) ** 2;
  }
  return over / under;
}

function directionOf(slopeRatio: number | undefined): Direction {
  if (slopeRatio === undefined) return "unknown";
  return slopeRatio >= steadyRatio ? "rising" : slopeRatio <= -steadyRatio ? "falling" : "steady";
}

function compare<T extends bigint | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
