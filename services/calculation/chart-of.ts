/** Answers as charts. */
import type { BarChart, Chart, HistogramChart, LineChart } from "#mesh/chart/chart.ts";
import type { Sensitivity, TableQuestion } from "./sensitivity.ts";
import type { Summary } from "./statistics.ts";

/** How a chart is named and how large it is. */
export interface ChartNames {
  /** What the outcome is called. */
  readonly outcome: string;
  readonly width: number;
  readonly height: number;
}

/** How many lines of a table tell apart. */
const maxLines = 8;

/** The tornado, and below it the table, where there is one. */
export function sensitivityCharts(found: Sensitivity, table: TableQuestion | undefined, names: ChartNames): readonly Chart[] {
  return table === undefined ? [tornado(found, names)] : [tornado(found, names), tableLines(found, table, names)];
}

function tornado({ baseOutcome, bars }: Sensitivity, { outcome, width, height }: ChartNames): BarChart {
  const change = (value: number) => finite(value - baseOutcome);
  const first = bars[0];
  return {
    kind: "bar",
    horizontal: true,
    // Both ways from the base on one line; where an outcome moves the same way at both ends, beside each other.
    stacked: bars.every((bar) => (bar.outcomeAtLow - baseOutcome) * (bar.outcomeAtHigh - baseOutcome) <= 0),
    width,
    height,
    title: `${outcome}: ${short(baseOutcome)} and how far each input moves it`,
    description: `${first === undefined ? "No input" : `${first.name} moves ${outcome} most, by ${short(first.swing)}`}; ${bars.length} inputs.`,
    labels: bars.map(({ name, low, high }) => `${name} (${short(low)} to ${short(high)})`),
    x: { name: "input" },
    y: { name: `change of ${outcome}` },
    series: [
      { name: "at the least value", values: bars.map(({ outcomeAtLow }) => change(outcomeAtLow)) },
      { name: "at the greatest value", values: bars.map(({ outcomeAtHigh }) => change(outcomeAtHigh)) },
    ],
  };
}

function tableLines({ rows }: Sensitivity, table: TableQuestion, { outcome, width, height }: ChartNames): LineChart {
  const { rowName, columnName, columnValues } = table;
  const shown = spaced(columnValues.length, maxLines);
  const sorted = rows.toSorted((a, b) => a.rowValue - b.rowValue);
  const some = shown.length < columnValues.length ? ` (${shown.length} of its ${columnValues.length} values)` : "";
  return {
    kind: "line",
    places: { kind: "numbers" },
    width,
    height,
    title: `${outcome} by ${rowName} and ${columnName}`,
    description: `${outcome} over ${rows.length} values of ${rowName}, a line for each value of ${columnName}${some}.`,
    x: { name: rowName },
    y: { name: outcome, loose: true },
    series: shown.map((at) => ({
      name: `${columnName} = ${short(columnValues[at] ?? Number.NaN)}`,
      points: sorted.map(({ rowValue, outcomes }) => [rowValue, finite(outcomes[at] ?? Number.NaN)] as const),
    })),
  };
}

/** The histogram with the mean and the least and greatest of the percentiles. */
export function monteCarloChart(summary: Summary, { outcome, width, height }: ChartNames): HistogramChart {
  const { mean, standardDeviation, percentiles, thresholds, histogram, count, failed } = summary;
  const ends = [...new Set([percentiles.at(0), percentiles.at(-1)])].filter((one) => one !== undefined);
  return {
    kind: "histogram",
    width,
    height,
    title: mean === undefined ? `${outcome}: no outcome` : `${outcome}: mean ${short(mean)}, s ${short(standardDeviation ?? 0)}`,
    description: `${count} iterations, ${failed} without an outcome. ${percentiles
      .map(({ percent, value }) => `${percent} % are at most ${short(value)}`)
      .join("; ")}.`,
    x: { name: outcome },
    y: { name: "iterations" },
    bins: histogram,
    marks: [
      ...(mean === undefined ? [] : [{ name: "mean", axis: "x", value: mean, tone: "good" } as const]),
      ...ends.map(({ percent, value }) => ({ name: `${percent} %`, axis: "x", value }) as const),
      ...thresholds.map(({ threshold }) => ({ name: short(threshold), axis: "x", value: threshold, tone: "bad" }) as const),
    ],
  };
}

/** SVG documents below each other in one. */
export function stacked(pictures: readonly string[], { width, height }: ChartNames): string {
  if (pictures.length === 1) return pictures[0] ?? "";
  const placed = pictures.map((picture, at) => picture.replace(/^[\s\S]*?<svg /, `<svg y="${at * height}" `));
  const size = `width="${width}" height="${pictures.length * height}" viewBox="0 0 ${width} ${pictures.length * height}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size}>${placed.join("")}</svg>`;
}

/** Places of at most `most` of `count`, evenly, with both ends. */
function spaced(count: number, most: number): readonly number[] {
  if (count <= most) return Array.from({ length: count }, (_, at) => at);
  return Array.from({ length: most }, (_, at) => Math.round((at * (count - 1)) / (most - 1)));
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
