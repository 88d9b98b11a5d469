/** From predictors to the columns of a linear model: numbers as they are, categories by treatment contrasts. Pure. */
import { type Column, type Factor, factorAt, valuesAt } from "./frame.ts";
import { noVariation, wrongField } from "./refusal.ts";

/** A column of the model. */
export interface Term {
  readonly name: string;
  /** Empty for the intercept. */
  readonly predictor: string;
  /** Of a category; else empty. */
  readonly level: string;
  readonly values: Float64Array;
}

/** The columns of a model. */
export interface Design {
  readonly terms: readonly Term[];
  readonly factors: readonly Factor[];
}

/** More than this would take more memory than a worker has. */
const maxCells = 2_000_000;
const maxTerms = 300;

/** The model of some rows. Without an intercept the first categorical predictor has a term for its first level, too. */
export function designOf(
  predictors: readonly Column[],
  rows: Int32Array,
  { intercept, categorical }: { readonly intercept: boolean; readonly categorical: readonly string[] },
): Design {
  const parts = predictors.map((column) =>
    column.kind === "texts" || categorical.includes(column.name)
      ? { factor: factorAt(column, rows) }
      : { name: column.name, values: valuesAt(column, rows) },
  );
  const widths = parts.map((part) => (part.factor === undefined ? 1 : part.factor.levels.length));
  const width = widths.reduce((sum, one) => sum + one, 1);
  if (width > maxTerms || width * rows.length > maxCells) {
    const got = `${width} terms of ${rows.length} rows`;
    throw wrongField("predictors", `expected at most ${maxTerms} terms and ${maxCells} terms times rows, got ${got}`);
  }
  const terms: Term[] = [];
  if (intercept) terms.push({ name: "(Intercept)", predictor: "", level: "", values: new Float64Array(rows.length).fill(1) });
  let whole = !intercept;
  for (const part of parts) {
    if (part.factor === undefined) terms.push({ name: part.name, predictor: part.name, level: "", values: part.values });
    else {
      const { name, levels, codes } = part.factor;
      if (levels.length < 2) throw noVariation(`the categories of ${name}`);
      for (const [code, level] of levels.entries()) {
        if (code === 0 && !whole) continue;
        terms.push({ name: `${name}${level}`, predictor: name, level, values: indicator(codes, code) });
      }
      whole = false;
    }
  }
  return { terms, factors: parts.flatMap(({ factor }) => (factor === undefined ? [] : [factor])) };
}

/** 1 where the code is `code`, else 0. */
export function indicator(codes: Int32Array, code: number): Float64Array {
  return Float64Array.from(codes, (one) => (one === code ? 1 : 0));
}
