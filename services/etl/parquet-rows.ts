/** Rows of a Parquet file from any row on. Runs in the worker threads. */
import { isUtf8 } from "node:buffer";
import type { FileHandle } from "node:fs/promises";
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  type ParquetParsers,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from "hyparquet";
import { type Cell, CellError, fromJson } from "./cell.ts";
import type { ReadRow, ReadRows } from "./chunk.ts";
import type { Column, ColumnType } from "./column.ts";
import type { FileInput, Position } from "./job.ts";

/** Bytes of a row group's columns at most, as they are compressed: a column of it is in memory as a whole. */
const maxGroupBytes = 256 * 2 ** 20;

/** Rows of a chunk. */
const chunkRows = 5000;

/** The rows from `position` on, whose offset counts rows. @throws CellError when the file cannot be read. */
export async function parquetRows(file: FileHandle, size: number, position: Position, input: FileInput): Promise<ReadRows> {
  const buffer = asyncBuffer(file, size);
  const metadata = await metadataOf(buffer);
  const scales = new Map(metadata.schema.filter(isDecimal).map(({ name, scale, logical_type: logical }) => [name, scaleOf(scale, logical)]));
  const { begin, end, bytes } = groupAt(metadata, position.offset);
  if (bytes > maxGroupBytes) throw new CellError(`expected row groups of at most 256 MiB, got one of ${bytes} bytes`);
  const rowEnd = Math.min(end, position.offset + chunkRows);
  const total = Number(metadata.num_rows);
  if (begin >= total) return { rows: [], next: position, done: true };
  const columns = input.columns.map(({ name }) => name);
  const range = { rowStart: position.offset, rowEnd };
  const exact = { metadata: undecimal(metadata), compressors, parsers, utf8: false, useOffsetIndex: true };
  const objects = await reading(() => parquetReadObjects({ file: buffer, columns, ...range, ...exact }));
  const rows = objects.map((object, index) => rowOf(object, position.line + index, input.columns, scales));
  const next = { offset: rowEnd, line: position.line + (rowEnd - position.offset) };
  return { rows, next, done: rowEnd >= total };
}

/** The columns of a Parquet file; what is nested becomes JSON. @throws CellError when it is none. */
export async function parquetColumns(file: FileHandle, size: number): Promise<Column[]> {
  const metadata = await metadataOf(asyncBuffer(file, size));
  return parquetSchema(metadata).children.map(({ element, children }) => {
    return { name: element.name, type: children.length > 0 || element.repetition_type === "REPEATED" ? "json" : typeOf(element) };
  });
}

type Element = FileMetaData["schema"][number];

function typeOf({ type, converted_type: converted, logical_type: logical }: Element): ColumnType {
  const kind = logical?.type ?? converted ?? "";
  if (kind === "DECIMAL") return "decimal";
  if (kind === "DATE") return "date";
  if (kind.startsWith("TIMESTAMP") || type === "INT96") return "timestamp";
  if (kind === "JSON" || kind === "BSON" || kind === "VARIANT" || kind === "GEOMETRY" || kind === "GEOGRAPHY") return "json";
  if (kind === "FLOAT16" || type === "FLOAT" || type === "DOUBLE") return "double";
  if (type === "BOOLEAN") return "boolean";
  if (kind.startsWith("TIME")) return "text";
  if (type === "INT32" || type === "INT64") return kind === "UINT_64" ? "decimal" : "integer";
  return "text";
}

function rowOf(
  object: Record<string, unknown>,
  line: number,
  columns: readonly Column[],
  scales: ReadonlyMap<string, number>,
): ReadRow {
  const text = () => JSON.stringify(object, jsonOf).slice(0, 8000);
  const cells: Cell[] = [];
  for (const { name, type } of columns) {
    try {
      cells.push(cellOf(type, object[name], scales.get(name) ?? 0));
    } catch (error) {
      if (!(error instanceof CellError)) throw error;
      return { line, cells: `${name}: ${error.message}`, text };
    }
  }
  return { line, cells, text };
}

function cellOf(type: ColumnType, value: unknown, scale: number): Cell {
  if (value === null || value === undefined) return null;
  if (type === "decimal" && scale > 0) return scaled(value instanceof Uint8Array ? signed(value) : BigInt(value as bigint), scale);
  if (value instanceof Uint8Array) return type === "decimal" ? String(signed(value)) : fromJson(type, textOf(value));
  if (typeof value === "object") return fromJson(type, JSON.parse(JSON.stringify(value, jsonOf)));
  return fromJson(type, value);
}

/** Old writers do not say which bytes are text. */
function textOf(bytes: Uint8Array): string {
  return isUtf8(bytes) ? Buffer.from(bytes).toString("utf8") : Buffer.from(bytes).toString("base64");
}

function jsonOf(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  return value instanceof Uint8Array ? textOf(value) : value;
}

/** The library would make doubles of decimals: without their annotation they come as the integers that they are kept as. */
function undecimal(metadata: FileMetaData): FileMetaData {
  const schema = metadata.schema.map((element) => {
    if (!isDecimal(element)) return element;
    const { converted_type: _, logical_type: __, ...raw } = element;
    return raw;
  });
  return { ...metadata, schema };
}

function isDecimal({ converted_type: converted, logical_type: logical, num_children: children }: Element): boolean {
  return children === undefined && (converted === "DECIMAL" || logical?.type === "DECIMAL");
}

function scaleOf(scale: number | undefined, logical: Element["logical_type"]): number {
  return scale ?? (logical?.type === "DECIMAL" ? logical.scale : 0);
}

/** Two's complement, the highest byte first. */
function signed(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt.asIntN(8 * bytes.length, BigInt(`0x${Buffer.from(bytes).toString("hex")}`));
}

function scaled(unscaled: bigint, scale: number): string {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0");
  return `${unscaled < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** Times as texts: a Date would lose what is below a millisecond. */
const parsers: Partial<ParquetParsers> = {
  timestampFromMilliseconds: (ms) => moment(BigInt(ms) * 1000n),
  timestampFromMicroseconds: (micros) => moment(BigInt(micros)),
  timestampFromNanoseconds: (nanos) => moment(BigInt(nanos) / 1000n),
  dateFromDays: (days) => moment(BigInt(days) * 86_400_000_000n).slice(0, 10),
  stringFromBytes: (bytes) => bytes && Buffer.from(bytes).toString("utf8"),
};

function moment(micros: bigint): string {
  const below = ((micros % 1000n) + 1000n) % 1000n;
  const date = new Date(Number((micros - below) / 1000n));
  if (Number.isNaN(date.getTime())) return `${micros} microseconds`;
  return `${date.toISOString().slice(0, -1)}${String(below).padStart(3, "0")}Z`;
}

/** The row group that a row is in. */
function groupAt({ row_groups: groups }: FileMetaData, row: number) {
  let begin = 0;
  for (const group of groups) {
    const end = begin + Number(group.num_rows);
    if (row < end) {
      const bytes = group.columns.reduce((sum, { meta_data: meta }) => sum + Number(meta?.total_compressed_size ?? 0), 0);
      return { begin, end, bytes };
    }
    begin = end;
  }
  return { begin, end: begin, bytes: 0 };
}

function metadataOf(buffer: AsyncBuffer): Promise<FileMetaData> {
  return reading(() => parquetMetadataAsync(buffer));
}

async function reading<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new CellError(`cannot read the Parquet file: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function asyncBuffer(file: FileHandle, byteLength: number): AsyncBuffer {
  return {
    byteLength,
    async slice(start, end = byteLength) {
      const bytes = new Uint8Array(Math.max(0, Math.min(end, byteLength) - start));
      await file.read(bytes, 0, bytes.length, start);
      return bytes.buffer;
    },
  };
}

const compressors: Compressors = {
  GZIP: (input) => gunzipSync(input),
  BROTLI: (input) => brotliDecompressSync(input),
  ZSTD: (input) => zstdDecompressSync(input),
};
