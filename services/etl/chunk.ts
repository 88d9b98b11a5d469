/** A stretch of a source on its way to a staging table. What goes between the main thread and the workers. */
import type { Cell } from "./cell.ts";
import type { CsvOptions, FileFormat, FileInput, Position, RowStep } from "./job.ts";

/** Bytes of a file that one task reads, unless a row is longer. About 50 ms of work. */
export const chunkBytes = 1 << 20;

/** Bytes of one row at most. */
export const maxRowBytes = 1 << 20;

/** Characters that are kept of a rejected row. */
export const maxRejectText = 2000;

/** A row as a reader gives it: its cells, or why it has none; where it begins, and its text for the reject file. */
export interface ReadRow {
  readonly line: number;
  readonly cells: Cell[] | string;
  readonly text: () => string;
}

/** A reader's answer: the rows from a position on. */
export interface ReadRows {
  readonly rows: readonly ReadRow[];
  readonly next: Position;
  /** Whether the source ends there. */
  readonly done: boolean;
}

/** A rejected row. */
export interface Reject {
  readonly line: number;
  readonly reason: string;
  readonly row: string;
}

/** Reads rows and does a stage's row steps to them. */
export interface ChunkTask {
  readonly kind: "chunk";
  /** From a file, or rows that are here: the line of each is its number. */
  readonly from: { readonly path: string; readonly input: FileInput; readonly position: Position } | Rows;
  readonly steps: readonly RowStep[];
  /** The number of the first row that comes out. */
  readonly firstRow: number;
}

/** Rows that are here. */
export interface Rows {
  readonly rows: readonly Cell[][];
  /** The number of each. */
  readonly lines: readonly number[];
}

/** What became of them. */
export interface Chunk {
  /** The rows for COPY. */
  readonly copy: Uint8Array<ArrayBuffer>;
  readonly staged: number;
  readonly read: number;
  readonly filtered: number;
  readonly rejects: readonly Reject[];
  readonly next: Position;
  readonly done: boolean;
}

/** Looks into a file for its columns. */
export interface HeadTask {
  readonly kind: "head";
  readonly path: string;
  readonly format: FileFormat;
  readonly csv: CsvOptions;
  /** Those that the user names: none when empty. */
  readonly columns: FileInput["columns"];
}

/** What a file is found to hold. */
export type Head = Pick<FileInput, "columns" | "fields" | "fieldCount" | "start">;

/** The text of a rejected row as it is kept. */
export function rejectText(text: string): string {
  return text.slice(0, maxRejectText).toWellFormed().replaceAll("\0", "\ufffd");
}
