/** Counted values. Pure. */
import { wilson } from "./describe.ts";
import { type Frame, missingOf, type NumberColumn, numberColumn, presentValues } from "./frame.ts";
import { quantileOf, varianceOf } from "./moments.ts";
import { pretty } from "./pretty.ts";
import { tooFew, wrongField } from "./refusal.ts";
import type { Interval, Missing, TestResult } from "./results.ts";
import { shapiroWilk } from "./shapiro-wilk.ts";

/** What to count. */
export interface HistogramOptions {
  /** Empty: the only one. */
  readonly variable: string;
  readonly rule: "sturges" | "scott" | "fd";
  /** In place of rule unless 0. */
  readonly bins: number;
  /** In place of both unless empty. */
  readonly breaks: readonly number[];
  readonly confidence: number;
}

/** The answer. */
export interface Histogram {
  bins: Bin[];
  rule: string;
  count: number;
  normalityTest?: TestResult;
  missing: Missing;
}

interface Bin {
  from: number;
  to: number;
  count: number;
  proportion: number;
  density: number;
  proportionInterval: Interval;
}

/** A rule that asks for more, as for values far out, gets this many. */
const maxBins = 1000;

/** Counts the values of each bin. */
export function countInBins(frame: Frame, options: HistogramOptions): { readonly answer: Histogram; readonly variable: string } {
  const column = onlyNumbers(frame, options.variable, []);
  const sorted = presentValues(column).sort();
  if (sorted.length === 0) throw tooFew(column.name, 1, 0);
  const { breaks, rule } = breaksOf(sorted, options);
  const counts = countsOf(sorted, breaks);
  const n = sorted.length;
  const bins = Array.from(counts, (count, at) => {
    const [from, to] = [breaks[at] as number, breaks[at + 1] as number];
    const proportion = count / n;
    return {
      from,
      to,
      count,
      proportion,
      density: proportion / (to - from),
      proportionInterval: wilson(count, n, options.confidence),
    };
  });
  const normalityTest = shapiroWilk(sorted);
  const missing = missingOf("per_column", frame.rowCount, n, [column]);
  const answer = { bins, rule, count: n, ...(normalityTest === undefined ? {} : { normalityTest }), missing };
  return { answer, variable: column.name };
}

/** The column by that name, or the only one of numbers when it is empty. `others`: columns that do not count. */
export function onlyNumbers(frame: Frame, name: string, others: readonly string[]): NumberColumn {
  if (name !== "") return numberColumn(frame, name, "variable");
  const [only, ...more] = frame.columns.filter((column) => column.kind === "numbers" && !others.includes(column.name));
  if (only === undefined || more.length > 0) {
    throw wrongField(
      "variable",
      `expected a name, unless there is one column of numbers: there are ${more.length + (only ? 1 : 0)}`,
    );
  }
  return numberColumn(frame, only.name, "variable");
}

function breaksOf(sorted: Float64Array, { breaks, bins, rule }: HistogramOptions): { breaks: number[]; rule: string } {
  const [low, high] = [sorted[0] as number, sorted.at(-1) as number];
  if (breaks.length === 0) {
    const about = bins > 0 ? bins : Math.min(maxBins, Math.max(1, classes[rule](sorted)));
    return { breaks: pretty(low, high, about), rule: bins > 0 ? "bins" : rule };
  }
  const bounds = [...new Set(breaks)].sort((a, b) => a - b);
  const [first = 0, last = 0] = [bounds[0], bounds.at(-1)];
  if (bounds.length < 2 || first > low || last < high) {
    throw wrongField("breaks", `expected two bounds or more that span ${low} to ${high}, got ${first} to ${last}`);
  }
  return { breaks: bounds, rule: "breaks" };
}

/** How many bins each rule asks for. */
const classes: Readonly<Record<HistogramOptions["rule"], (sorted: Float64Array) => number>> = {
  sturges: ({ length }) => Math.ceil(Math.log2(length) + 1),
  scott: (sorted) => Math.ceil(rangeOf(sorted) / (3.5 * Math.sqrt(varianceOf(sorted)) * sorted.length ** (-1 / 3))) || 1,
  fd: (sorted) => Math.ceil((rangeOf(sorted) / middleWidth(sorted)) * sorted.length ** (1 / 3)) || 1,
};

/** Twice the interquartile range; when that is 0, what a wider middle part comes to, and at last Scott's width. */
function middleWidth(sorted: Float64Array): number {
  // R rounds to 5 digits first, so that bins do not hang on the last bits.
  const rounded = sorted.map((value) => Number(value.toPrecision(5)));
  for (let tail = 1 / 4; tail >= 1 / 512; tail /= 2) {
    const width = (quantileOf(rounded, 1 - tail) - quantileOf(rounded, tail)) / (1 - 2 * tail);
    if (width > 0) return width;
  }
  return 3.5 * Math.sqrt(varianceOf(sorted));
}

function rangeOf(sorted: Float64Array): number {
  return (sorted.at(-1) as number) - (sorted[0] as number);
}

/** A value on a bound, or next to it by a ten-millionth of a bin, belongs to the bin that ends there; on the first bound to the first. */
function countsOf(sorted: Float64Array, breaks: readonly number[]): Int32Array {
  const widths = Float64Array.from(breaks.slice(1), (to, at) => to - (breaks[at] as number)).sort();
  const usual = breaks.length > 5 ? quantileOf(widths, 0.5) : breaks.length <= 3 ? rangeOf(sorted) : (widths[0] as number);
  const slack = 1e-7 * usual;
  const counts = new Int32Array(breaks.length - 1);
  let bin = 0;
  for (const value of sorted) {
    while (bin < counts.length - 1 && value > (breaks[bin + 1] as number) + slack) bin++;
    counts[bin] = (counts[bin] as number) + 1;
  }
  return counts;
}
