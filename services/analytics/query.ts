/** One question, answered: which facts it needs, and the metric over them. */
import { type Anomalies, anomaliesOf } from "./anomalies.ts";
import { type CashFlow, cashFlowOf } from "./cash-flow.ts";
import type { Facts } from "./facts.ts";
import { type HealthScore, healthScoresOf } from "./health-score.ts";
import type { LedgerReader } from "./ledger-reader.ts";
import { comparedPeriod, type Granularity, type Period, resolvePeriod } from "./period.ts";
import { type SpendingTrends, spendingTrendsOf } from "./spending-trends.ts";

/** The metrics. */
export type Metric = "cash_flow" | "spending_trends" | "health_score" | "anomalies";

/** What is asked, with nothing left to default. */
export interface Question {
  readonly userId: string;
  readonly metric: Metric;
  readonly period: Period;
  readonly compared: Period | undefined;
  /** Empty: each. */
  readonly currency: string;
  readonly limit: number;
  readonly threshold: number;
}

/** What a request says; the contract says what 0 and empty mean. */
export interface Asked {
  readonly metric: Metric;
  readonly period: string;
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly timeZone: string;
  readonly granularity: Granularity | "";
  readonly compareTo: "" | "previous_period" | "same_period_last_year";
  readonly currency: string;
  readonly limit: number;
  readonly threshold: number;
}

/** The answer. Of the metrics only the one that was asked for is there. */
export interface Answer {
  readonly question: Question;
  /** Postings that were counted. */
  readonly count: number;
  readonly computeTime: number;
  readonly cashFlow?: readonly CashFlow[];
  readonly spendingTrends?: readonly SpendingTrends[];
  readonly healthScore?: readonly HealthScore[];
  readonly anomalies?: readonly Anomalies[];
}

/** Fills in what is left open. @throws INVALID_ARGUMENT naming the field. */
export function questionOf(userId: string, asked: Asked, now: number): Question {
  const { metric, compareTo, currency, limit, threshold, from, to } = asked;
  const open = asked.period === "" && from === undefined && to === undefined;
  const text = open ? (metric === "health_score" ? "P12M" : "P30D") : asked.period;
  // Its parts are measured by the month.
  const granularity = metric === "health_score" ? "month" : asked.granularity;
  const period = resolvePeriod({ ...asked, period: text, granularity }, now);
  return {
    userId,
    metric,
    period,
    compared: compareTo === "" ? undefined : comparedPeriod(period, compareTo, now),
    currency,
    limit: limit || (metric === "anomalies" ? 100 : 20),
    threshold: threshold || 3.5,
  };
}

/** The same for the same question: what an answer is kept by. */
export function keyOf({ userId, metric, period, compared, currency, limit, threshold }: Question): string {
  const { from, to, timeZone, granularity } = period;
  // Which buckets are whole changes as time goes on.
  const whole = period.buckets.filter((bucket) => bucket.whole).length;
  const past = compared && [compared.from, compared.to];
  return JSON.stringify([userId, metric, from, to, timeZone, granularity, whole, past, currency, limit, threshold]);
}

/** Reads what the question needs from the ledger and computes its metric. */
export async function answer(ledger: LedgerReader, question: Question, signal: AbortSignal, now: number): Promise<Answer> {
  const { userId, metric, period, compared, currency } = question;
  const options = { currency, signal, samples: metric === "anomalies" };
  const read = (of: Period) => ledger.facts(userId, of, options);
  const [facts, before] = await Promise.all([read(period), compared && read(compared)]);
  const shared = { question, count: facts.count, computeTime: now };
  switch (metric) {
    case "cash_flow":
      return { ...shared, cashFlow: cashFlowOf(facts, before) };
    case "spending_trends":
      return { ...shared, spendingTrends: spendingTrendsOf(facts, before, question.limit) };
    case "health_score":
      return { ...shared, healthScore: await healthOf(ledger, question, facts, before, { currency, signal }, now) };
    case "anomalies":
      return { ...shared, anomalies: await anomaliesOf(facts, before, question) };
  }
}

async function healthOf(
  ledger: LedgerReader,
  { userId, period }: Question,
  facts: Facts,
  before: Facts | undefined,
  options: { readonly currency: string; readonly signal: AbortSignal },
  now: number,
): Promise<HealthScore[]> {
  const balances = (at: number) => ledger.balances(userId, at > now ? undefined : at, options);
  const own = await balances(period.to);
  return healthScoresOf(facts, own, before && { facts: before, balances: await balances(before.period.to) });
}
