/** What each analysis looks like. Pure. */
import type { BoxChart, Chart, PointSeries } from "#mesh/chart/chart.ts";
import { groupsOf } from "./describe.ts";
import { tQuantile } from "./distributions.ts";
import { columnOf, type Frame, isMissing } from "./frame.ts";
import { centralSum, meanOf, quantileOf } from "./moments.ts";
import { confidenceOf, type Operation, type Options, operations } from "./operations.ts";
import { noVariation } from "./refusal.ts";
import type { TestResult } from "./results.ts";

/** The chart of each analysis. */
export const plots: { readonly [O in Operation]: (frame: Frame, options: Options) => Chart } = {
  describe: describePlot,
  correlate: correlatePlot,
  regress: regressPlot,
  tTest(frame, options) {
    const { answer, samples } = operations.tTest(frame, options);
    const title = `${answer.method.replaceAll("_", " ")} t-test: ${testText(answer.test)}`;
    return boxPlot(samples, title, `Estimate ${short(answer.estimate)}, ${testText(answer.test)}.`);
  },
  anova(frame, options) {
    const { answer, groups } = operations.anova(frame, options);
    const tests = answer.rows.flatMap(({ term, test }) => (test === undefined ? [] : [`${term}: ${testText(test)}`]));
    const title = `${options.response} by ${(options.factors ?? []).join(" and ")}`;
    return { ...boxPlot(groups, title, `${tests.join("; ")}.`), y: { name: options.response ?? "", loose: true } };
  },
  histogram(frame, options) {
    const { answer, variable } = operations.histogram(frame, options);
    const { bins, count, normalityTest } = answer;
    const normal = normalityTest === undefined ? "" : ` Normal distribution: ${testText(normalityTest)}.`;
    const description = `${count} values in ${bins.length} bins.${normal}`;
    return {
      kind: "histogram",
      title: `Histogram of ${variable}`,
      description,
      bins,
      x: { name: variable },
      y: { name: "count" },
    };
  },
  timeSeries: timeSeriesPlot,
};

const maxPoints = 2000;
const maxBoxes = 60;
const maxOutliers = 100;

function describePlot(frame: Frame, options: Options): Chart {
  const { answer } = operations.describe(frame, options);
  const by = options.groupBy ? columnOf(frame, options.groupBy, "group_by") : undefined;
  const rowsOf = new Map(by === undefined ? [] : groupsOf(by, frame.rowCount).map(({ name, rows }) => [name, rows]));
  const all = new Int32Array(frame.rowCount).map((_, row) => row);
  const numeric = answer.summaries.filter((summary) => summary.numeric !== undefined);
  const groups = numeric.map(({ variable, group }) => {
    const column = columnOf(frame, variable, "variables");
    const rows = (rowsOf.get(group) ?? all).filter((row) => !isMissing(column, row));
    const values =
      column.kind === "numbers" ? Float64Array.from(rows, (row) => column.values[row] as number) : new Float64Array();
    return { name: group === "" ? variable : `${variable} ${group}`, values };
  });
  if (groups.length > 0) return boxPlot(groups, "Distribution", `Of ${answer.missing.rowCount} rows.`);
  const levels = answer.summaries[0]?.categorical?.levels ?? [];
  return {
    kind: "bar",
    title: answer.summaries[0]?.variable ?? "No columns",
    description: `${levels.length} categories.`,
    labels: levels.map(({ level }) => level),
    series: [{ name: "count", values: levels.map(({ count }) => count) }],
    y: { name: "count" },
  };
}

/** Tukey's boxes: whiskers to the last values within 1.5 times the interquartile range. */
function boxPlot(groups: readonly { name: string; values: Float64Array }[], title: string, description: string): BoxChart {
  const shown = groups.filter(({ values }) => values.length > 0).slice(0, maxBoxes);
  const boxes = shown.map(({ name, values }) => {
    const sorted = values.toSorted();
    const [q1, median, q3] = [quantileOf(sorted, 0.25), quantileOf(sorted, 0.5), quantileOf(sorted, 0.75)];
    const reach = 1.5 * (q3 - q1);
    const inside = sorted.filter((value) => value >= q1 - reach && value <= q3 + reach);
    const outliers = sorted.filter((value) => value < q1 - reach || value > q3 + reach);
    return {
      name,
      values: [inside[0] ?? q1, q1, median, q3, inside.at(-1) ?? q3] as const,
      outliers: Array.from(thinned(outliers, maxOutliers)),
    };
  });
  const left = groups.length > shown.length ? ` The first ${shown.length} of ${groups.length} groups are shown.` : "";
  return { kind: "box", title, description: `${description}${left}`, boxes, y: { loose: true } };
}

function correlatePlot(frame: Frame, options: Options): Chart {
  const { method, variables, correlations } = operations.correlate(frame, options).answer;
  const found = new Map<string, number | null>();
  for (const { first, second, coefficient = null } of correlations) {
    found.set(JSON.stringify([first, second]), coefficient).set(JSON.stringify([second, first]), coefficient);
  }
  const values = variables.map((a) => variables.map((b) => (a === b ? 1 : (found.get(JSON.stringify([a, b])) ?? null))));
  const strongest = correlations.toSorted((a, b) => Math.abs(b.coefficient ?? 0) - Math.abs(a.coefficient ?? 0)).slice(0, 3);
  const texts = strongest.map(({ first, second, coefficient = 0 }) => `${first} and ${second} ${coefficient.toFixed(2)}`);
  const title = `${{ pearson: "Pearson's r", spearman: "Spearman's rho", kendall: "Kendall's tau" }[method]}`;
  return {
    ...{ kind: "heat", title, description: `Strongest: ${texts.join(", ")}.` },
    ...{ columns: variables, rows: variables, values, range: [-1, 1] },
  };
}

function regressPlot(frame: Frame, options: Options): Chart {
  const { answer, terms, response, fitted } = operations.regress(frame, options);
  const name = options.response ?? "";
  const [intercept, slope] = terms;
  const fit = `R squared ${short(answer.rSquared ?? Number.NaN)}${answer.test === undefined ? "" : `, ${testText(answer.test)}`}`;
  const frameOfChart = { kind: "scatter", description: `${answer.count} rows; ${fit}.`, y: { name, loose: true } } as const;
  if (terms.length === 2 && intercept?.predictor === "" && slope?.level === "" && answer.residualStandardError !== undefined) {
    const line = fittedLine(slope.values, fitted, answer.residualStandardError, confidenceOf(options));
    return {
      ...frameOfChart,
      title: `${name} by ${slope.name}: ${fit}`,
      x: { name: slope.name },
      series: [{ name, points: points(slope.values, response) }],
      lines: line,
    };
  }
  const ends = [Math.min(...thinned(fitted, maxPoints)), Math.max(...thinned(fitted, maxPoints))];
  return {
    ...frameOfChart,
    title: `${name}: ${fit}`,
    x: { name: `fitted ${name}` },
    series: [{ name: "observed", points: points(fitted, response) }],
    lines: [{ name: "fitted", points: ends.map((at) => [at, at] as const), tone: "neutral" }],
  };
}

/** The line, and the bounds of the mean at each place. */
function fittedLine(x: Float64Array, fitted: Float64Array, deviation: number, confidence: number): PointSeries[] {
  const n = x.length;
  const mean = meanOf(x);
  const squares = centralSum(x, mean, 2);
  if (!(squares > 0)) throw noVariation("the predictor");
  const order = new Int32Array(n).map((_, at) => at).sort((a, b) => (x[a] as number) - (x[b] as number));
  const [first, last] = [order[0] as number, order[n - 1] as number];
  const [from, to] = [x[first] as number, x[last] as number];
  const slope = ((fitted[last] as number) - (fitted[first] as number)) / (to - from);
  const quantile = tQuantile((1 + confidence) / 2, n - 2);
  const places = Array.from({ length: 81 }, (_, at) => from + ((to - from) * at) / 80);
  const line = (shift: -1 | 0 | 1) =>
    places.map((at) => {
      const reach = quantile * deviation * Math.sqrt(1 / n + (at - mean) ** 2 / squares);
      return [at, (fitted[first] as number) + slope * (at - from) + shift * reach] as const;
    });
  const bounds = `${short(100 * confidence)} % of the mean`;
  return [
    { name: "fitted line", points: line(0), tone: "bad" },
    { name: `lower ${bounds}`, points: line(-1), tone: "neutral" },
    { name: `upper ${bounds}`, points: line(1), tone: "neutral" },
  ];
}

function timeSeriesPlot(frame: Frame, options: Options): Chart {
  const { answer, variable } = operations.timeSeries(frame, options);
  const { values, count, decomposition, forecast } = answer;
  const ahead = forecast?.points ?? [];
  const at = (step: number) => count + step;
  const bound = (which: "lower" | "upper") => ahead.map(({ step, interval }) => [at(step), interval[which] ?? null] as const);
  const percent = `${short(100 * confidenceOf(options))} %`;
  const trend = answer.trend.coefficients[1];
  const series: PointSeries[] = [{ name: variable, points: values.map((value, index) => [index + 1, value] as const) }];
  if (decomposition !== undefined) {
    const points = decomposition.trend.map((value, index) => [decomposition.firstIndex + index + 1, value] as const);
    series.push({ name: "trend", points, tone: "neutral" });
  }
  if (forecast !== undefined) {
    series.push(
      { name: "forecast", points: ahead.map(({ step, value }) => [at(step), value] as const), tone: "bad" },
      { name: `lower ${percent}`, points: bound("lower"), tone: "warning" },
      { name: `upper ${percent}`, points: bound("upper"), tone: "warning" },
    );
  }
  return {
    ...{ kind: "line", places: { kind: "numbers" }, series, x: { name: "number" }, y: { name: variable, loose: true } },
    title: forecast === undefined ? variable : `${variable} with a forecast (${forecast.model.replaceAll("_", " ")})`,
    description: `${count} values; ${short(trend?.estimate ?? 0)} a step${trend?.test === undefined ? "" : `, ${testText(trend.test)}`}.`,
  };
}

function points(x: Float64Array, y: Float64Array): (readonly [number, number])[] {
  const step = Math.max(1, Math.ceil(x.length / maxPoints));
  return Array.from({ length: Math.ceil(x.length / step) }, (_, at) => [x[at * step] as number, y[at * step] as number] as const);
}

function thinned(values: Float64Array, most: number): Float64Array {
  const step = Math.max(1, Math.ceil(values.length / most));
  return values.filter((_, at) => at % step === 0);
}

function testText({ name, statistic, pValue }: TestResult): string {
  return `${name} = ${short(statistic)}, ${pValue < 0.001 ? "p < 0.001" : `p = ${short(pValue)}`}`;
}

function short(value: number): string {
  return Number(value.toPrecision(3)).toString();
}
