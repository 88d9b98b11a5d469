/** Rows as bytes of a file. Runs in the worker threads. */
import { stringify } from "csv-stringify/sync";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { type Cell, parseJson, toIso } from "./cell.ts";
import type { Column, ColumnType } from "./column.ts";
import { rawJson } from "./raw-json.ts";

/** Rows to encode. */
export interface EncodeTask {
  readonly kind: "encode";
  readonly format: "csv" | "ndjson" | "parquet";
  readonly columns: readonly Column[];
  readonly rows: readonly Cell[][];
  /** Whether they are the file's first, and whether they are its last. */
  readonly first: boolean;
  readonly last: boolean;
  /** What a Parquet file so far is: undefined at its beginning. */
  readonly parquet: ParquetSoFar | undefined;
}

/** What the end of a Parquet file says of its beginning. */
export interface ParquetSoFar {
  readonly offset: number;
  readonly rowCount: bigint;
  readonly groups: ParquetWriter["row_groups"];
}

/** The next bytes of the file. */
export interface Encoded {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly parquet: ParquetSoFar | undefined;
}

/** Encodes. A batch of a Parquet file becomes one row group of it. */
export function encodeRows(task: EncodeTask): Encoded {
  if (task.format === "parquet") return parquet(task);
  const text = task.format === "csv" ? csv(task) : ndjson(task);
  return { bytes: new TextEncoder().encode(text), parquet: undefined };
}

function csv({ columns, rows, first }: EncodeTask): string {
  const records: Cell[][] = first ? [columns.map(({ name }) => name)] : [];
  for (const row of rows) records.push(row.map((cell, place) => plainText(cell, columns[place]?.type)));
  // An empty text stays apart from no value.
  return stringify(records, { quoted_empty: true, record_delimiter: "\n" });
}

function plainText(cell: Cell, type: ColumnType | undefined): Cell {
  if (cell === null) return null;
  if (type === "boolean") return cell === "t" ? "true" : "false";
  return type === "timestamp" ? toIso(cell) : cell;
}

function ndjson({ columns, rows }: EncodeTask): string {
  let text = "";
  for (const row of rows) {
    const object: Record<string, unknown> = {};
    for (const [place, { name, type }] of columns.entries()) object[name] = jsonValue(row[place] ?? null, type);
    text += `${JSON.stringify(object)}\n`;
  }
  return text;
}

/** A cell as JSON has it: numbers as they are, however many digits, but NaN and the infinities as texts. */
export function jsonValue(cell: Cell, type: ColumnType): unknown {
  if (cell === null) return null;
  if (type === "boolean") return cell === "t";
  if (type === "json") return parseJson(cell);
  if (type === "timestamp") return toIso(cell);
  if (type === "integer" || type === "double" || type === "decimal") return /^-?\d/.test(cell) ? rawJson(cell) : cell;
  return cell;
}

type Element = ParquetWriter["schema"][number];

/** How Parquet keeps each type. Decimals are texts: Parquet has them of one scale only. */
const elements: Readonly<Record<ColumnType, Omit<Element, "name">>> = {
  text: { type: "BYTE_ARRAY", converted_type: "UTF8" },
  integer: { type: "INT64" },
  double: { type: "DOUBLE" },
  decimal: { type: "BYTE_ARRAY", converted_type: "UTF8" },
  boolean: { type: "BOOLEAN" },
  timestamp: { type: "INT64", converted_type: "TIMESTAMP_MICROS" },
  date: { type: "INT32", converted_type: "DATE" },
  json: { type: "BYTE_ARRAY", logical_type: { type: "JSON" } },
};

function parquet({ columns, rows, last, parquet: before }: EncodeTask): Encoded {
  const own = columns.map(({ name, type }): Element => ({ name, ...elements[type], repetition_type: "OPTIONAL" }));
  const writer = new ByteWriter();
  const file = new ParquetWriter({ writer, schema: [{ name: "root", num_children: columns.length }, ...own] });
  if (before !== undefined) {
    // Goes on where the rows before left off: the header that was just written again is theirs.
    writer.index = 0;
    writer.offset = before.offset;
    file.num_rows = before.rowCount;
    file.row_groups = before.groups;
  }
  const columnData = columns.map(({ name, type }, place) => {
    const data = rows.map((row) => parquetValue(row[place] ?? null, type));
    return { name, data, offsetIndex: false, statistics: type !== "json" };
  });
  if (rows.length > 0) file.write({ columnData, rowGroupSize: rows.length });
  if (last) file.finish();
  const bytes = new Uint8Array(writer.getBuffer());
  return { bytes, parquet: { offset: writer.offset, rowCount: file.num_rows, groups: file.row_groups } };
}

function parquetValue(cell: Cell, type: ColumnType): unknown {
  if (cell === null) return null;
  switch (type) {
    case "integer":
      return BigInt(cell);
    case "double":
      return Number(cell);
    case "boolean":
      return cell === "t";
    case "json":
      return new TextEncoder().encode(cell);
    case "date":
      return Date.parse(`${cell}T00:00:00Z`) / 86_400_000;
    case "timestamp":
      return micros(toIso(cell));
    default:
      return cell;
  }
}

function micros(iso: string): bigint {
  const fraction = /\.(\d+)/.exec(iso)?.[1] ?? "";
  const below = Number(fraction.padEnd(6, "0").slice(3, 6));
  return BigInt(Date.parse(iso)) * 1000n + BigInt(below);
}
