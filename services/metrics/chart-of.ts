/** Services, methods and history as charts. Times are shown in milliseconds, as people read latencies. */
import type { Chart } from "#mesh/chart/chart.ts";
import type { Point, Question } from "./history.ts";
import type { Traffic } from "./traffic.ts";

/** Pixels; undefined: the chart's default. */
export interface ChartSize {
  readonly width: number | undefined;
  readonly height: number | undefined;
}

/** Something with calls, by a name. */
export interface Row {
  readonly name: string;
  readonly traffic: Traffic;
}

/** How many rows have a place in a chart. */
const maxRows = 12;

/** The quantiles of the rows with the most calls, side by side. */
export function latencyChart(title: string, rows: readonly Row[], size: ChartSize): Chart {
  const shown = rows
    .filter(({ traffic }) => traffic.calls > 0)
    .toSorted((a, b) => b.traffic.calls - a.traffic.calls)
    .slice(0, maxRows);
  const values = (of: (traffic: Traffic) => number | undefined) => shown.map(({ traffic }) => milliseconds(of(traffic)));
  const each = shown.map(
    ({ name, traffic }) => `${name}: ${traffic.calls} calls, ${traffic.errors} failed, p99 ${text(milliseconds(traffic.p99))} ms`,
  );
  return {
    kind: "bar",
    title: shown.length === 0 ? `${title}: no calls` : title,
    description: shown.length === 0 ? "There were no calls." : `${each.join("; ")}.`,
    labels: shown.map(({ name }) => name.replace(/^.*\//, "")),
    series: [
      { name: "p50", values: values(({ p50 }) => p50), tone: "good" },
      { name: "p95", values: values(({ p95 }) => p95), tone: "warning" },
      { name: "p99", values: values(({ p99 }) => p99), tone: "bad" },
    ],
    horizontal: true,
    y: { name: "time (ms)" },
    ...pixels(size, 400),
  };
}

/** The charts of a stretch of history, from top to bottom. */
export function historyCharts(question: Question, points: readonly Point[], size: ChartSize): Chart[] {
  const { service, method, measure } = question;
  const name = [service, method.replace(/^.*\//, "")].filter((part) => part !== "").join(" ");
  const line = (title: string, description: string, unit: string, series: readonly Line[]): Chart => ({
    kind: "line",
    places: { kind: "times" },
    title,
    description,
    x: { name: "time (UTC)", min: question.from, max: question.to },
    y: { name: unit },
    series: series.map(({ of, ...same }) => ({
      ...same,
      points: points.map((point) => [point.start, of(point) ?? null] as const),
    })),
    ...pixels(size, 320),
  });
  if (measure !== "") {
    const known = points.flatMap(({ value }) => (value === undefined ? [] : [value]));
    const gauge = points.some(({ max }) => max !== undefined);
    const description =
      known.length === 0 ? "Nothing is known." : `From ${text(Math.min(...known))} to ${text(Math.max(...known))}.`;
    const most: readonly Line[] = gauge ? [{ name: "greatest of one", tone: "neutral", of: ({ max }) => max }] : [];
    return [
      line(`${name} ${measure}`, description, gauge ? "sum" : "per second", [{ name: "all", of: ({ value }) => value }, ...most]),
    ];
  }
  const calls = points.reduce((sum, { traffic }) => sum + (traffic?.calls ?? 0), 0);
  const errors = points.reduce((sum, { traffic }) => sum + (traffic?.errors ?? 0), 0);
  const worst = points.reduce((most, { traffic }) => Math.max(most, traffic?.p99 ?? 0), 0);
  return [
    line(`${name}: calls`, `${calls} calls, of which ${errors} failed.`, "per second", [
      { name: "calls", of: ({ traffic }) => traffic?.rate },
      { name: "failures", tone: "bad", of: (point) => failureRate(point) },
    ]),
    line(`${name}: time of a call`, `The greatest p99 is ${text(worst * 1000)} ms.`, "time (ms)", [
      { name: "p50", tone: "good", of: ({ traffic }) => milliseconds(traffic?.p50) },
      { name: "p95", tone: "warning", of: ({ traffic }) => milliseconds(traffic?.p95) },
      { name: "p99", tone: "bad", of: ({ traffic }) => milliseconds(traffic?.p99) },
    ]),
  ];
}

/** Puts SVG documents below each other. They make their own ids, which do not meet. */
export function stacked(documents: readonly string[]): string {
  const [first = "", ...others] = documents;
  if (others.length === 0) return first;
  let top = 0;
  let widest = 0;
  const placed = documents.map((document) => {
    const head = document.slice(0, document.indexOf(">"));
    const [width, height] = [Number(/ width="(\d+)"/.exec(head)?.[1]), Number(/ height="(\d+)"/.exec(head)?.[1])];
    const at = top;
    top += height;
    widest = Math.max(widest, width);
    return document.replace("<svg ", `<svg y="${at}" `);
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${widest}" height="${top}" viewBox="0 0 ${widest} ${top}">${placed.join("")}</svg>`;
}

interface Line {
  readonly name: string;
  readonly tone?: "good" | "warning" | "bad" | "neutral";
  readonly of: (point: Point) => number | null | undefined;
}

function failureRate({ traffic, collected }: Point): number | undefined {
  return traffic === undefined ? undefined : traffic.errors / collected;
}

function milliseconds(seconds: number | undefined): number | null {
  return seconds === undefined ? null : seconds * 1000;
}

function text(value: number | null): string {
  return value === null ? "unknown" : String(Number(value.toPrecision(3)));
}

function pixels({ width, height }: ChartSize, usual: number): { width: number; height: number } {
  return { width: width ?? 800, height: height ?? usual };
}
