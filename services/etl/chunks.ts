/** The chunks of a stage, one after the other, from wherever its rows come. */
import type { Database } from "#mesh/storage/database.ts";
import type { Chunk, Rows } from "./chunk.ts";
import type { Folder } from "./folder.ts";
import type { Job, Position, Stage } from "./job.ts";
import type { QuerySources } from "./query-source.ts";
import { readStaging } from "./staging-store.ts";
import type { Workers } from "./workers.ts";

/** What chunks are made with. */
export interface ChunkParts {
  readonly db: Database;
  readonly folder: Folder;
  readonly workers: Workers;
  readonly sources: QuerySources;
}

/** Where a stage goes on. */
export interface StageAt {
  readonly stage: Stage;
  readonly index: number;
  readonly position: Position;
  /** The number of the next row that comes out. */
  readonly firstRow: number;
  /** The staging table that the stage reads; undefined: the job's source. */
  readonly from: string | undefined;
}

/** Rows that are read of a staging table at a time. */
const batchRows = 2000;

/** The chunks from `at` to the stage's end. @throws what Workers throws */
export async function* chunksOf(parts: ChunkParts, job: Job, at: StageAt, signal: AbortSignal): AsyncGenerator<Chunk> {
  const { input } = job.plan;
  const steps = at.stage.rows;
  let { firstRow } = at;
  if (at.from === undefined && input.kind === "file") {
    const path = parts.folder.uploadFile(input.uploadId);
    for (let position = at.position, done = false; !done; ) {
      const chunk = await parts.workers.chunk({ kind: "chunk", from: { path, input, position }, steps, firstRow }, signal);
      ({ next: position, done } = chunk);
      firstRow += chunk.staged;
      yield chunk;
    }
    return;
  }
  const batches = at.from === undefined ? queried(parts, job, signal) : staged(parts, at, at.from);
  for await (const from of batches) {
    const chunk = await parts.workers.chunk({ kind: "chunk", from, steps, firstRow }, signal);
    firstRow += chunk.staged;
    yield chunk;
  }
}

function queried({ sources }: ChunkParts, { plan: { input } }: Job, signal: AbortSignal): AsyncIterable<Rows> {
  if (input.kind !== "query") throw new Error("no query");
  return sources.rows(input, signal);
}

async function* staged({ db }: ChunkParts, { stage, position }: StageAt, table: string): AsyncGenerator<Rows> {
  for (let after = position.offset; ; ) {
    const batch = await readStaging(db, table, stage.input, after, batchRows);
    if (batch.rows.length === 0) return;
    after = batch.lines.at(-1) ?? after;
    yield batch;
  }
}
