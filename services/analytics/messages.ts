/** Answers as messages of the contract. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type PeriodSchema, type QueryRequest, type QueryResponse, QueryResponseSchema } from "#gen/analytics/v1/analytics_pb.ts";
import type {
  AnomaliesSchema,
  CashFlowSchema,
  ChangeSchema,
  HealthScoreSchema,
  SpendingTrendsSchema,
} from "#gen/analytics/v1/metrics_pb.ts";
import type { Anomalies } from "./anomalies.ts";
import type { CashFlow } from "./cash-flow.ts";
import type { Change } from "./change.ts";
import type { HealthScore } from "./health-score.ts";
import type { Granularity, Period } from "./period.ts";
import type { Answer, Asked, Metric } from "./query.ts";
import type { SpendingTrends } from "./spending-trends.ts";

/** What a request asks. Its texts are among those that the contract allows. */
export function askedOf(request: QueryRequest): Asked {
  const { metric, period, fromTime, toTime, timeZone, granularity, compareTo, currency, limit, threshold } = request;
  return {
    metric: metric as Metric,
    period,
    from: fromTime && millisecondsOf(fromTime),
    to: toTime && millisecondsOf(toTime),
    timeZone,
    granularity: granularity as Granularity | "",
    compareTo: compareTo as Asked["compareTo"],
    currency,
    limit,
    threshold,
  };
}

/** @param ttlMs for how long it is kept */
export function toResponse(answer: Answer, ttlMs: number): QueryResponse {
  const { question, count, computeTime, cashFlow = [], spendingTrends = [], healthScore = [], anomalies = [] } = answer;
  return create(QueryResponseSchema, {
    userId: question.userId,
    metric: question.metric,
    period: toPeriod(question.period),
    ...(question.compared === undefined ? {} : { comparedPeriod: toPeriod(question.compared) }),
    transactionCount: BigInt(count),
    computeTime: timestampFromMs(computeTime),
    expireTime: timestampFromMs(computeTime + ttlMs),
    cashFlow: cashFlow.map(toCashFlow),
    spendingTrends: spendingTrends.map(toSpendingTrends),
    healthScore: healthScore.map(toHealthScore),
    anomalies: anomalies.map(toAnomalies),
  });
}

function millisecondsOf({ seconds, nanos }: NonNullable<QueryRequest["fromTime"]>): number {
  return Number(seconds) * 1000 + Math.floor(nanos / 1_000_000);
}

function toPeriod({ from, to, timeZone, granularity }: Period): MessageInitShape<typeof PeriodSchema> {
  return { fromTime: timestampFromMs(from), toTime: timestampFromMs(to), timeZone, granularity };
}

function toCashFlow({ buckets, count, savingsRate, ...flow }: CashFlow): MessageInitShape<typeof CashFlowSchema> {
  return {
    ...{ currency: flow.currency, income: flow.income, expense: flow.expense, net: flow.net },
    ...some("savingsRate", savingsRate),
    ...some("incomeChange", toChange(flow.incomeChange)),
    ...some("expenseChange", toChange(flow.expenseChange)),
    ...some("netChange", toChange(flow.netChange)),
    buckets: buckets.map(({ startTime, ...bucket }) => ({ ...bucket, startTime: timestampFromMs(startTime) })),
    transactionCount: BigInt(count),
  };
}

function toSpendingTrends({ change, categories, ...trends }: SpendingTrends): MessageInitShape<typeof SpendingTrendsSchema> {
  return {
    ...{ currency: trends.currency, total: trends.total, otherTotal: trends.otherTotal, otherCount: trends.otherCount },
    labels: [...trends.labels],
    ...some("change", toChange(change)),
    categories: categories.map(({ category, total, count, buckets, direction, ...rest }) => ({
      ...{ category, total, direction, transactionCount: BigInt(count), buckets: [...buckets] },
      ...some("share", rest.share),
      ...some("slope", rest.slope),
      ...some("slopeRatio", rest.slopeRatio),
      ...some("change", toChange(rest.change)),
    })),
  };
}

function toHealthScore({ components, previousScore, ...score }: HealthScore): MessageInitShape<typeof HealthScoreSchema> {
  return {
    ...score,
    ...some("previousScore", previousScore),
    components: components.map(({ value, ...component }) => ({ ...component, ...some("value", value) })),
  };
}

function toAnomalies({ items, total, previousTotal, skipped, ...same }: Anomalies): MessageInitShape<typeof AnomaliesSchema> {
  return {
    ...same,
    totalCount: BigInt(total),
    ...some("previousCount", previousTotal === undefined ? undefined : BigInt(previousTotal)),
    skippedCategories: skipped,
    items: items.map(({ occurTime, ...item }) => ({ ...item, occurTime: timestampFromMs(occurTime) })),
  };
}

function toChange(change: Change | undefined): MessageInitShape<typeof ChangeSchema> | undefined {
  return change && { previous: change.previous, difference: change.difference, ...some("ratio", change.ratio) };
}

/** A field that is there only with a value, as the compiler wants it. */
function some<K extends string, T>(name: K, value: T | undefined): { [P in K]?: T } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: T };
}
