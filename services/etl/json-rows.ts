/** Rows of NDJSON, or of a file that is one JSON array, from any row on. Runs in the worker threads. */
import { isUtf8 } from "node:buffer";
import { type Cell, CellError, fromJson, parseJson, shown } from "./cell.ts";
import type { ReadRow, ReadRows } from "./chunk.ts";
import type { FileInput, Position } from "./job.ts";
import { itemsOf } from "./json-items.ts";
import { LineCounter } from "./line-counter.ts";

/** The lines that lie wholly in `bytes`, which begin at `position`; `last`: the file ends with them. Empty lines are no rows. */
export function ndjsonRows(bytes: Buffer, position: Position, last: boolean, input: FileInput): ReadRows {
  const toCells = cellsOf(input);
  const rows: ReadRow[] = [];
  let { line } = position;
  let at = bomLength(bytes, position);
  while (at < bytes.length) {
    const newline = bytes.indexOf(10, at);
    if (newline === -1 && !last) break;
    const end = newline === -1 ? bytes.length : newline;
    const row = rowOf(bytes.subarray(at, end), line, toCells);
    if (row !== undefined) rows.push(row);
    line += newline === -1 ? 0 : 1;
    at = newline === -1 ? end : newline + 1;
  }
  return { rows, next: { offset: position.offset + at, line }, done: last && at >= bytes.length };
}

/**
 * The items of an array that lie wholly in `bytes`.
 *
 * @throws CellError when the file is not one array.
 */
export function arrayRows(bytes: Buffer, position: Position, last: boolean, input: FileInput): ReadRows {
  const toCells = cellsOf(input);
  const lines = new LineCounter(bytes, position.line);
  const rows: ReadRow[] = [];
  const from = bomLength(bytes, position);
  const { items, next, ended } = itemsOf(bytes.subarray(from), position.offset === 0);
  for (const { start, end } of items) {
    const row = rowOf(bytes.subarray(from + start, from + end), lines.at(from + start), toCells);
    if (row !== undefined) rows.push(row);
  }
  const at = from + next;
  const here = lines.at(at);
  if (last && !ended) throw new CellError(`line ${here}: expected the end of the array, got the end of the file`);
  return { rows, next: { offset: position.offset + at, line: here }, done: ended };
}

/** An object that a row holds, or what is wrong with it. Undefined: an empty line. */
export function objectOf(bytes: Buffer): Record<string, unknown> | string | undefined {
  if (!isUtf8(bytes)) return "expected UTF-8";
  const text = bytes.toString("utf8").trim();
  if (text === "") return undefined;
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    return error instanceof Error ? `expected JSON: ${error.message}` : "expected JSON";
  }
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : `expected an object, got ${shown(text)}`;
}

function rowOf(bytes: Buffer, line: number, toCells: (object: Record<string, unknown>) => Cell[] | string): ReadRow | undefined {
  const object = objectOf(bytes);
  if (object === undefined) return undefined;
  const text = () => bytes.toString("utf8", 0, 8000).trimEnd();
  return { line, cells: typeof object === "string" ? object : toCells(object), text };
}

/** From the fields of an object to the cells of the columns. */
function cellsOf({ columns, ignoreUnknownFields }: FileInput): (object: Record<string, unknown>) => Cell[] | string {
  const known = new Set(columns.map(({ name }) => name));
  return (object) => {
    const cells: Cell[] = [];
    for (const { name, type } of columns) {
      try {
        cells.push(Object.hasOwn(object, name) ? fromJson(type, object[name]) : null);
      } catch (error) {
        if (error instanceof CellError) return `${name}: ${error.message}`;
        throw error;
      }
    }
    if (ignoreUnknownFields) return cells;
    for (const name in object) if (!known.has(name)) return `unknown field ${shown(name)}`;
    return cells;
  };
}

function bomLength(bytes: Buffer, { offset }: Position): number {
  return offset === 0 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
}
