/** Expressions in CEL (https://cel.dev) over the columns of a row. Runs in the worker threads. */
import { celEnv, isCelError, type CelInput, CelScalar, isCelList, isCelMap, isCelUint, mapType, parse, plan } from "@bufbuild/cel";
import { strings } from "@bufbuild/cel/ext";
import { isReflectMessage } from "@bufbuild/protobuf/reflect";
import { type Duration, type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Cell, CellError, fromJson, parseJson, read, toIso } from "./cell.ts";
import type { ColumnType } from "./column.ts";
import type { PlacedColumn } from "./job.ts";
import { isRawJson, rawJson } from "./raw-json.ts";

/** A compiled expression: its value for a row, as CEL has it. @throws CellError when it has none. */
export interface Expression {
  /** The value in a row. */
  evaluate(row: readonly Cell[]): unknown;
  /** The value as a cell of a type. @throws CellError */
  cell(row: readonly Cell[], type: ColumnType): Cell;
  /** The type of its values, when it can be told from what it makes of values like these columns'. */
  readonly type: ColumnType | undefined;
}

/**
 * Compiles an expression over `columns`.
 *
 * @throws CellError when it is not CEL, names what is no column, or does to the columns' types what cannot be done.
 */
export function compile(expression: string, columns: readonly PlacedColumn[]): Expression {
  const parsed = parsing(() => parse(expression));
  const names = namesIn(parsed.expr);
  const whole = names.has("row") && !columns.some(({ name }) => name === "row");
  const bound = columns
    .filter(({ name }) => whole || names.has(name))
    .map((column) => ({ ...column, toCel: toCel[column.type], direct: names.has(column.name) }));
  const direct = bound.filter((one) => one.direct);
  const variables: Record<string, typeof CelScalar.DYN> = Object.fromEntries(direct.map(({ name }) => [name, CelScalar.DYN]));
  const env = celEnv({
    funcs: strings,
    variables: whole ? { ...variables, row: mapType(CelScalar.STRING, CelScalar.DYN) } : variables,
  });
  const run = parsing(() => plan(env, parsed)) as (context: Record<string, CelInput>) => unknown;
  const over = (value: (column: (typeof bound)[number]) => CelInput): unknown => {
    const context: Record<string, CelInput> = {};
    const entries = whole ? new Map<string, CelInput>() : undefined;
    for (const column of bound) {
      const input = value(column);
      if (column.direct) context[column.name] = input;
      entries?.set(column.name, input);
    }
    if (entries !== undefined) context.row = entries as CelInput;
    const result = run(context);
    if (isCelError(result)) throw new CellError(result.message);
    return result;
  };
  const evaluate = (row: readonly Cell[]): unknown =>
    over(({ place, toCel: convert }) => {
      const cell = row[place];
      return cell === null || cell === undefined ? null : convert(cell);
    });
  let type: ColumnType | undefined;
  try {
    const tried = over(({ type: of, toCel: convert }) => convert(examples[of]));
    type = typeOf(tried);
  } catch (error) {
    // A value may be wrong for what a function expects; a type that is wrong stays wrong.
    if (error instanceof CellError && /overload|unresolved|unbound|undeclared/.test(error.message)) {
      const known = columns.map(({ name }) => name);
      const unknown = /unresolved|undeclared/.test(error.message)
        ? `: it names what is no column, the columns are ${known.slice(0, 30).join(", ")}`
        : "";
      throw new CellError(`${error.message}${unknown}`);
    }
  }
  return { type, evaluate, cell: (row, to) => toCell(evaluate(row), to) };
}

function parsing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new CellError(error instanceof Error ? error.message : String(error));
  }
}

/** All identifiers of an expression; those that a macro binds may be among them. */
function namesIn(expr: unknown): Set<string> {
  const names = new Set<string>();
  const walk = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return;
    const { case: kind, value } = node as { case?: string; value?: { name?: string } };
    if (kind === "identExpr" && value?.name !== undefined) names.add(value.name);
    for (const child of Array.isArray(node) ? node : Object.values(node)) walk(child);
  };
  walk(expr);
  return names;
}

const toCel: Readonly<Record<ColumnType, (text: string) => CelInput>> = {
  text: (text) => text,
  integer: (text) => BigInt(text.startsWith("+") ? text.slice(1) : text),
  double: Number,
  decimal: Number,
  boolean: (text) => text === "t",
  timestamp: (text) => timestampFromMs(Date.parse(toIso(text))),
  date: (text) => timestampFromMs(Date.parse(`${text}T00:00:00Z`)),
  json: (text) => jsonInput(parseJson(text)),
};

const examples: Readonly<Record<ColumnType, string>> = {
  text: "1",
  integer: "1",
  double: "1.5",
  decimal: "1.5",
  boolean: "t",
  timestamp: "2026-01-02T03:04:05Z",
  date: "2026-01-02",
  json: "{}",
};

/** Numbers of JSON are doubles. */
function jsonInput(value: unknown): CelInput {
  if (Array.isArray(value)) return value.map(jsonInput) as CelInput;
  if (isRawJson(value)) return Number(value.rawJSON);
  if (typeof value === "object" && value !== null) {
    return new Map(Object.entries(value).map(([key, one]) => [key, jsonInput(one)])) as CelInput;
  }
  return value as CelInput;
}

function typeOf(value: unknown): ColumnType | undefined {
  if (typeof value === "string") return "text";
  if (typeof value === "bigint" || isCelUint(value)) return "integer";
  if (typeof value === "number") return "double";
  if (typeof value === "boolean") return "boolean";
  if (isReflectMessage(value)) return value.desc.typeName === "google.protobuf.Timestamp" ? "timestamp" : undefined;
  return isCelList(value) || isCelMap(value) ? "json" : undefined;
}

/** The cell for a value of CEL. */
function toCell(value: unknown, type: ColumnType): Cell {
  if (isReflectMessage(value)) {
    if (value.desc.typeName === "google.protobuf.Duration") {
      const { seconds, nanos } = value.message as Duration;
      return fromJson(type, Number(seconds) + nanos / 1e9);
    }
    if (value.desc.typeName !== "google.protobuf.Timestamp") throw new CellError(`expected ${type}, got ${value.desc.typeName}`);
    const { seconds, nanos } = value.message as Timestamp;
    const time = new Date(Number(seconds) * 1000 + Math.floor(nanos / 1e6));
    if (Number.isNaN(time.getTime()) || time.getUTCFullYear() > 9999 || time.getUTCFullYear() < 1) {
      throw new CellError("expected a time of the years 1 to 9999");
    }
    const text = time.toISOString();
    if (type === "date") return text.slice(0, 10);
    const micros = String(Math.floor((nanos % 1e6) / 1000)).padStart(3, "0");
    return read(type, `${text.slice(0, -1)}${micros === "000" ? "" : micros}Z`);
  }
  return fromJson(type, plainValue(value));
}

function plainValue(value: unknown): unknown {
  if (isCelUint(value)) return value.value;
  if (isCelList(value)) return [...value].map(jsonValue);
  if (isCelMap(value)) return Object.fromEntries([...value].map(([key, one]) => [String(plainValue(key)), jsonValue(one)]));
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return value;
}

/** JSON.stringify has no bigints. */
function jsonValue(value: unknown): unknown {
  const plain = plainValue(value);
  if (isReflectMessage(plain)) return toCell(plain, "text");
  return typeof plain === "bigint" ? rawJson(String(plain)) : plain;
}
