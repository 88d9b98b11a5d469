/**
 * The values of cells. A cell is the text that PostgreSQL reads for a value of its column's type, or null; every text that `read` lets
 * through is one that COPY takes. Pure.
 */
import type { ColumnType } from "./column.ts";
import { isRawJson, rawJson } from "./raw-json.ts";

/** A value of a row. */
export type Cell = string | null;

/** A value that is not what its column holds. */
export class CellError extends Error {
  override readonly name = "CellError";
}

/**
 * The cell of type `type` that a text stands for.
 *
 * @throws CellError that says what was expected and what came.
 */
export function read(type: ColumnType, text: string): string {
  return readers[type](text);
}

/** The cell for a cell of another type: what Cast does. Blanks around what is no text do not count, and only of blanks is null. */
export function cast(to: ColumnType, from: ColumnType, cell: Cell): Cell {
  if (cell === null || from === to) return cell;
  if (from === "json") return castJson(to, cell);
  if (to === "json") return fromText.has(from) ? JSON.stringify(cell) : from === "boolean" ? String(cell === "t") : numberJson(cell);
  if (to === "text") return from === "boolean" ? String(cell === "t") : cell;
  if (to === "date" && from === "timestamp") return new Date(toIso(cell)).toISOString().slice(0, 10);
  if (to === "timestamp" && from === "date") return `${cell}T00:00:00Z`;
  if (to === "integer" && (from === "double" || from === "decimal")) return whole(cell);
  if (to === "integer" && from === "boolean") return cell === "t" ? "1" : "0";
  if (from === "text") {
    const trimmed = cell.trim();
    return trimmed === "" ? null : read(to, trimmed);
  }
  if ((to === "double" || to === "decimal") && (from === "integer" || from === "double" || from === "decimal")) {
    return read(to, cell);
  }
  if (to === "boolean" && from === "integer") return read(to, cell);
  throw new CellError(`a ${from} cannot become a ${to}`);
}

/** The cell for a value of JSON.parse (or of a reader of Parquet, whose integers are bigints). */
export function fromJson(type: ColumnType, value: unknown): Cell {
  if (value === null || value === undefined) return null;
  if (type === "json") return storable(JSON.stringify(value));
  if (typeof value === "string") return type === "boolean" ? fail(type, value) : read(type, value);
  if (typeof value === "boolean") {
    if (type === "boolean") return value ? "t" : "f";
    return type === "text" ? String(value) : fail(type, String(value));
  }
  const text = isRawJson(value) ? value.rawJSON : typeof value === "object" ? JSON.stringify(value) : String(value);
  // Raw numbers are those that doubles cannot keep.
  const numeric = typeof value === "number" || typeof value === "bigint" || isRawJson(value);
  if (!numeric) return type === "text" ? readText(text) : fail(type, text);
  if (type === "text" || type === "double" || type === "decimal") return read(type, text);
  return type === "integer" ? whole(text) : fail(type, text);
}

/** JSON.parse, but that numbers which doubles cannot keep stay what they are. @throws SyntaxError */
export function parseJson(text: string): unknown {
  if (!/\d{16}|\d[eE]|\.\d{15}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_, value: unknown, context?: { source?: string }) => {
    const source = context?.source;
    return typeof value === "number" && source !== undefined && String(value) !== source ? rawJson(source) : value;
  });
}

/** What is left of a text in a message about it. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text);
}

const fromText: ReadonlySet<ColumnType> = new Set<ColumnType>(["text", "timestamp", "date"]);

const readers: Readonly<Record<ColumnType, (text: string) => string>> = {
  text: readText,
  integer: readInteger,
  double: readDouble,
  decimal: readDecimal,
  boolean: readBoolean,
  timestamp: readTimestamp,
  date: readDate,
  json: readJson,
};

function fail(type: ColumnType, got: string): never {
  throw new CellError(`expected ${article[type]}, got ${shown(got)}`);
}

const article: Readonly<Record<ColumnType, string>> = {
  text: "a text",
  integer: "an integer",
  double: "a double",
  decimal: "a decimal",
  boolean: "a boolean",
  timestamp: "a timestamp",
  date: "a date",
  json: "JSON",
};

function readText(text: string): string {
  if (text.includes("\0")) throw new CellError("a text with U+0000 cannot be stored");
  return text;
}

const [minInteger, maxInteger] = [-(2n ** 63n), 2n ** 63n - 1n];

function readInteger(text: string): string {
  if (!/^[+-]?\d{1,30}$/.test(text)) fail("integer", text);
  if (text.length > 18) {
    const value = BigInt(text.startsWith("+") ? text.slice(1) : text);
    if (value < minInteger || value > maxInteger) throw new CellError(`expected an integer of 64 bits, got ${shown(text)}`);
  }
  return text;
}

/** A number without a fraction, however it is written. */
function whole(text: string): string {
  if (/^[+-]?\d+$/.test(text)) return readInteger(text);
  const value = Number(text);
  if (!Number.isInteger(value) || Math.abs(value) >= 2 ** 63) fail("integer", text);
  return String(BigInt(value));
}

const number = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?$/;

function readDouble(text: string): string {
  if (number.test(text)) {
    const value = Number(text);
    // PostgreSQL refuses what overflows or underflows a double.
    if (Number.isFinite(value) && (value !== 0 || !/[1-9]/.test(text.replace(/[eE].*$/, "")))) return text.length < 400 ? text : String(value);
    throw new CellError(`expected a number that a double can hold, got ${shown(text)}`);
  }
  if (/^nan$/i.test(text)) return "NaN";
  if (/^[+-]?inf(?:inity)?$/i.test(text)) return text.startsWith("-") ? "-Infinity" : "Infinity";
  return fail("double", text);
}

function readDecimal(text: string): string {
  if (!number.test(text)) fail("decimal", text);
  const exponent = Math.abs(Number(/[eE](.*)$/.exec(text)?.[1] ?? 0));
  if (text.length > 1000 || exponent > 1000) throw new CellError("expected a decimal of at most 1,000 digits");
  return text;
}

function readBoolean(text: string): string {
  if (/^(?:true|t|yes|y|1|on)$/i.test(text)) return "t";
  return /^(?:false|f|no|n|0|off)$/i.test(text) ? "f" : fail("boolean", text);
}

const dateTime = /^(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?(?:[Zz]|[+-](\d\d)(?::?(\d\d))?)?$/;

function readTimestamp(text: string): string {
  const [, date = "", hours, minutes, seconds = "0", offsetHours = "0", offsetMinutes = "0"] = dateTime.exec(text) ?? fail("timestamp", text);
  const sound = Number(hours) < 24 && Number(minutes) < 60 && Number(seconds) < 60;
  if (!sound || !isDate(date) || Number(offsetHours) > 15 || Number(offsetMinutes) > 59) fail("timestamp", text);
  return text;
}

function readDate(text: string): string {
  return isDate(text) ? text : fail("date", text);
}

function isDate(text: string): boolean {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text) ?? [];
  if (year === undefined || year === "0000") return false;
  const [m, d] = [Number(month), Number(day)];
  const leap = (Number(year) % 4 === 0 && Number(year) % 100 !== 0) || Number(year) % 400 === 0;
  return m >= 1 && m <= 12 && d >= 1 && d <= (m === 2 && leap ? 29 : (daysOf[m - 1] ?? 0));
}

const daysOf = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;

function readJson(text: string): string {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    fail("json", text);
  }
  return storable(JSON.stringify(value));
}

/** jsonb has neither U+0000 nor lone surrogates, nor numbers beyond numeric. */
function storable(json: string): string {
  // An even number of backslashes before it makes \u0000 six characters of a text.
  if (/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i.test(json)) throw new CellError("JSON with U+0000 or a lone surrogate cannot be stored");
  if (/\d[eE][+-]?\d{4}/.test(json) || json.length > 100_000_000) throw new CellError("JSON with so large a number cannot be stored");
  return json;
}

function castJson(to: ColumnType, cell: string): Cell {
  const value = parseJson(cell);
  if (to === "text" && typeof value === "string") return readText(value);
  return to === "text" && value !== null ? cell : fromJson(to, value);
}

/** NaN and the infinities are no JSON. */
function numberJson(cell: string): string {
  return /^[+-]?[NI]/.test(cell) ? JSON.stringify(cell) : JSON.stringify(rawJson(plain(cell)));
}

/** A number as JSON writes it. */
function plain(cell: string): string {
  const text = cell.replace(/^\+/, "").replace(/^(-?)0+(?=\d)/, "$1");
  const led = text.replace(/^(-?)\./, "$10.");
  return led.replace(/\.(?=[eE]|$)/, "");
}

/** A timestamp as Date reads it, whether it came as RFC 3339 or as PostgreSQL writes it (`2026-11-21 10:00:00+00`). */
export function toIso(cell: string): string {
  const text = cell.replace(" ", "T").replace(/([+-]\d\d)$/, "$1:00").replace(/([+-]\d\d)(\d\d)$/, "$1:$2");
  const timed = text.includes("T") ? text : `${text}T00:00:00Z`;
  return /[Zz]$|[+-]\d\d:\d\d$/.test(timed) ? timed : `${timed}Z`;
}
