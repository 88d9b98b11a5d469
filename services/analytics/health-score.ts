/** Financial health as a number from 0 to 100. Pure; the contract has the formulas. */

import { ratioOf } from "./change.ts";
import type { CurrencyFacts, Facts } from "./facts.ts";

/** The score in one currency. */
export interface HealthScore {
  readonly currency: string;
  readonly score: number;
  readonly rating: "excellent" | "good" | "fair" | "poor" | "unknown";
  readonly components: readonly HealthComponent[];
  readonly income: bigint;
  readonly expense: bigint;
  readonly balance: bigint;
  readonly previousScore: number | undefined;
}

/** One part of a score. */
export interface HealthComponent {
  readonly name: string;
  readonly score: number;
  readonly weight: number;
  readonly value: number | undefined;
  readonly unit: "ratio" | "months";
}

/** The savings rate, the months of buffer, and the variation, that make 100, 100 and 0 points. */
const full = { savingsRate: 0.2, bufferMonths: 6, variation: 1 };
/** The mean month, in milliseconds. */
const monthMs = 30.4375 * 86_400_000;
/** How many whole months a variation needs. */
const leastMonths = 3;

/** Balances by currency, in minor units. */
export type Balances = ReadonlyMap<string, bigint>;

/**
 * The scores. The facts' buckets are months.
 *
 * @param before the facts of the compared period, and the balances at its end
 */
export function healthScoresOf(
  facts: Facts,
  balances: Balances,
  before: { readonly facts: Facts; readonly balances: Balances } | undefined,
): HealthScore[] {
  return facts.currencies.map((currency) => {
    const balance = balances.get(currency.currency) ?? 0n;
    const components = componentsOf(facts, currency, balance);
    const score = scoreOf(components);
    const past = before?.facts.of(currency.currency);
    const previous =
      before === undefined || past === undefined
        ? undefined
        : scoreOf(componentsOf(before.facts, past, before.balances.get(currency.currency) ?? 0n));
    return {
      currency: currency.currency,
      score: score ?? 0,
      rating: ratingOf(score),
      components,
      income: currency.income.total(),
      expense: currency.expense.total(),
      balance,
      previousScore: previous,
    };
  });
}

function componentsOf({ period }: Facts, currency: CurrencyFacts, balance: bigint): HealthComponent[] {
  const [income, expense] = [currency.income.total(), currency.expense.total()];
  const wholeMonths = (values: readonly bigint[]) => values.filter((_, index) => period.buckets[index]?.whole).map(Number);
  const count = period.buckets.length;
  const months = (period.to - period.from) / monthMs;
  const incomes = wholeMonths(currency.income.byBucket(count));
  const expenses = wholeMonths(currency.expense.byBucket(count));
  return [
    savings(income, expense),
    buffer(balance, expense, months),
    stability("income_stability", incomes),
    stability("expense_stability", expenses),
  ].filter((component) => component !== undefined);
}

function savings(income: bigint, expense: bigint): HealthComponent | undefined {
  if (income <= 0n && expense <= 0n) return undefined;
  const value = ratioOf(income - expense, income);
  return {
    name: "savings_rate",
    score: value === undefined ? 0 : points(value / full.savingsRate),
    weight: 35,
    value,
    unit: "ratio",
  };
}

function buffer(balance: bigint, expense: bigint, months: number): HealthComponent | undefined {
  const same = { name: "buffer", weight: 25, unit: "months" } as const;
  if (expense <= 0n) return balance > 0n ? { ...same, score: 100, value: undefined } : undefined;
  const value = Number(balance) / (Number(expense) / months);
  return { ...same, score: points(value / full.bufferMonths), value };
}

function stability(name: string, values: readonly number[]): HealthComponent | undefined {
  const value = values.length < leastMonths ? undefined : variationOf(values);
  if (value === undefined) return undefined;
  return { name, score: points(1 - value / full.variation), weight: 20, value, unit: "ratio" };
}

/** Population standard deviation / mean; undefined unless the mean is above 0. */
export function variationOf(values: readonly number[]): number | undefined {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (!(mean > 0)) return undefined;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return Math.sqrt(variance) / mean;
}

function scoreOf(components: readonly HealthComponent[]): number | undefined {
  const weights = components.reduce((sum, { weight }) => sum + weight, 0);
  if (weights === 0) return undefined;
  return Math.round(components.reduce((sum, { score, weight }) => sum + score * weight, 0) / weights);
}

function points(part: number): number {
  return 100 * Math.min(1, Math.max(0, part));
}

function ratingOf(score: number | undefined): HealthScore["rating"] {
  if (score === undefined) return "unknown";
  return score >= 80 ? "excellent" : score >= 60 ? "good" : score >= 40 ? "fair" : "poor";
}
