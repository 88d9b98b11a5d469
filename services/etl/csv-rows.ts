/**
 * Rows of a CSV from any row on. Runs in the worker threads.
 *
 * A row that cannot be read (a quote where none may be, or one that is never closed) takes its first line with it, and reading goes on
 * with the next line: no quote can swallow the rest of a file.
 */
import { isUtf8 } from "node:buffer";
import { Parser } from "csv-parse";
import { type Cell, CellError, read } from "./cell.ts";
import { maxRowBytes, type ReadRow, type ReadRows } from "./chunk.ts";
import type { CsvOptions, FileInput, Position } from "./job.ts";
import { LineCounter } from "./line-counter.ts";

/** The rows that lie wholly in `bytes`, which begin at `position`; `last`: the file ends with them. */
export function csvRows(bytes: Buffer, position: Position, last: boolean, input: FileInput): ReadRows {
  const lines = new LineCounter(bytes, position.line);
  const toCells = cellsOf(input);
  const sound = isUtf8(bytes.subarray(0, bytes.lastIndexOf(10) + 1)) && (!last || isUtf8(bytes));
  const rows: ReadRow[] = [];
  const reject = (start: number, end: number, reason: string): void => {
    const line = lines.at(start);
    rows.push({ line, cells: reason, text: () => lineText(bytes, start, end) });
  };
  let at = 0;
  while (at < bytes.length) {
    const { records, ends, error } = parse(bytes.subarray(at), last, input.csv);
    let start = at;
    for (const [index, record] of records.entries()) {
      const end = at + (ends[index] ?? 0);
      const from = start;
      start = end;
      // An empty line is no row, but of a file with one column.
      if (record.length === 1 && isBlank(record[0]) && input.fieldCount > 1) continue;
      if (!sound && !isUtf8(bytes.subarray(from, end))) reject(from, end, "expected UTF-8");
      else rows.push({ line: lines.at(from), cells: toCells(record), text: () => lineText(bytes, from, end) });
    }
    at = start;
    if (error === undefined) break;
    const newline = bytes.indexOf(10, at);
    // A quote that is open at the end of the bytes may be closed behind it, unless the row is too long by then.
    if (newline === -1 && !last) break;
    const end = newline === -1 ? bytes.length : newline + 1;
    reject(at, end, error);
    at = end;
  }
  const next = { offset: position.offset + at, line: lines.at(at) };
  return { rows, next, done: last && at >= bytes.length };
}

/** The names of a CSV's columns, and where its rows begin. Undefined when `bytes` hold no whole line. */
export function csvHeader(bytes: Buffer, last: boolean, csv: CsvOptions): { names: string[]; start: Position } | undefined {
  const bom = bytes.subarray(0, 3).equals(Buffer.from("\ufeff")) ? 3 : 0;
  const { records, ends, error } = parse(bytes.subarray(bom), last, csv, 1);
  const [names, end] = [records[0], ends[0]];
  if (names === undefined || end === undefined) {
    if (error !== undefined) throw new CellError(`line 1: ${error}`);
    return undefined;
  }
  const lines = new LineCounter(bytes, 1);
  const texts = names.map((name) => (typeof name === "string" ? name : (name?.quoted ?? "")));
  return csv.noHeader
    ? { names: texts, start: { offset: bom, line: 1 } }
    : { names: texts, start: { offset: bom + end, line: lines.at(bom + end) } };
}

/** A field: an empty one in quotes is a value, one without is none. */
type Field = string | { readonly quoted: string } | null | undefined;

/** Gathers records and where each ends, at once: a stream's turns of the event loop would help nobody here. */
class Gatherer extends Parser {
  readonly records: Field[][] = [];
  readonly ends: number[] = [];

  /** Answers what is wrong with the record behind the last one gathered. `last`: the bytes end the file. */
  gather(bytes: Buffer, last: boolean): Error | undefined {
    let error: Error | null | undefined;
    const hear = (thrown?: Error | null) => {
      error = thrown;
    };
    this._transform(bytes, "utf8", hear);
    if (last && !error) this._flush(hear);
    return error ?? undefined;
  }

  override push(record: Field[] | null): boolean {
    if (record !== null) {
      this.records.push(record);
      this.ends.push(this.info.bytes);
    }
    return true;
  }
}

function parse(bytes: Buffer, last: boolean, { delimiter, nullText, trim }: CsvOptions, to = -1) {
  const telling = nullText !== "";
  const parser = new Gatherer({
    delimiter,
    record_delimiter: ["\r\n", "\n"],
    relax_column_count: true,
    max_record_size: maxRowBytes,
    ltrim: trim,
    rtrim: trim,
    ...(to === -1 ? {} : { to }),
    // Only here it shows whether a field was in quotes; it costs half the speed, so only who needs it pays.
    ...(telling ? { cast: (value: string, { quoting }: { quoting: boolean }) => (quoting ? { quoted: value } : value) } : {}),
  });
  parser.on("error", () => undefined);
  const error = parser.gather(bytes, last);
  const { records, ends } = parser;
  return { records, ends, error: error === undefined ? undefined : plain(error.message) };
}

/** The parser counts lines from where it began. */
function plain(message: string): string {
  return message.replace(/ at line \d+/g, "").replace(/ on line \d+/g, "");
}

function isBlank(field: Field): boolean {
  return typeof field === "string" && field.trim() === "";
}

/** From the fields of a line to the cells of the columns. */
function cellsOf({ columns, fields, fieldCount, csv }: FileInput): (record: readonly Field[]) => Cell[] | string {
  const { nullText } = csv;
  const places = columns.map(({ name, type }, index) => ({ name, type, field: fields[index] ?? -1 }));
  return (record) => {
    if (record.length !== fieldCount) return `expected ${fieldCount} fields, got ${record.length}`;
    const cells: Cell[] = [];
    for (const { name, type, field } of places) {
      const value = record[field];
      if (typeof value === "object" && value !== null) {
        const cell = toCell(name, type, value.quoted);
        if (cell instanceof CellError) return cell.message;
        cells.push(cell);
      } else if (value === undefined || value === null || value === "" || value === nullText) cells.push(null);
      else {
        const cell = toCell(name, type, value);
        if (cell instanceof CellError) return cell.message;
        cells.push(cell);
      }
    }
    return cells;
  };
}

function toCell(name: string, type: FileInput["columns"][number]["type"], value: string): Cell | CellError {
  try {
    return read(type, type === "text" ? value : value.trim());
  } catch (error) {
    if (error instanceof CellError) return new CellError(`${name}: ${error.message}`);
    throw error;
  }
}

function lineText(bytes: Buffer, start: number, end: number): string {
  return bytes.toString("utf8", start, Math.min(end, start + 8000)).replace(/\r?\n$/, "");
}
