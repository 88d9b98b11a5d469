/** Each two columns: how far one goes with the other. Pure. */
import { normalQuantile, tProbability } from "./distributions.ts";
import { completeRows, type Frame, missingOf, type NumberColumn, numberColumn, valuesAt } from "./frame.ts";
import { meanOf, varies } from "./moments.ts";
import { hasTies, kendall, ranksOf, spearmanTest } from "./ranks.ts";
import { tooFew, wrongField } from "./refusal.ts";
import type { Interval, Missing, TestResult } from "./results.ts";

/** Which coefficient. */
export type Method = "pearson" | "spearman" | "kendall";

/** What to correlate. */
export interface CorrelateOptions {
  readonly variables: readonly string[];
  readonly method: Method;
  readonly missing: "pairwise" | "listwise";
  readonly confidence: number;
}

/** The answer. */
export interface Correlations {
  method: Method;
  variables: string[];
  correlations: Correlation[];
  missing: Missing;
}

/** Two columns. */
export interface Correlation {
  first: string;
  second: string;
  count: number;
  coefficient?: number;
  interval?: Interval;
  test?: TestResult;
}

const maxVariables = 50;

/** Correlates each two columns. */
export function correlateColumns(frame: Frame, options: CorrelateOptions): Correlations {
  const { method, confidence } = options;
  const columns = chosenColumns(frame, options.variables);
  const complete = completeRows(columns, frame.rowCount);
  const correlations: Correlation[] = [];
  for (const [at, first] of columns.entries()) {
    for (const second of columns.slice(at + 1)) {
      const rows = options.missing === "listwise" ? complete : completeRows([first, second], frame.rowCount);
      if (rows.length < 3) throw tooFew(`rows with both ${first.name} and ${second.name}`, 3, rows.length);
      const found = correlation(valuesAt(first, rows), valuesAt(second, rows), method, confidence);
      correlations.push({ first: first.name, second: second.name, ...found });
    }
  }
  const missing = missingOf(options.missing, frame.rowCount, complete.length, columns);
  return { method, variables: columns.map(({ name }) => name), correlations, missing };
}

function chosenColumns(frame: Frame, names: readonly string[]): NumberColumn[] {
  const columns =
    names.length > 0
      ? names.map((name, at) => numberColumn(frame, name, `variables[${at}]`))
      : frame.columns.filter((column) => column.kind === "numbers");
  if (columns.length < 2 || columns.length > maxVariables) {
    throw wrongField("variables", `expected 2 to ${maxVariables} columns of numbers, got ${columns.length}`);
  }
  return columns;
}

/** The coefficient of two lists of at least three numbers, its interval and its test; a count alone when one does not vary. */
export function correlation(
  x: Float64Array,
  y: Float64Array,
  method: Method,
  confidence: number,
): Omit<Correlation, "first" | "second"> {
  const count = x.length;
  if (!varies(x) || !varies(y)) return { count };
  const { coefficient, test } = coefficientOf(x, y, method);
  const interval = intervalOf(coefficient, count, method, confidence);
  return { count, coefficient, test, ...(interval === undefined ? {} : { interval }) };
}

function coefficientOf(x: Float64Array, y: Float64Array, method: Method): { coefficient: number; test: TestResult } {
  const n = x.length;
  if (method === "kendall") {
    const { tau, test } = kendall(x, y);
    return { coefficient: tau, test };
  }
  if (method === "spearman") {
    const rho = pearson(ranksOf(x), ranksOf(y));
    return { coefficient: rho, test: spearmanTest(rho, n, hasTies(x) || hasTies(y)) };
  }
  const r = pearson(x, y);
  const t = Math.sqrt(n - 2) * (r / Math.sqrt((1 - r) * (1 + r)));
  return { coefficient: r, test: { name: "t", statistic: t, degreesOfFreedom: [n - 2], pValue: tProbability(t, n - 2) } };
}

function pearson(x: Float64Array, y: Float64Array): number {
  const [meanX, meanY] = [meanOf(x), meanOf(y)];
  let [xx, yy, xy] = [0, 0, 0];
  for (let at = 0; at < x.length; at++) {
    const [a, b] = [(x[at] as number) - meanX, (y[at] as number) - meanY];
    xx += a * a;
    yy += b * b;
    xy += a * b;
  }
  return Math.max(-1, Math.min(1, xy / (Math.sqrt(xx) * Math.sqrt(yy))));
}

function intervalOf(r: number, n: number, method: Method, confidence: number): Interval | undefined {
  const few = method === "kendall" ? 4 : 3;
  if (n <= few) return undefined;
  const variance = { pearson: 1, spearman: 1 + (r * r) / 2, kendall: 0.437 }[method] / (n - few);
  const reach = normalQuantile((1 + confidence) / 2) * Math.sqrt(variance);
  const z = Math.atanh(r);
  return { lower: Math.tanh(z - reach), upper: Math.tanh(z + reach) };
}
