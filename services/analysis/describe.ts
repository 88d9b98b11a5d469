/** Columns by themselves. Pure. */
import { chiSquaredProbability, normalQuantile, tProbability, tQuantile } from "./distributions.ts";
import { byUnicode, type Column, columnOf, completeRows, type Frame, factorAt, isMissing, missingOf } from "./frame.ts";
import { centralSum, meanOf, quantilesOf, quartiles, varies } from "./moments.ts";
import { wrongField } from "./refusal.ts";
import { around, finite, type Interval, type Missing, type Quantile, type TestResult } from "./results.ts";
import { shapiroWilk } from "./shapiro-wilk.ts";

/** What to describe. */
export interface DescribeOptions {
  readonly variables: readonly string[];
  readonly categorical: readonly string[];
  readonly groupBy: string;
  readonly quantiles: readonly number[];
  readonly confidence: number;
}

/** The answer. */
export interface Description {
  summaries: Summary[];
  missing: Missing;
}

/** A column or a part of it. */
export interface Summary {
  variable: string;
  group: string;
  count: number;
  missingCount: number;
  numeric?: NumericSummary;
  categorical?: CategoricalSummary;
}

interface NumericSummary {
  mean: number;
  standardDeviation?: number;
  standardError?: number;
  meanInterval?: Interval;
  quantiles: Quantile[];
  skewness?: number;
  kurtosis?: number;
  meanTest?: TestResult;
  normalityTest?: TestResult;
}

interface CategoricalSummary {
  levelCount: number;
  levels: { level: string; count: number; proportion: number; proportionInterval: Interval }[];
  uniformityTest?: TestResult;
}

/** Summaries beyond this would not fit into an answer. */
const maxSummaries = 1000;
const maxLevels = 100;

/** Describes columns, each with all values that it has. */
export function describeColumns(frame: Frame, options: DescribeOptions): Description {
  const { groupBy, variables, categorical } = options;
  const names = variables.length > 0 ? variables : frame.columns.map(({ name }) => name).filter((name) => name !== groupBy);
  const columns = names.map((name, at) => columnOf(frame, name, `variables[${at}]`));
  const by = groupBy === "" ? undefined : columnOf(frame, groupBy, "group_by");
  const groups = by === undefined ? [{ name: "", rows: allRows(frame) }] : groupsOf(by, frame.rowCount);
  if (groups.length * columns.length > maxSummaries) {
    const description = `expected at most ${maxSummaries} columns times groups, got ${columns.length} columns and ${groups.length} groups`;
    throw wrongField(by === undefined ? "variables" : "group_by", description);
  }
  const summaries = groups.flatMap(({ name, rows }) =>
    columns.map((column) => {
      const there = rows.filter((row) => !isMissing(column, row));
      const counted = { variable: column.name, group: name, count: there.length, missingCount: rows.length - there.length };
      if (there.length === 0) return counted;
      if (column.kind === "texts" || categorical.includes(column.name)) {
        return { ...counted, categorical: categoricalSummary(column, there, options.confidence) };
      }
      return {
        ...counted,
        numeric: numericSummary(
          Float64Array.from(there, (row) => column.values[row] as number),
          options,
        ),
      };
    }),
  );
  const used = by === undefined ? columns : [...columns, by];
  return { summaries, missing: missingOf("per_column", frame.rowCount, completeRows(used, frame.rowCount).length, used) };
}

/** The rows of each level; rows without one are in no group. */
export function groupsOf(by: Column, rowCount: number): { name: string; rows: Int32Array }[] {
  const rows = completeRows([by], rowCount);
  const { codes, levels } = factorAt(by, rows);
  const groups = levels.map((name) => ({ name, rows: [] as number[] }));
  for (const [at, code] of codes.entries()) groups[code]?.rows.push(rows[at] as number);
  return groups.map(({ name, rows: its }) => ({ name, rows: Int32Array.from(its) }));
}

function allRows({ rowCount }: Frame): Int32Array {
  return new Int32Array(rowCount).map((_, row) => row);
}

function numericSummary(values: Float64Array, { quantiles, confidence }: DescribeOptions): NumericSummary {
  const n = values.length;
  const mean = meanOf(values);
  const summary = { mean, quantiles: quantilesOf(values, quantiles.length > 0 ? quantiles : quartiles) };
  if (n < 2) return summary;
  const squares = centralSum(values, mean, 2);
  const sd = Math.sqrt(squares / (n - 1));
  const error = sd / Math.sqrt(n);
  const spread = {
    standardDeviation: sd,
    standardError: error,
    meanInterval: around(mean, tQuantile((1 + confidence) / 2, n - 1) * error),
  };
  if (!varies(values)) return { ...summary, ...spread };
  const variance = squares / n;
  const g1 = centralSum(values, mean, 3) / n / variance ** 1.5;
  const g2 = centralSum(values, mean, 4) / n / variance ** 2 - 3;
  const t = mean / error;
  const normalityTest = shapiroWilk(values);
  return {
    ...summary,
    ...spread,
    ...finite("skewness", n > 2 ? (g1 * Math.sqrt(n * (n - 1))) / (n - 2) : Number.NaN),
    ...finite("kurtosis", n > 3 ? (((n + 1) * g2 + 6) * (n - 1)) / ((n - 2) * (n - 3)) : Number.NaN),
    meanTest: { name: "t", statistic: t, degreesOfFreedom: [n - 1], pValue: tProbability(t, n - 1) },
    ...(normalityTest === undefined ? {} : { normalityTest }),
  };
}

function categoricalSummary(column: Column, rows: Int32Array, confidence: number): CategoricalSummary {
  const { codes, levels } = factorAt(column, rows);
  const counts = new Int32Array(levels.length);
  for (const code of codes) counts[code] = (counts[code] as number) + 1;
  const order = levels.map((level, at) => ({ level, count: counts[at] as number }));
  order.sort((a, b) => b.count - a.count || byUnicode(a.level, b.level));
  const n = codes.length;
  const even = n / levels.length;
  const statistic = order.reduce((sum, { count }) => sum + (count - even) ** 2 / even, 0);
  const df = levels.length - 1;
  return {
    levelCount: levels.length,
    levels: order.slice(0, maxLevels).map(({ level, count }) => ({
      level,
      count,
      proportion: count / n,
      proportionInterval: wilson(count, n, confidence),
    })),
    ...(df === 0
      ? {}
      : {
          uniformityTest: { name: "X-squared", statistic, degreesOfFreedom: [df], pValue: chiSquaredProbability(statistic, df) },
        }),
  };
}

/** The interval of a proportion by Wilson's score (Wilson, 1927). */
export function wilson(count: number, n: number, confidence: number): Interval {
  const z = normalQuantile((1 + confidence) / 2);
  const p = count / n;
  const square = (z * z) / n;
  const reach = z * Math.sqrt((p * (1 - p)) / n + square / (4 * n));
  const scale = 1 + square;
  return {
    lower: count === 0 ? 0 : Math.max(0, (p + square / 2 - reach) / scale),
    upper: count === n ? 1 : Math.min(1, (p + square / 2 + reach) / scale),
  };
}
