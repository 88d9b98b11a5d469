/** An answer as a chart. Money is shown in major units (euros, not cents), as people read it. */
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { QueryResponse } from "#gen/analytics/v1/analytics_pb.ts";
import type { Anomalies, CashFlow, HealthScore, SpendingTrends } from "#gen/analytics/v1/metrics_pb.ts";
import type { Chart } from "#mesh/chart/chart.ts";

/** Pixels; undefined: the chart's default. */
export interface ChartSize {
  readonly width: number | undefined;
  readonly height: number | undefined;
}

/** How many categories have a colour of their own. */
const maxSeries = 7;

/** The chart of the answer's first currency, that with the most transactions. */
export function chartOf(response: QueryResponse, { width, height }: ChartSize): Chart {
  const size = { ...(width === undefined ? {} : { width }), ...(height === undefined ? {} : { height }) };
  const [cashFlow] = response.cashFlow;
  const [trends] = response.spendingTrends;
  const [health] = response.healthScore;
  const [anomalies] = response.anomalies;
  const when = periodText(response);
  if (cashFlow !== undefined) return { ...cashFlowChart(cashFlow, when), ...size };
  if (trends !== undefined) return { ...trendsChart(trends, when), ...size };
  if (health !== undefined) return { ...healthChart(health, when), ...size };
  if (anomalies !== undefined) return { ...anomaliesChart(anomalies, when), ...size };
  const title = `${response.metric.replaceAll("_", " ")}, ${when}: no transactions`;
  return { kind: "bar", title, description: "There are no transactions in the period.", labels: [], series: [], ...size };
}

function cashFlowChart({ currency, income, expense, net, buckets }: CashFlow, when: string): Chart {
  const major = majorUnits(currency);
  return {
    kind: "bar",
    title: `Cash flow in ${currency}, ${when}`,
    description: `Income ${major.text(income)}, expense ${major.text(expense)}, net ${major.text(net)}.`,
    labels: buckets.map(({ label }) => label),
    series: [
      { name: "income", values: buckets.map((bucket) => major.number(bucket.income)), tone: "good" },
      { name: "expense", values: buckets.map((bucket) => -major.number(bucket.expense)), tone: "bad" },
    ],
    lines: [{ name: "net", values: buckets.map((bucket) => major.number(bucket.net)) }],
    stacked: true,
    y: { name: currency },
  };
}

function trendsChart({ currency, total, categories, labels }: SpendingTrends, when: string): Chart {
  const major = majorUnits(currency);
  const shown = categories.slice(0, maxSeries);
  const each = shown.map((category) => `${category.category} ${major.text(category.total)} (${category.direction})`);
  return {
    kind: "bar",
    title: `Spending in ${currency} by category, ${when}`,
    description: `In all ${major.text(total)}. ${each.join(", ")}.`,
    labels,
    series: shown.map(({ category, buckets }) => ({ name: category, values: buckets.map(major.number) })),
    stacked: true,
    y: { name: currency },
  };
}

function healthChart({ currency, score, rating, components }: HealthScore, when: string): Chart {
  const each = components.map((component) => `${nameOf(component.name)} ${Math.round(component.score)}`);
  return {
    kind: "bar",
    title: `Financial health in ${currency}: ${score} of 100 (${rating}), ${when}`,
    description: `${each.join(", ")}.`,
    labels: components.map(({ name }) => nameOf(name)),
    series: [{ name: "points", values: components.map((component) => component.score) }],
    horizontal: true,
    y: { name: "points", min: 0, max: 100 },
  };
}

function anomaliesChart({ currency, items, totalCount, threshold }: Anomalies, when: string): Chart {
  const major = majorUnits(currency);
  const groups = [...Map.groupBy(items, ({ category }) => category)];
  const point = ({ occurTime, z }: Anomalies["items"][number]) => [milliseconds(occurTime), z] as const;
  const shown = groups.slice(0, maxSeries).map(([name, some]) => ({ name, points: some.map(point) }));
  const others = groups.slice(maxSeries).flatMap(([, some]) => some.map(point));
  const [first] = items;
  const furthest = first === undefined ? "" : ` The furthest out is ${major.text(first.amount)} in ${first.category}.`;
  return {
    kind: "scatter",
    places: "times",
    title: `Transactions in ${currency} that stand out, ${when}`,
    description: `${totalCount} transactions are ${threshold} or more robust standard deviations from the median of their category.${furthest}`,
    series: others.length === 0 ? shown : [...shown, { name: "others", points: others, tone: "neutral" }],
    bands: [{ name: "usual", from: -threshold, to: threshold, tone: "good" }],
    x: { name: "time (UTC)" },
    y: { name: "robust z-score" },
  };
}

/** How amounts in minor units are shown. ISO 4217 says how many digits a currency has behind the point. */
function majorUnits(currency: string): { number(minor: bigint): number; text(minor: bigint): string } {
  const format = new Intl.NumberFormat("en", { style: "currency", currency, currencyDisplay: "code" });
  const factor = 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2);
  const number = (minor: bigint) => Number(minor) / factor;
  return { number, text: (minor) => format.format(number(minor)) };
}

function nameOf(component: string): string {
  return component.replaceAll("_", " ");
}

/** `2026-03-01 to 2026-03-31`, by the period's own calendar. */
function periodText({ period }: QueryResponse): string {
  const timeZone = period?.timeZone ?? "UTC";
  const day = (ms: number) => Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(timeZone).toPlainDate().toString();
  const [first, last] = [day(milliseconds(period?.fromTime)), day(milliseconds(period?.toTime) - 1)];
  return first === last ? first : `${first} to ${last}`;
}

function milliseconds(time: Timestamp | undefined): number {
  return time === undefined ? 0 : timestampMs(time);
}
