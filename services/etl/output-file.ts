/** The file that a job makes: rows from a staging table into the data folder. It has its name only once it is whole. */
import { open, rename, rm } from "node:fs/promises";
import type { Queryable } from "#mesh/storage/database.ts";
import type { Column } from "./column.ts";
import type { ParquetSoFar } from "./encode-rows.ts";
import { JobError, type Load } from "./job.ts";
import { readStaging } from "./staging-store.ts";
import type { Workers } from "./workers.ts";

/** What is written, and where. */
export interface Output {
  readonly path: string;
  readonly format: Extract<Load, { kind: "file" }>["format"];
  readonly table: string;
  readonly columns: readonly Column[];
  /** The file's bytes at most. */
  readonly maxBytes: number;
}

/** Rows that are encoded at a time; of Parquet those of a row group. */
const batchRows = { csv: 2000, ndjson: 2000, parquet: 10_000 };

/** The media type of each format. */
export const mediaTypeOf: Readonly<Record<string, string>> = {
  csv: "text/csv",
  ndjson: "application/x-ndjson",
  parquet: "application/vnd.apache.parquet",
};

/** Writes the file from its beginning and answers its size. Nothing is left of one that does not come to its end. */
export async function writeOutput(q: Queryable, workers: Workers, output: Output, signal: AbortSignal): Promise<number> {
  const { path, format, table, columns, maxBytes } = output;
  const part = `${path}.part`;
  let size = 0;
  try {
    const file = await open(part, "w");
    try {
      let after = 0;
      let parquet: ParquetSoFar | undefined;
      for (let first = true, last = false; !last; first = false) {
        signal.throwIfAborted();
        const { rows, lines } = await readStaging(q, table, columns, after, batchRows[format]);
        last = rows.length < batchRows[format];
        after = lines.at(-1) ?? after;
        const encoded = await workers.encode({ kind: "encode", format, columns, rows, first, last, parquet }, signal);
        ({ parquet } = encoded);
        size += encoded.bytes.length;
        if (size > maxBytes) throw new JobError(`the file would have more than ${maxBytes} bytes, all that is left for it`);
        await file.appendFile(encoded.bytes);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
    return size;
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}
