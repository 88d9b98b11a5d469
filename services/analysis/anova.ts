/** Analysis of variance. Pure. */
import { indicator } from "./design.ts";
import { chiSquaredProbability, fProbability } from "./distributions.ts";
import { columnOf, completeRows, type Factor, type Frame, factorAt, missingOf, numberColumn, valuesAt } from "./frame.ts";
import { leastSquares } from "./least-squares.ts";
import { meanOf, quantileOf, type Sample, sampleOf, varianceOf } from "./moments.ts";
import { noVariation, tooFew, wrongField } from "./refusal.ts";
import type { Missing, TestResult } from "./results.ts";
import { type Comparison, tukeyComparisons } from "./tukey.ts";

/** What to analyse. */
export interface AnovaOptions {
  readonly response: string;
  readonly factors: readonly string[];
  readonly interaction: boolean;
  readonly tukey: boolean;
  readonly confidence: number;
}

/** The answer. */
export interface Anova {
  rows: AnovaRow[];
  groups: Sample[];
  varianceTest?: TestResult;
  leveneTest?: TestResult;
  comparisons: Comparison[];
  missing: Missing;
}

interface AnovaRow {
  term: string;
  degreesOfFreedom: number;
  sumOfSquares: number;
  meanSquare?: number;
  etaSquared?: number;
  test?: TestResult;
}

/** Values of one group. */
export interface Group {
  readonly name: string;
  readonly values: Float64Array;
}

/** An analysis with the groups that a plot of it shows. */
export interface ShownAnova {
  readonly answer: Anova;
  readonly groups: readonly Group[];
}

const maxGroups = 200;
const maxCells = 2_000_000;

/** Analyses the variance of a response by one factor or two. */
export function anova(frame: Frame, options: AnovaOptions): ShownAnova {
  const response = numberColumn(frame, options.response, "response");
  const columns = options.factors.map((name, at) => columnOf(frame, name, `factors[${at}]`));
  if (columns.includes(response)) throw wrongField("factors", `expected others than the response ${response.name}`);
  const rows = completeRows([response, ...columns], frame.rowCount);
  const y = valuesAt(response, rows);
  const factors = columns.map((column) => factorAt(column, rows));
  checkSize(factors, rows.length, options.interaction);
  const groups = groupsOf(factors, y);
  const table = tableOf(factors, y, options.interaction);
  const residual = table.at(-1);
  if (residual === undefined || residual.degreesOfFreedom === 0) throw tooFew("the groups", groups.length + 1, rows.length);
  const meanSquare = residual.sumOfSquares / residual.degreesOfFreedom;
  const answer = {
    rows: table,
    groups: groups.map(({ name, values }) => sampleOf(name, values, options.confidence)),
    ...varianceTests(groups),
    comparisons: options.tukey
      ? tukeyComparisons(factors, y, { meanSquare, df: residual.degreesOfFreedom, confidence: options.confidence })
      : [],
    missing: missingOf("listwise", frame.rowCount, rows.length, [response, ...columns]),
  };
  return { answer, groups };
}

function checkSize(factors: readonly Factor[], rowCount: number, interaction: boolean): void {
  for (const { name, levels } of factors) if (levels.length < 2) throw noVariation(`the categories of ${name}`);
  const [first = 1, second = 1] = factors.map(({ levels }) => levels.length);
  const terms = interaction ? first * second : first + second;
  if (terms > maxGroups || terms * rowCount > maxCells) {
    const got = `${terms} of ${rowCount} rows`;
    throw wrongField("factors", `expected at most ${maxGroups} groups and ${maxCells} groups times rows, got ${got}`);
  }
}

/** A term's columns by treatment contrasts, and in what row of the table they count. */
function tableOf(factors: readonly Factor[], y: Float64Array, interaction: boolean): AnovaRow[] {
  const contrasts = factors.map(({ codes, levels }) => levels.slice(1).map((_, at) => indicator(codes, at + 1)));
  const [first = [], second = []] = contrasts;
  const products = first.flatMap((a) => second.map((b) => a.map((value, at) => value * (b[at] as number))));
  const names = factors.map(({ name }) => name);
  const parts = [...contrasts.map((columns, at) => ({ term: names[at] ?? "", columns }))];
  if (interaction && factors.length === 2) parts.push({ term: names.join(":"), columns: products });
  const fit = leastSquares([new Float64Array(y.length).fill(1), ...parts.flatMap(({ columns }) => columns)], y);
  let at = 1;
  const terms = parts.map(({ term, columns }) => {
    const own = Array.from({ length: columns.length }, (_, offset) => at + offset);
    at += columns.length;
    return {
      term,
      degreesOfFreedom: own.filter((column) => !Number.isNaN(fit.coefficients[column])).length,
      sumOfSquares: own.reduce((sum, column) => sum + (fit.sequential[column] as number), 0),
    };
  });
  const rest = {
    term: "Residuals",
    degreesOfFreedom: y.length - fit.rank,
    sumOfSquares: fit.residuals.reduce((sum, value) => sum + value * value, 0),
  };
  const total = [...terms, rest].reduce((sum, { sumOfSquares }) => sum + sumOfSquares, 0);
  return [...terms.map((term) => ({ ...withShares(term, total), ...effectOf(term, rest) })), withShares(rest, total)];
}

function withShares(row: AnovaRow, total: number): AnovaRow {
  return {
    ...row,
    ...(row.degreesOfFreedom > 0 ? { meanSquare: row.sumOfSquares / row.degreesOfFreedom } : {}),
    ...(total > 0 ? { etaSquared: row.sumOfSquares / total } : {}),
  };
}

function effectOf(term: AnovaRow, rest: AnovaRow): { test?: TestResult } {
  const [df1, df2] = [term.degreesOfFreedom, rest.degreesOfFreedom];
  const f = term.sumOfSquares / df1 / (rest.sumOfSquares / df2);
  if (!Number.isFinite(f)) return {};
  return { test: { name: "F", statistic: f, degreesOfFreedom: [df1, df2], pValue: fProbability(f, df1, df2) } };
}

/** Each level, or each pair of levels that has values, the levels of the first factor varying last. */
function groupsOf(factors: readonly Factor[], y: Float64Array): Group[] {
  const [first, second] = factors;
  if (first === undefined) return [];
  const width = second?.levels.length ?? 1;
  const values = Array.from({ length: first.levels.length * width }, () => [] as number[]);
  for (let row = 0; row < y.length; row++) {
    values[(first.codes[row] as number) * width + (second?.codes[row] ?? 0)]?.push(y[row] as number);
  }
  const names = first.levels.flatMap((a) => (second === undefined ? [a] : second.levels.map((b) => `${a}:${b}`)));
  return names
    .map((name, at) => ({ name, values: Float64Array.from(values[at] ?? []) }))
    .filter((group) => group.values.length > 0);
}

/** Bartlett (1937), and Levene about medians (Brown and Forsythe, 1974). */
function varianceTests(groups: readonly Group[]): { varianceTest?: TestResult; leveneTest?: TestResult } {
  const n = groups.reduce((sum, { values }) => sum + values.length, 0);
  const k = groups.length;
  const spreads = groups.map(({ values }) => {
    const middle = quantileOf(values.toSorted(), 0.5);
    return values.map((value) => Math.abs(value - middle));
  });
  const all = meanOf(spreads.map(meanOf).map((mean, at) => (mean * (spreads[at]?.length ?? 0) * k) / n));
  const between = spreads.reduce((sum, spread) => sum + spread.length * (meanOf(spread) - all) ** 2, 0);
  const within = spreads.reduce((sum, spread) => sum + (spread.length > 1 ? varianceOf(spread) * (spread.length - 1) : 0), 0);
  const f = between / (k - 1) / (within / (n - k));
  const leveneTest = { name: "F", statistic: f, degreesOfFreedom: [k - 1, n - k], pValue: fProbability(f, k - 1, n - k) };
  const levene = Number.isFinite(f) ? { leveneTest } : {};
  if (groups.some(({ values }) => values.length < 2)) return levene;
  const degrees = groups.map(({ values }) => values.length - 1);
  const variances = groups.map(({ values }) => varianceOf(values));
  const weighted = (of: (variance: number) => number) =>
    degrees.reduce((sum, df, at) => sum + df * of(variances[at] as number), 0);
  const pooled = weighted((variance) => variance) / (n - k);
  const correction = 1 + (degrees.reduce((sum, df) => sum + 1 / df, 0) - 1 / (n - k)) / (3 * (k - 1));
  const statistic = ((n - k) * Math.log(pooled) - weighted(Math.log)) / correction;
  if (!Number.isFinite(statistic)) return levene;
  const pValue = chiSquaredProbability(statistic, k - 1);
  return { ...levene, varianceTest: { name: "K-squared", statistic, degreesOfFreedom: [k - 1], pValue } };
}
