/** Student's t-test in its four forms. Pure. */
import { type Alternative, tProbability, tQuantile } from "./distributions.ts";
import { columnOf, completeRows, type Frame, factorAt, missingOf, numberColumn, presentValues, valuesAt } from "./frame.ts";
import { meanOf, type Sample, sampleOf, varianceOf, varies } from "./moments.ts";
import { noVariation, tooFew, wrongField } from "./refusal.ts";
import type { Interval, Missing, TestResult } from "./results.ts";

/** What to test. */
export interface TTestOptions {
  readonly variable: string;
  /** Empty: none. */
  readonly group: string;
  /** Empty: none. */
  readonly second: string;
  readonly paired: boolean;
  readonly equalVariances: boolean;
  readonly mean: number;
  readonly alternative: Alternative;
  readonly confidence: number;
}

/** The answer. */
export interface TTest {
  method: "one_sample" | "welch" | "pooled" | "paired";
  alternative: Alternative;
  samples: Sample[];
  estimate: number;
  standardError: number;
  interval: Interval;
  test: TestResult;
  missing: Missing;
}

/** Named values. */
interface Values {
  readonly name: string;
  readonly values: Float64Array;
}

/** A t-test with the samples that a plot of it shows. */
export interface ShownTTest {
  readonly answer: TTest;
  readonly samples: readonly Values[];
}

/** Tests one mean, two, or that of differences. */
export function tTest(frame: Frame, options: TTestOptions): ShownTTest {
  const { samples, method, missing } = samplesOf(frame, options);
  const [first, second] = samples;
  const { estimate, standardError, df } =
    second === undefined ? oneSample(first) : twoSamples(first, second, method === "pooled");
  const t = (estimate - options.mean) / standardError;
  if (!(standardError > 10 * Number.EPSILON * Math.max(...samples.map(({ values }) => Math.abs(meanOf(values)))))) {
    throw noVariation(`the values of ${samples.map(({ name }) => name).join(" and ")}`);
  }
  const answer = {
    method,
    alternative: options.alternative,
    samples: samples.map(({ name, values }) => sampleOf(name, values, options.confidence)),
    estimate,
    standardError,
    interval: intervalOf(estimate, standardError, df, options),
    test: { name: "t", statistic: t, degreesOfFreedom: [df], pValue: tProbability(t, df, options.alternative) },
    missing,
  };
  return { answer, samples };
}

interface Chosen {
  readonly samples: readonly [Values] | readonly [Values, Values];
  readonly method: TTest["method"];
  readonly missing: Missing;
}

function samplesOf(frame: Frame, { variable, group, second, paired, equalVariances }: TTestOptions): Chosen {
  const column = numberColumn(frame, variable, "variable");
  const { rowCount } = frame;
  if (group !== "" && second !== "") throw wrongField("second", "expected nothing beside a group");
  if (paired && second === "") throw wrongField("second", "expected a column that variable is paired with");
  const method = equalVariances ? "pooled" : "welch";
  if (group !== "") {
    const by = columnOf(frame, group, "group");
    const rows = completeRows([column, by], rowCount);
    const { codes, levels } = factorAt(by, rows);
    const [one, two, ...more] = levels;
    if (one === undefined || two === undefined || more.length > 0) {
      throw wrongField("group", `expected a column with two levels, got ${levels.length} among the rows with a value`);
    }
    const values = valuesAt(column, rows);
    const samples = [
      { name: one, values: values.filter((_, at) => codes[at] === 0) },
      { name: two, values: values.filter((_, at) => codes[at] === 1) },
    ] as const;
    return { samples, method, missing: missingOf("listwise", rowCount, rows.length, [column, by]) };
  }
  if (second === "") {
    const values = presentValues(column);
    const missing = missingOf("per_column", rowCount, values.length, [column]);
    return { samples: [{ name: variable, values }], method: "one_sample", missing };
  }
  const other = numberColumn(frame, second, "second");
  const rows = completeRows([column, other], rowCount);
  if (!paired) {
    const samples = [
      { name: variable, values: presentValues(column) },
      { name: second, values: presentValues(other) },
    ] as const;
    return { samples, method, missing: missingOf("per_column", rowCount, rows.length, [column, other]) };
  }
  const subtracted = valuesAt(other, rows);
  const values = valuesAt(column, rows).map((value, at) => value - (subtracted[at] as number));
  const missing = missingOf("listwise", rowCount, rows.length, [column, other]);
  return { samples: [{ name: `${variable} - ${second}`, values }], method: "paired", missing };
}

function oneSample({ name, values }: Values) {
  if (values.length < 2) throw tooFew(name, 2, values.length);
  return { estimate: meanOf(values), standardError: Math.sqrt(varianceOf(values) / values.length), df: values.length - 1 };
}

function twoSamples(first: Values, second: Values, pooled: boolean) {
  const [n1, n2] = [first.values.length, second.values.length];
  const least = pooled ? 1 : 2;
  for (const { name, values } of [first, second]) if (values.length < least) throw tooFew(name, least, values.length);
  if (n1 + n2 < 3) throw tooFew(`${first.name} and ${second.name}`, 3, n1 + n2);
  const estimate = meanOf(first.values) - meanOf(second.values);
  const [v1, v2] = [varianceOf(first.values), varianceOf(second.values)];
  if (pooled) {
    const df = n1 + n2 - 2;
    // A single value has no variance of its own.
    const squares = (n1 > 1 ? (n1 - 1) * v1 : 0) + (n2 > 1 ? (n2 - 1) * v2 : 0);
    return { estimate, standardError: Math.sqrt((squares / df) * (1 / n1 + 1 / n2)), df };
  }
  const [e1, e2] = [v1 / n1, v2 / n2];
  if (!varies(first.values) && !varies(second.values)) throw noVariation(`the values of ${first.name} and ${second.name}`);
  // Welch and Satterthwaite.
  const df = (e1 + e2) ** 2 / (e1 ** 2 / (n1 - 1) + e2 ** 2 / (n2 - 1));
  return { estimate, standardError: Math.sqrt(e1 + e2), df };
}

function intervalOf(estimate: number, error: number, df: number, { alternative, confidence }: TTestOptions): Interval {
  const reach = tQuantile(alternative === "two_sided" ? (1 + confidence) / 2 : confidence, df) * error;
  return {
    ...(alternative === "less" ? {} : { lower: estimate - reach }),
    ...(alternative === "greater" ? {} : { upper: estimate + reach }),
  };
}
