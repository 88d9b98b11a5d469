/** Data as they come in a request, to columns; what takes long runs in the worker thread. Pure. */
import { parse } from "csv-parse/sync";
import { ColumnBuilder, frameFrom, limits } from "./column-builder.ts";
import type { Frame } from "./frame.ts";
import { wrongField } from "./refusal.ts";

/** Data on their way to a thread. */
export type Source =
  | { readonly kind: "frame"; readonly frame: Frame }
  | { readonly kind: "csv"; readonly field: string; readonly text: string }
  | { readonly kind: "csv-bytes" | "json-bytes"; readonly bytes: Uint8Array };

/** @throws Refusal naming the field and the place in it. */
export function frameOf(source: Source): Frame {
  if (source.kind === "frame") return source.frame;
  if (source.kind === "csv") return csvFrame(source.text, source.field);
  const text = decoded(source.bytes);
  return source.kind === "csv-bytes" ? csvFrame(text, "raw") : jsonFrame(text);
}

/** What stands for no value in CSV. */
const missing: ReadonlySet<string> = new Set(["", "NA", "NaN", "null"]);

function csvFrame(text: string, field: string): Frame {
  const rows = csvRows(text, field);
  const [names = [], ...records] = rows;
  if (names.length > limits.columns) throw wrongField(field, `expected at most ${limits.columns} columns, got ${names.length}`);
  if (records.length === 0) throw wrongField(field, "expected a line of names and lines of values");
  const columns = names.map((name, at) => {
    const numeric = records.every((record) => missing.has(record[at] ?? "") || isNumber(record[at] ?? ""));
    const builder = new ColumnBuilder(name);
    for (const [row, record] of records.entries()) {
      const value = record[at] ?? "";
      // The line of names is the first.
      const place = () => `${field}: line ${row + 2}, column ${JSON.stringify(name)}`;
      if (missing.has(value)) builder.addMissing();
      else if (numeric) builder.addNumber(Number(value), place);
      else builder.addText(value, place);
    }
    return builder.build();
  });
  return frameFrom(columns, field);
}

/** Decimal digits, point and exponent; not all that Number takes, such as 0x10 or a space. */
function isNumber(text: string): boolean {
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text);
}

function csvRows(text: string, field: string): string[][] {
  try {
    return parse(text, { bom: true, skip_empty_lines: true, trim: true, to: limits.rows + 2 });
  } catch (error) {
    throw wrongField(field, `expected CSV (RFC 4180): ${error instanceof Error ? error.message : String(error)}`);
  }
}

function jsonFrame(text: string): Frame {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw wrongField("raw", `expected JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (Array.isArray(json)) return listsFrame(listsOf(json), "raw");
  if (isObject(json)) return listsFrame(new Map(Object.entries(json)), "raw");
  throw wrongField("raw", "expected an object of lists or a list of objects");
}

/** Columns from lists by name. */
export function listsFrame(lists: ReadonlyMap<string, unknown>, field: string): Frame {
  const columns = [...lists].map(([name, values]) => {
    if (!Array.isArray(values)) throw wrongField(`${field}.${name}`, "expected a list of numbers, texts and null");
    const builder = new ColumnBuilder(name);
    for (const [at, value] of values.entries()) {
      const place = () => `${field}.${name}[${at}]`;
      if (value === null || value === "NaN") builder.addMissing();
      else if (typeof value === "number") builder.addNumber(value, place);
      else if (typeof value === "string") builder.addText(value, place);
      else if (typeof value === "boolean") builder.addText(String(value), place);
      else throw wrongField(place(), `expected a number, a text or null, got ${Array.isArray(value) ? "a list" : "an object"}`);
    }
    return builder.build();
  });
  if (columns.length === 0) throw wrongField(field, "expected at least one column");
  return frameFrom(columns, field);
}

/** The lists of the names that any object has; null where one lacks the name. */
function listsOf(rows: readonly unknown[]): Map<string, unknown[]> {
  const lists = new Map<string, unknown[]>();
  for (const [row, object] of rows.entries()) {
    if (!isObject(object)) throw wrongField(`raw[${row}]`, "expected an object");
    for (const [name, value] of Object.entries(object)) {
      let list = lists.get(name);
      if (list === undefined) {
        if (lists.size === limits.columns) throw wrongField("raw", `expected at most ${limits.columns} columns`);
        list = new Array(rows.length).fill(null);
        lists.set(name, list);
      }
      list[row] = value;
    }
  }
  return lists;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw wrongField("raw", "expected UTF-8");
  }
}
