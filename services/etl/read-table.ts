/** The rows of a table in batches, of one moment although many statements read them. */
import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import type { ColumnValuesSchema, RowBatchSchema } from "#gen/etl/v1/table_pb.ts";
import { aborted, invalidArgument } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Cell } from "./cell.ts";
import { parseJson, toIso } from "./cell.ts";
import type { Column, ColumnType } from "./column.ts";
import { isRawJson } from "./raw-json.ts";
import { readStaging } from "./staging-store.ts";
import { getTable, sqlName, type UserTable } from "./table-store.ts";

/** What is read. */
export interface Reading {
  /** In this order; all when empty. */
  readonly columns: readonly string[];
  /** 0: all. */
  readonly maxRows: number;
  readonly batchSize: number;
  readonly afterRow: number;
  readonly layout: "rows" | "columns";
}

/** A batch of rows. */
export interface Batch {
  readonly batch: MessageInitShape<typeof RowBatchSchema>;
  readonly nextRow: number;
}

/** Characters of a batch, from which on it is cut: messages have at most 1 MiB. */
const maxChars = 256 * 1024;

/** The columns that are asked for. @throws INVALID_ARGUMENT naming columns when the table lacks one. */
export function chosenColumns(table: UserTable, names: readonly string[]): readonly Column[] {
  if (names.length === 0) return table.columns;
  return names.map((name, index) => {
    const column = table.columns.find((one) => one.name === name);
    if (column !== undefined) return column;
    const there = table.columns.map((one) => one.name).slice(0, 30);
    const description = `the table has no column ${JSON.stringify(name)}; it has ${there.join(", ")}`;
    throw invalidArgument([{ field: `columns[${index}]`, description }]);
  });
}

/** Reads. @throws ABORTED when the table is loaded or deleted meanwhile. */
export async function* readTable(
  db: Database,
  table: UserTable,
  columns: readonly Column[],
  reading: Reading,
): AsyncGenerator<Batch> {
  const name = sqlName(table.userId, table.name);
  let after = reading.afterRow;
  let left = reading.maxRows === 0 ? Number.POSITIVE_INFINITY : reading.maxRows;
  // The first batch tells how large rows are.
  let size = Math.min(reading.batchSize, 100);
  while (left > 0) {
    const { rows, lines } = await readStaging(db, name, columns, after, Math.min(size, left)).catch(async (error: unknown) => {
      await assertSame(db, table);
      throw error;
    });
    await assertSame(db, table);
    if (rows.length === 0) return;
    after = lines.at(-1) ?? after;
    left -= rows.length;
    let chars = 0;
    for (const row of rows) for (const cell of row) chars += (cell?.length ?? 0) + 8;
    size = Math.max(1, Math.min(reading.batchSize, Math.floor((maxChars * rows.length) / chars)));
    for (const part of parts(rows, lines)) {
      const nextRow = part.lines.at(-1) ?? after;
      yield { batch: batchOf(columns, part.rows, reading.layout), nextRow };
    }
    if (after >= table.rowCount) return;
  }
}

async function assertSame(db: Database, table: UserTable): Promise<void> {
  const now = await getTable(db, table.userId, table.name);
  if (now?.version === table.version && now.jobId === table.jobId) return;
  throw aborted(`table ${table.name} was ${now === undefined ? "deleted" : "loaded"} meanwhile: read it again`);
}

/** Rows may be larger than those before them: no part has more than twice the characters of a batch, but for one row. */
function* parts(rows: readonly Cell[][], lines: readonly number[]) {
  let start = 0;
  let chars = 0;
  for (const [index, row] of rows.entries()) {
    const size = row.reduce((sum, cell) => sum + (cell?.length ?? 0), 0);
    if (index > start && chars + size > 2 * maxChars) {
      yield { rows: rows.slice(start, index), lines: lines.slice(start, index) };
      start = index;
      chars = 0;
    }
    chars += size;
  }
  yield { rows: rows.slice(start), lines: lines.slice(start) };
}

function batchOf(columns: readonly Column[], rows: readonly Cell[][], layout: Reading["layout"]): Batch["batch"] {
  if (layout === "columns") {
    return {
      rowCount: rows.length,
      values: columns.map(({ type }, place) =>
        valuesOf(
          type,
          rows.map((row) => row[place] ?? null),
        ),
      ),
    };
  }
  const objects = rows.map((row) => {
    const object: JsonObject = {};
    for (const [place, { name, type }] of columns.entries()) object[name] = structValue(row[place] ?? null, type);
    return object;
  });
  return { rowCount: rows.length, rows: objects };
}

/** What is missing has a place in the list, so that places are those of rows. */
function valuesOf(type: ColumnType, cells: readonly Cell[]): MessageInitShape<typeof ColumnValuesSchema> {
  const missing = cells.flatMap((cell, index) => (cell === null ? [index] : []));
  switch (type) {
    case "double":
      return { missing, doubles: cells.map((cell) => Number(cell ?? 0)) };
    case "integer":
      return { missing, integers: cells.map((cell) => BigInt(cell ?? 0)) };
    case "boolean":
      return { missing, booleans: cells.map((cell) => cell === "t") };
    case "timestamp":
      return { missing, texts: cells.map((cell) => (cell === null ? "" : toIso(cell))) };
    default:
      return { missing, texts: cells.map((cell) => cell ?? "") };
  }
}

/** A cell in a Struct, whose numbers are doubles: what they would change is a text. */
function structValue(cell: Cell, type: ColumnType): JsonObject[string] {
  if (cell === null) return null;
  if (type === "boolean") return cell === "t";
  if (type === "timestamp") return toIso(cell);
  if (type === "json") return structOf(parseJson(cell));
  if (type === "integer") return Number.isSafeInteger(Number(cell)) ? Number(cell) : cell;
  if (type === "double") return Number.isFinite(Number(cell)) ? Number(cell) : cell;
  return cell;
}

function structOf(value: unknown): JsonObject[string] {
  if (isRawJson(value)) return Number.isFinite(Number(value.rawJSON)) ? Number(value.rawJSON) : value.rawJSON;
  if (Array.isArray(value)) return value.map(structOf);
  if (typeof value !== "object" || value === null) return value as JsonObject[string];
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, structOf(one)]));
}
