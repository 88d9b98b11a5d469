/** What runs in the worker threads: each task is a function from a place in a source to what comes of the rows there. */
import { type FileHandle, open } from "node:fs/promises";
import { LRUCache } from "lru-cache";
import { move, transferableSymbol, valueSymbol } from "piscina";
import { type Cell, CellError } from "./cell.ts";
import { type Chunk, type ChunkTask, chunkBytes, type Head, type HeadTask, maxRowBytes, type ReadRows, type Reject, rejectText } from "./chunk.ts";
import { copyLine } from "./copy-text.ts";
import type { ColumnType } from "./column.ts";
import type { EncodeTask } from "./encode-rows.ts";
import { csvRows } from "./csv-rows.ts";
import { headOf } from "./head.ts";
import type { FileInput, PlacedColumn, Position, RowStep } from "./job.ts";
import { arrayRows, ndjsonRows } from "./json-rows.ts";
import { rowFunction, type RowFunction } from "./row-steps.ts";

/** Compiles an expression, for its mistakes and its type. */
export interface CompileTask {
  readonly kind: "compile";
  readonly expression: string;
  readonly columns: readonly PlacedColumn[];
}

/** A task. */
export type Task = ChunkTask | HeadTask | CompileTask | EncodeTask;

/** Its answer: what it was asked for, or what is wrong with what the user gave. */
export type Done<T> = { readonly value: T } | { readonly mistake: string };

// Steps compile in a millisecond or two, and a job's chunks follow each other.
const compiled = new LRUCache<string, RowFunction>({ max: 20 });

/** Does a task. */
export default async function work(task: Task): Promise<unknown> {
  try {
    if (task.kind === "chunk") {
      const chunk = await chunkOf(task);
      return moved(chunk, chunk.copy);
    }
    if (task.kind === "head") return { value: await reading(task.path, (file, size) => headOf(file, size, task)) } satisfies Done<Head>;
    if (task.kind === "encode") {
      const encoded = (await import("./encode-rows.ts")).encodeRows(task);
      return moved(encoded, encoded.bytes);
    }
    const { compile } = await import("./expression.ts");
    return { value: compile(task.expression, task.columns).type } satisfies Done<ColumnType | undefined>;
  } catch (error) {
    if (error instanceof CellError) return { mistake: error.message };
    throw error;
  }
}

async function chunkOf({ from, steps, firstRow }: ChunkTask): Promise<Chunk> {
  const { rows, next, done } = "rows" in from ? given(from) : await fileRows(from.path, from.input, from.position);
  const perform = functionOf(steps);
  const rejects: Reject[] = [];
  const lines: string[] = [];
  let filtered = 0;
  for (const { line, cells, text } of rows) {
    const reject = (reason: string) => rejects.push({ line, reason: rejectText(reason), row: rejectText(text()) });
    if (typeof cells === "string") {
      reject(cells);
      continue;
    }
    try {
      const row = perform(cells);
      if (row === undefined) filtered++;
      else lines.push(copyLine(firstRow + lines.length, row));
    } catch (error) {
      if (!(error instanceof CellError)) throw error;
      reject(error.message);
    }
  }
  const copy = new TextEncoder().encode(lines.join(""));
  return { copy, staged: lines.length, read: rows.length, filtered, rejects, next, done };
}

function functionOf(steps: readonly RowStep[]): RowFunction {
  const key = JSON.stringify(steps);
  let perform = compiled.get(key);
  if (perform === undefined) {
    perform = rowFunction(steps);
    compiled.set(key, perform);
  }
  return perform;
}

/** Rows of a query or a staging table; the text of one is its cells. */
function given({ rows, lines }: { readonly rows: readonly Cell[][]; readonly lines: readonly number[] }): ReadRows {
  const read = rows.map((cells, index) => ({ line: lines[index] ?? 0, cells, text: () => JSON.stringify(cells) }));
  const last = lines.at(-1) ?? 0;
  return { rows: read, next: { offset: last, line: last }, done: false };
}

function fileRows(path: string, input: FileInput, position: Position): Promise<ReadRows> {
  return reading(path, async (file, size) => {
    if (input.format === "parquet") return (await import("./parquet-rows.ts")).parquetRows(file, size, position, input);
    const rowsOf = { csv: csvRows, json: arrayRows, ndjson: ndjsonRows }[input.format];
    for (let length = chunkBytes; ; length *= 2) {
      const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - position.offset)));
      await file.read(bytes, 0, bytes.length, position.offset);
      const last = position.offset + bytes.length >= size;
      const read = rowsOf(bytes, position, last, input);
      if (read.rows.length > 0 || read.next.offset > position.offset || read.done) return read;
      // Not one row in so many bytes: a longer stretch may have one, unless it is longer than rows may be.
      if (last || length > 2 * maxRowBytes) throw new CellError(`line ${position.line}: expected a row of at most ${length} bytes`);
    }
  });
}

async function reading<T>(path: string, work: (file: FileHandle, size: number) => Promise<T>): Promise<T> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "ENOENT" ? new CellError("the upload's file is gone") : error;
  });
  try {
    return await work(file, (await file.stat()).size);
  } finally {
    await file.close();
  }
}

/** The answer goes to the main thread with the memory that its bytes are in. */
function moved<T>(value: T, bytes: Uint8Array<ArrayBuffer>): unknown {
  return move({
    get [transferableSymbol]() {
      return [bytes.buffer];
    },
    get [valueSymbol]() {
      return { value } satisfies Done<T>;
    },
  });
}
