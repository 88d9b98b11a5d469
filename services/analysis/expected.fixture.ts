/** What R makes of its own data sets; fixtures/expected.R says how. */
import { readFileSync } from "node:fs";
import type { Column, Frame } from "./frame.ts";

/** One request and the parts of the answer that R knows. */
export interface ExpectedCase {
  readonly name: string;
  readonly operation: string;
  readonly dataset: string;
  readonly request: Readonly<Record<string, unknown>>;
  readonly expected: Readonly<Record<string, unknown>>;
}

/** A column as the file has it; null is missing. */
export type ExpectedColumn = readonly (number | string | null)[];

/** The statistic and p-value of a test of ranks. */
export interface ExpectedRankTest {
  readonly n: number;
  readonly statistic: number;
  readonly pValue: number;
}

interface Expected {
  readonly r: string;
  readonly datasets: Readonly<Record<string, Readonly<Record<string, ExpectedColumn>>>>;
  readonly distributions: {
    readonly t: readonly (readonly number[])[];
    readonly tQuantile: readonly (readonly number[])[];
    readonly f: readonly (readonly number[])[];
    readonly chiSquared: readonly (readonly number[])[];
    readonly normalQuantile: readonly (readonly number[])[];
    readonly studentizedRange: readonly (readonly number[])[];
    readonly spearman: readonly ExpectedRankTest[];
    readonly kendall: readonly ExpectedRankTest[];
    readonly shapiro: readonly { readonly n: number; readonly w: number; readonly pValue: number }[];
  };
  readonly cases: readonly ExpectedCase[];
  readonly best: readonly {
    readonly name: string;
    readonly dataset: string;
    readonly request: Readonly<Record<string, unknown>>;
    readonly sumOfSquaredErrors: number;
  }[];
}

/** The whole file. */
export const expected: Expected = JSON.parse(readFileSync(new URL("./fixtures/expected.json", import.meta.url), "utf8"));

/** A data set of R's as a frame. */
export function frameOf(name: string): Frame {
  const columns = Object.entries(expected.datasets[name] ?? {}).map(([column, values]) => columnOf(column, values));
  return { rowCount: columns[0]?.kind === "numbers" ? columns[0].values.length : (columns[0]?.codes.length ?? 0), columns };
}

function columnOf(name: string, values: ExpectedColumn): Column {
  if (values.every((value) => typeof value !== "string")) {
    return { kind: "numbers", name, values: Float64Array.from(values, (value) => (value === null ? Number.NaN : Number(value))) };
  }
  const levels = [...new Set(values.filter((value) => value !== null))].map(String);
  return {
    kind: "texts",
    name,
    levels,
    codes: Int32Array.from(values, (value) => (value === null ? -1 : levels.indexOf(String(value)))),
  };
}
