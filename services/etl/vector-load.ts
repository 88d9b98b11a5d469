/** Rows as items of a vector collection. An item that is sent again replaces itself, so a batch that may have come is sent again. */
import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ItemSchema } from "#gen/vector/v1/collection_pb.ts";
import { UpsertItemsRequestSchema, type VectorService } from "#gen/vector/v1/vector_pb.ts";
import { type Cell, toIso } from "./cell.ts";
import type { Column, ColumnType } from "./column.ts";
import { JobError, type Load } from "./job.ts";

/** Rows of a batch. */
export const vectorBatch = 200;

type VectorLoad = Extract<Load, { kind: "vector" }>;

/**
 * Sends rows, the last of those with the same id.
 *
 * @throws JobError when vector refuses them; UNAVAILABLE and the like when it is away.
 */
export async function sendItems(
  vector: Client<typeof VectorService>,
  load: VectorLoad,
  userId: string,
  columns: readonly Column[],
  rows: readonly Cell[][],
  signal: AbortSignal,
): Promise<void> {
  const items = new Map(rows.map((row) => itemOf(load, columns, row)).map((item) => [item.id, item]));
  const request = create(UpsertItemsRequestSchema, { collection: load.collection, userId, items: [...items.values()] });
  const requests = (async function* () {
    yield request;
  })();
  try {
    await vector.upsertItems(requests, { signal, timeoutMs: 60_000 });
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    if (refusals.has(error.code)) throw new JobError(`vector refuses the items: ${error.rawMessage}`);
    throw error;
  }
}

const refusals: ReadonlySet<Code> = new Set([
  ...[Code.InvalidArgument, Code.NotFound, Code.FailedPrecondition, Code.PermissionDenied, Code.OutOfRange, Code.Unimplemented],
]);

/** The item of a row. @throws JobError when it has none. */
export function itemOf(load: VectorLoad, columns: readonly Column[], row: readonly Cell[]) {
  const cell = (name: string): Cell => row[columns.findIndex((column) => column.name === name)] ?? null;
  const id = cell(load.id);
  if (id === null || id === "") throw new JobError(`column ${load.id}: expected an id in every row`);
  const metadata: JsonObject = {};
  for (const name of load.metadata) {
    const type = columns.find((column) => column.name === name)?.type ?? "text";
    const value = cell(name);
    if (value !== null) metadata[name] = metadataValue(value, type);
  }
  const text = load.text === undefined ? "" : (cell(load.text) ?? "");
  const vector = load.vector === undefined ? [] : numbers(load.vector, cell(load.vector));
  return { id, text, vector, metadata } satisfies MessageInitShape<typeof ItemSchema>;
}

function metadataValue(cell: string, type: ColumnType): JsonObject[string] {
  if (type === "boolean") return cell === "t";
  if (type === "json") return JSON.parse(cell) as JsonObject[string];
  if (type === "timestamp") return toIso(cell);
  if (type !== "integer" && type !== "double" && type !== "decimal") return cell;
  const value = Number(cell);
  return Number.isFinite(value) ? value : cell;
}

function numbers(column: string, cell: Cell): number[] {
  const value: unknown = cell === null ? [] : JSON.parse(cell);
  if (Array.isArray(value) && value.every((one) => typeof one === "number")) return value;
  throw new JobError(`column ${column}: expected lists of numbers`);
}
