/** The beginning of a file, for the columns that it has. Runs in the worker threads. */
import type { FileHandle } from "node:fs/promises";
import { CellError } from "./cell.ts";
import { chunkBytes, type Head, type HeadTask, maxRowBytes } from "./chunk.ts";
import { badColumns, type Column, type ColumnType } from "./column.ts";
import { csvHeader } from "./csv-rows.ts";
import { itemsOf } from "./json-items.ts";
import { objectOf } from "./json-rows.ts";
import { parquetColumns } from "./parquet-rows.ts";
import { isRawJson } from "./raw-json.ts";

/** How many rows of JSON are looked at for columns. */
const sampled = 1000;

/** Looks. @throws CellError when the file is not what it should be, or lacks a column that was asked for. */
export async function headOf(file: FileHandle, size: number, { format, csv, columns }: HeadTask): Promise<Head> {
  if (size === 0) throw new CellError("the file is empty");
  const start = { offset: 0, line: 1 };
  if (format === "parquet") {
    const found = await parquetColumns(file, size);
    return { columns: chosen(columns, found, "the file"), fields: [], fieldCount: 0, start };
  }
  const wanted = format === "csv" ? maxRowBytes : 4 * chunkBytes;
  const bytes = Buffer.alloc(Math.min(size, wanted));
  await file.read(bytes, 0, bytes.length, 0);
  const whole = bytes.length === size;
  if (format === "csv") return csvHead(bytes, whole, { csv, columns });
  const found = columns.length > 0 ? columns : jsonColumns(bytes, whole, format);
  return { columns: sound(found), fields: [], fieldCount: 0, start };
}

function csvHead(bytes: Buffer, whole: boolean, { csv, columns }: Pick<HeadTask, "csv" | "columns">): Head {
  const header = csvHeader(bytes, whole, csv);
  if (header === undefined) throw new CellError(`expected a first line of at most ${maxRowBytes} bytes`);
  const { names, start } = header;
  const fieldCount = names.length;
  if (csv.noHeader) {
    if (columns.length !== fieldCount) {
      throw new CellError(`expected as many columns as the file has fields, ${fieldCount}, got ${columns.length}`);
    }
    return { columns: sound(columns), fields: columns.map((_, place) => place), fieldCount, start };
  }
  const found = names.map((name): Column => ({ name: name.trim(), type: "text" }));
  const read = columns.length === 0 ? found : columns;
  const fields = read.map(({ name }) => found.findIndex((one) => one.name === name));
  const missing = read.find((_, index) => fields[index] === -1);
  if (missing !== undefined) throw lacks("the file", missing.name, found);
  return { columns: sound(read), fields, fieldCount, start };
}

/** What the first rows have, in the order in which the fields are first seen. */
function jsonColumns(bytes: Buffer, whole: boolean, format: "json" | "ndjson"): Column[] {
  const types = new Map<string, ColumnType | undefined>();
  let count = 0;
  for (const piece of pieces(bytes, whole, format)) {
    const object = objectOf(piece);
    if (typeof object !== "object") continue;
    for (const [name, value] of Object.entries(object)) {
      const [before, type] = [types.get(name), typeOfValue(value)];
      types.set(name, before === undefined || type === undefined || before === type ? (before ?? type) : "json");
    }
    if (++count === sampled) break;
  }
  if (count === 0) throw new CellError("expected objects, found none");
  return [...types].map(([name, type]) => ({ name, type: type ?? "text" }));
}

function* pieces(bytes: Buffer, whole: boolean, format: "json" | "ndjson"): Generator<Buffer> {
  const from = bytes.subarray(0, 3).equals(Buffer.from("\ufeff")) ? 3 : 0;
  const body = bytes.subarray(from);
  if (format === "json") {
    for (const { start, end } of itemsOf(body, true).items) yield body.subarray(start, end);
    return;
  }
  let at = 0;
  for (let newline = body.indexOf(10); newline !== -1; newline = body.indexOf(10, at)) {
    yield body.subarray(at, newline);
    at = newline + 1;
  }
  if (whole && at < body.length) yield body.subarray(at);
}

function typeOfValue(value: unknown): ColumnType | undefined {
  if (value === null) return undefined;
  if (typeof value === "string") return "text";
  if (typeof value === "boolean") return "boolean";
  return typeof value === "number" || isRawJson(value) ? "double" : "json";
}

function chosen(columns: readonly Column[], found: readonly Column[], where: string): readonly Column[] {
  if (columns.length === 0) return sound(found);
  for (const { name } of columns) if (!found.some((one) => one.name === name)) throw lacks(where, name, found);
  return sound(columns);
}

function sound(columns: readonly Column[]): readonly Column[] {
  const bad = badColumns(columns);
  if (bad !== undefined) throw new CellError(`${bad}; \`columns\` can say which to read`);
  return columns;
}

function lacks(where: string, name: string, found: readonly Column[]): CellError {
  const names = found.map((column) => column.name).slice(0, 30);
  return new CellError(`${where} has no column ${JSON.stringify(name)}; it has ${names.join(", ")}`);
}
