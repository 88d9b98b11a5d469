/** A series at equal steps. Pure. */
import { type Correlation, correlation } from "./correlate.ts";
import { chiSquaredProbability, normalQuantile } from "./distributions.ts";
import { type Column, columnOf, type Frame, isMissing, missingOf, type NumberColumn } from "./frame.ts";
import { onlyNumbers } from "./histogram.ts";
import { type Forecast, forecastOf, type Model } from "./holt-winters.ts";
import { leastSquares } from "./least-squares.ts";
import { centralSum, meanOf, varies } from "./moments.ts";
import { tooFew, wrongField } from "./refusal.ts";
import { type Coefficient, coefficientsOf } from "./regress.ts";
import { around, finite, type Interval, type Missing, type TestResult } from "./results.ts";
import { type Decomposition, decompose, type Seasonal } from "./season.ts";

/** What to analyse. */
export interface TimeSeriesOptions {
  /** Empty: the only one besides time. */
  readonly variable: string;
  /** Empty: the rows are in order. */
  readonly time: string;
  /** At least 1. */
  readonly frequency: number;
  readonly seasonal: Seasonal;
  /** 0: 10 * log10(n). */
  readonly maxLag: number;
  /** Undefined: by the frequency and how many values there are. */
  readonly model: Model | "none" | undefined;
  /** 0: two seasons, or 10 without. */
  readonly horizon: number;
  readonly alpha: number | undefined;
  readonly beta: number | undefined;
  readonly gamma: number | undefined;
  readonly confidence: number;
}

/** The answer. */
export interface TimeSeries {
  count: number;
  frequency: number;
  values: number[];
  trend: { coefficients: Coefficient[]; rSquared?: number; monotony: Correlation };
  decomposition?: Decomposition;
  autocorrelations: { lag: number; value: number; partial?: number; interval: Interval }[];
  independenceTest?: TestResult;
  forecast?: Forecast;
  missing: Missing;
}

/** The values are part of the answer, which has its limits. */
const maxValues = 20_000;

/** Finds trend, season, autocorrelation and a forecast. */
export function analyseSeries(
  frame: Frame,
  options: TimeSeriesOptions,
): { readonly answer: TimeSeries; readonly variable: string } {
  const column = onlyNumbers(frame, options.variable, options.time === "" ? [] : [options.time]);
  const values = seriesOf(frame, column, options.time);
  const n = values.length;
  if (n < 3) throw tooFew(column.name, 3, n);
  if (n > maxValues) throw wrongField("variable", `expected at most ${maxValues} values, got ${n}`);
  const { frequency, seasonal, confidence } = options;
  const decomposition = frequency > 1 && n >= 2 * frequency ? decompose(values, frequency, seasonal) : undefined;
  const model = options.model ?? (decomposition === undefined ? "holt" : "holt_winters");
  const answer = {
    count: n,
    frequency,
    values: Array.from(values),
    trend: trendOf(values, confidence),
    ...(decomposition === undefined ? {} : { decomposition }),
    ...(varies(values) ? autocorrelation(values, options) : { autocorrelations: [] }),
    ...(model === "none"
      ? {}
      : {
          forecast: forecastOf(values, { ...options, model, horizon: options.horizon || (frequency > 1 ? 2 * frequency : 10) }),
        }),
    missing: missingOf("interpolated", frame.rowCount, n, [column]),
  };
  return { answer, variable: column.name };
}

/** The values in order of time, from the first that is there to the last, gaps filled on the straight line. */
function seriesOf(frame: Frame, column: NumberColumn, time: string): Float64Array {
  const order = time === "" ? undefined : timeOrder(columnOf(frame, time, "time"), frame.rowCount);
  const ordered = order === undefined ? column.values : Float64Array.from(order, (row) => column.values[row] as number);
  const first = ordered.findIndex((value) => !Number.isNaN(value));
  const last = ordered.findLastIndex((value) => !Number.isNaN(value));
  if (first === -1) return new Float64Array();
  const values = ordered.slice(first, last + 1);
  for (let at = 1, before = 0; at < values.length; at++) {
    if (Number.isNaN(values[at])) continue;
    const [from, to] = [values[before] as number, values[at] as number];
    for (let gap = before + 1; gap < at; gap++) values[gap] = from + ((to - from) * (gap - before)) / (at - before);
    before = at;
  }
  return values;
}

function timeOrder(column: Column, rowCount: number): Int32Array {
  const rows = new Int32Array(rowCount).map((_, row) => row);
  const lacking = rows.find((row) => isMissing(column, row));
  if (lacking !== undefined) throw wrongField("time", `expected a value in every row, got none in row ${lacking + 1}`);
  if (column.kind === "numbers") return rows.sort((a, b) => (column.values[a] as number) - (column.values[b] as number));
  // Each text's place among all of them, so that each is compared but once.
  const places = new Map(column.levels.toSorted().map((level, at) => [level, at]));
  const placeOf = column.levels.map((level) => places.get(level) ?? 0);
  return rows.sort((a, b) => (placeOf[column.codes[a] as number] as number) - (placeOf[column.codes[b] as number] as number));
}

function trendOf(values: Float64Array, confidence: number): TimeSeries["trend"] {
  const index = values.map((_, at) => at + 1);
  const fit = leastSquares([new Float64Array(values.length).fill(1), index], values);
  const terms = [
    { name: "(Intercept)", predictor: "", level: "" },
    { name: "time", predictor: "time", level: "" },
  ];
  const explained = centralSum(fit.fitted, meanOf(fit.fitted), 2);
  const residual = fit.residuals.reduce((sum, value) => sum + value * value, 0);
  return {
    coefficients: coefficientsOf(terms, fit, confidence),
    ...finite("rSquared", varies(values) ? explained / (explained + residual) : Number.NaN),
    monotony: { first: "value", second: "time", ...correlation(values, index, "kendall", confidence) },
  };
}

function autocorrelation(values: Float64Array, { maxLag, confidence }: TimeSeriesOptions) {
  const n = values.length;
  const lags = Math.min(n - 1, maxLag || Math.floor(10 * Math.log10(n)));
  const mean = meanOf(values);
  const off = values.map((value) => value - mean);
  const products = Array.from({ length: lags + 1 }, (_, lag) => {
    let sum = 0;
    for (let at = 0; at + lag < n; at++) sum += (off[at] as number) * (off[at + lag] as number);
    return sum;
  });
  const correlations = products.map((product) => product / (products[0] as number));
  const partial = partialOf(correlations);
  const interval = around(0, normalQuantile((1 + confidence) / 2) / Math.sqrt(n));
  const autocorrelations = correlations.map((value, lag) => ({
    lag,
    value,
    ...(lag === 0 ? {} : finite("partial", partial[lag] ?? Number.NaN)),
    interval: { ...interval },
  }));
  const statistic = n * (n + 2) * correlations.slice(1).reduce((sum, value, at) => sum + (value * value) / (n - at - 1), 0);
  const pValue = chiSquaredProbability(statistic, lags);
  return { autocorrelations, independenceTest: { name: "X-squared", statistic, degreesOfFreedom: [lags], pValue } };
}

/** The partial autocorrelations by Durbin and Levinson. */
function partialOf(correlations: readonly number[]): number[] {
  const partial = [1];
  let before: number[] = [];
  for (let lag = 1; lag < correlations.length; lag++) {
    const known = before.reduce((sum, phi, at) => sum + phi * (correlations[lag - 1 - at] as number), 0);
    const scale = before.reduce((sum, phi, at) => sum + phi * (correlations[at + 1] as number), 0);
    const phi = ((correlations[lag] as number) - known) / (1 - scale);
    before = [...before.map((one, at) => one - phi * (before[lag - 2 - at] as number)), phi];
    partial.push(phi);
  }
  return partial;
}
