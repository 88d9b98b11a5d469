/** Columns of data: numbers or categories. Pure. */
import { wrongField } from "./refusal.ts";
import type { Missing } from "./results.ts";

/** A column of numbers, NaN where missing. */
export interface NumberColumn {
  readonly kind: "numbers";
  readonly name: string;
  readonly values: Float64Array;
}

/** A column of texts: for each row the number of its text in `levels`, -1 where missing. The levels are in no order. */
export interface TextColumn {
  readonly kind: "texts";
  readonly name: string;
  readonly codes: Int32Array;
  readonly levels: readonly string[];
}

/** A column. */
export type Column = NumberColumn | TextColumn;

/** Columns of one length. */
export interface Frame {
  readonly rowCount: number;
  readonly columns: readonly Column[];
}

/** Categories: for each row the number of its level, in the order of the levels. Every level occurs. */
export interface Factor {
  readonly name: string;
  readonly codes: Int32Array;
  readonly levels: readonly string[];
}

/** @throws Refusal naming `field` when there is no such column. */
export function columnOf(frame: Frame, name: string, field: string): Column {
  const column = frame.columns.find((one) => one.name === name);
  if (column !== undefined) return column;
  const names = frame.columns.map((one) => JSON.stringify(one.name));
  const some = names.length > 20 ? [...names.slice(0, 20), "..."] : names;
  throw wrongField(field, `expected one of the columns ${some.join(", ")}, got ${JSON.stringify(name)}`);
}

/** @throws Refusal naming `field` when there is no such column, or it is none of numbers. */
export function numberColumn(frame: Frame, name: string, field: string): NumberColumn {
  const column = columnOf(frame, name, field);
  if (column.kind === "numbers") return column;
  const shown = JSON.stringify(column.levels.find((level) => !Number.isFinite(Number(level))) ?? column.levels[0] ?? "");
  throw wrongField(field, `expected a column of numbers, got ${JSON.stringify(name)}, which has the text ${shown}`);
}

/** Whether a row of the column lacks a value. */
export function isMissing(column: Column, row: number): boolean {
  return column.kind === "numbers" ? Number.isNaN(column.values[row]) : column.codes[row] === -1;
}

/** How many values the column lacks. */
export function missingCount(column: Column): number {
  let count = 0;
  const length = column.kind === "numbers" ? column.values.length : column.codes.length;
  for (let row = 0; row < length; row++) if (isMissing(column, row)) count++;
  return count;
}

/** The rows in which no column lacks a value. */
export function completeRows(columns: readonly Column[], rowCount: number): Int32Array {
  const rows = new Int32Array(rowCount);
  let used = 0;
  for (let row = 0; row < rowCount; row++) {
    if (!columns.some((column) => isMissing(column, row))) rows[used++] = row;
  }
  return rows.subarray(0, used);
}

/** The numbers of some rows. */
export function valuesAt(column: NumberColumn, rows: Int32Array): Float64Array {
  const values = new Float64Array(rows.length);
  for (let at = 0; at < rows.length; at++) values[at] = column.values[rows[at] as number] as number;
  return values;
}

/** All numbers of the column that are there. */
export function presentValues(column: NumberColumn): Float64Array {
  return column.values.filter((value) => !Number.isNaN(value));
}

/** Some rows of a column as categories. Levels of numbers are in the order of numbers, those of texts in that of Unicode. */
export function factorAt(column: Column, rows: Int32Array): Factor {
  const found = new Map<number, number>();
  const keyAt = (row: number) => (column.kind === "numbers" ? column.values[row] : column.codes[row]) as number;
  // 0 and -0 are one level: a Map takes them for the same.
  for (const row of rows) found.set(keyAt(row), 0);
  const keys = [...found.keys()];
  const label = (key: number) => (column.kind === "numbers" ? String(key) : (column.levels[key] ?? ""));
  if (column.kind === "numbers") keys.sort((a, b) => a - b);
  else keys.sort((a, b) => byUnicode(label(a), label(b)));
  for (const [at, key] of keys.entries()) found.set(key, at);
  const codes = Int32Array.from(rows, (row) => found.get(keyAt(row)) ?? 0);
  return { name: column.name, codes, levels: keys.map(label) };
}

/** What the columns in use lack. `used`: the rows that were used. */
export function missingOf(rule: string, rowCount: number, used: number, columns: readonly Column[]): Missing {
  const lacking = columns.map((column) => ({ name: column.name, count: missingCount(column) })).filter(({ count }) => count > 0);
  return { rule: lacking.length === 0 ? "none" : rule, rowCount, usedRowCount: used, columns: lacking };
}

/** By code points, whatever the locale: as R does with LC_COLLATE=C. */
export function byUnicode(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
