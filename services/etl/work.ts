/**
 * What a process does for a job that it has claimed, from the last checkpoint to the end.
 *
 *     for each stage:  rows ..., then the step for all rows      each in one transaction with its checkpoint
 *     then the load                                              in one transaction with the job's end
 */
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { VectorService } from "#gen/vector/v1/vector_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Chunk } from "./chunk.ts";
import { chunksOf, type ChunkParts } from "./chunks.ts";
import type { Folder } from "./folder.ts";
import { columnsOf, type Job, JobError, type Stage } from "./job.ts";
import { firstPosition } from "./job-store.ts";
import { writeOutput } from "./output-file.ts";
import { combineRows, copyRows, emptyStaging, makeStaging, numberRows, readStaging, stagingTable } from "./staging-store.ts";
import { moveToTable, tableBytes } from "./table-store.ts";
import { keptBytes } from "./upload-store.ts";
import { sendItems, vectorBatch } from "./vector-load.ts";
import { assertClaimed, type Claim, chunkStaged, rowsDone, rowsSent, stageDone, startAgain, succeed } from "./work-store.ts";

/** What work needs. */
export interface WorkParts extends ChunkParts {
  readonly db: Database;
  readonly folder: Folder;
  readonly vector: Client<typeof VectorService>;
  readonly clock: () => number;
  readonly retentionMs: number;
  readonly maxTableBytes: number;
  readonly maxUserBytes: number;
}

/** Milliseconds for a statement over all rows of a job. */
const longMs = 3_600_000;

/**
 * Works on a job until it has succeeded.
 *
 * @throws JobError when it cannot; LostClaim when it is another's; the signal's reason; UNAVAILABLE when something is away.
 */
export async function workOn(parts: WorkParts, job: Job, claim: Claim, signal: AbortSignal): Promise<void> {
  const { stages } = job.plan;
  // What is known of the stage that a process before this one left off in; the next ones begin at their beginning.
  let { position, rowsStaged, rowsDone: done } = job;
  const totals = { rejected: job.rowsRejected, bytes: job.stagedBytes };
  for (let index = job.stage; index < stages.length; index++) {
    const stage = stages[index] as Stage;
    let from = index === 0 ? undefined : stagingTable(job.id, index - 1, "all");
    if (index === 0 || stage.rows.length > 0) {
      const to = stagingTable(job.id, index, "rows");
      if (!done) rowsStaged = await stageRows(parts, job, claim, { stage, index, position, rowsStaged, from, to, totals }, signal);
      if (from !== undefined) await dropLater(parts, claim, from);
      from = to;
    }
    signal.throwIfAborted();
    rowsStaged = await endStage(parts, job, claim, { stage, index, from: from ?? "", rowsStaged });
    position = { offset: 0, line: 0 };
    done = false;
  }
  signal.throwIfAborted();
  await load(parts, job, claim, rowsStaged, job.stage >= stages.length ? position.offset : 0, signal);
}

interface Staging {
  readonly stage: Stage;
  readonly index: number;
  readonly position: Job["position"];
  readonly rowsStaged: number;
  readonly from: string | undefined;
  readonly to: string;
  /** Of all stages so far. */
  readonly totals: { rejected: number; bytes: number };
}

/** Takes all rows of a stage through its row steps and answers how many came out. The next chunk is made while one is stored. */
async function stageRows(parts: WorkParts, job: Job, claim: Claim, staging: Staging, signal: AbortSignal): Promise<number> {
  const { db, clock } = parts;
  const { stage, index, from, to, totals } = staging;
  const first = index === 0;
  const again = first && job.plan.input.kind === "query";
  await db.transaction(async (tx) => {
    await assertClaimed(tx, claim);
    await makeStaging(tx, to, stage.staged);
    if (!again) return;
    await emptyStaging(tx, to);
    await startAgain(tx, claim, job, clock());
  });
  const position = again ? firstPosition(job.plan) : staging.position;
  let staged = again ? 0 : staging.rowsStaged;
  if (again) Object.assign(totals, { rejected: 0, bytes: 0 });
  const room = parts.maxTableBytes - (await tableBytes(db, job.userId));
  const chunks = chunksOf(parts, job, { stage, index, position, firstRow: staged + 1, from }, signal)[Symbol.asyncIterator]();
  let coming = chunks.next();
  try {
    for (;;) {
      const { value: chunk, done } = await coming;
      if (done === true) break;
      coming = chunks.next();
      // Whoever awaits it next hears of a failure; until then it must not count as unhandled.
      coming.catch(() => undefined);
      signal.throwIfAborted();
      totals.rejected += chunk.rejects.length;
      totals.bytes += chunk.copy.length;
      const excess = totals.rejected - job.maxRejects;
      const kept: Chunk = excess > 0 ? { ...chunk, rejects: chunk.rejects.slice(0, chunk.rejects.length - excess) } : chunk;
      const bytesRead = first && job.plan.input.kind === "file" ? bytesOf(job, chunk) : 0;
      await db.transaction(async (tx) => {
        await copyRows(tx, to, stage.staged, kept.copy);
        await chunkStaged(tx, claim, kept, { first, lasting: !again, bytesRead }, clock());
      });
      staged += chunk.staged;
      const worst = chunk.rejects[chunk.rejects.length - excess];
      if (worst !== undefined && excess > 0) {
        throw new JobError(`more than ${job.maxRejects} rows were rejected, the last of them at line ${worst.line}: ${worst.reason}`);
      }
      if (totals.bytes > room) throw new JobError(`a user's tables and the rows of a job have at most ${parts.maxTableBytes} bytes`);
    }
  } finally {
    void chunks.return?.(undefined).catch(() => undefined);
  }
  await db.transaction(
    async (tx) => {
      await numberRows(tx, to);
      await rowsDone(tx, claim, clock());
    },
    { timeoutMs: longMs },
  );
  return staged;
}

/** Of a Parquet file the part that its rows are of all rows. */
function bytesOf({ plan: { input }, totalBytes }: Job, { next, done }: Chunk): number {
  if (done) return totalBytes;
  return input.kind === "file" && input.format !== "parquet" ? Math.min(next.offset, totalBytes) : 0;
}

/** The staging table that a stage began from is not needed any more. */
async function dropLater({ db }: WorkParts, claim: Claim, table: string): Promise<void> {
  await db.transaction(async (tx) => {
    await assertClaimed(tx, claim);
    await tx.query(`DROP TABLE IF EXISTS ${table}`);
  });
}

async function endStage(
  { db, clock }: WorkParts,
  job: Job,
  claim: Claim,
  at: { readonly stage: Stage; readonly index: number; readonly from: string; readonly rowsStaged: number },
): Promise<number> {
  const { stage, index, from } = at;
  return db.transaction(
    async (tx) => {
      const { combine, staged, output } = stage;
      const to = stagingTable(job.id, index, "all");
      const rows = combine === undefined ? at.rowsStaged : await combineRows(tx, from, to, combine, staged, output);
      await stageDone(tx, claim, rows, clock());
      return rows;
    },
    { timeoutMs: longMs },
  );
}

/** Loads what the last stage made. */
async function load(parts: WorkParts, job: Job, claim: Claim, rows: number, sent: number, signal: AbortSignal): Promise<void> {
  const { db, folder, clock, retentionMs } = parts;
  const { plan, userId, id } = job;
  const columns = columnsOf(plan);
  const last = plan.stages.length - 1;
  const table = stagingTable(id, last, plan.stages[last]?.combine === undefined ? "rows" : "all");
  if (plan.load.kind === "table") {
    const move = { jobId: id, userId, staging: table, columns, rows, load: plan.load };
    await db.transaction(
      async (tx) => {
        const rowsLoaded = await moveToTable(tx, move, clock());
        await succeed(tx, claim, { rowsLoaded, outputBytes: 0 }, clock(), retentionMs);
      },
      { timeoutMs: longMs },
    );
    return;
  }
  if (plan.load.kind === "file") {
    const { format } = plan.load;
    const maxBytes = parts.maxUserBytes - (await keptBytes(db, userId, folder.id)).user;
    const output = { path: folder.outputFile(id), format, table, columns, maxBytes };
    const outputBytes = await writeOutput(db, parts.workers, output, signal);
    await succeed(db, claim, { rowsLoaded: rows, outputBytes }, clock(), retentionMs);
    return;
  }
  for (let after = sent; ; ) {
    signal.throwIfAborted();
    const batch = await readStaging(db, table, columns, after, vectorBatch);
    if (batch.rows.length === 0) break;
    await sendItems(parts.vector, plan.load, userId, columns, batch.rows, signal);
    after = batch.lines.at(-1) ?? after;
    await rowsSent(db, claim, after, batch.rows.length, clock());
  }
  await succeed(db, claim, { rowsLoaded: rows, outputBytes: 0 }, clock(), retentionMs);
}

/** Whether an error says that something which the job needs is away, so that it is worth another attempt. */
export function isPassing(error: unknown): boolean {
  return error instanceof ConnectError && passing.has(error.code);
}

const passing: ReadonlySet<Code> = new Set([
  ...[Code.Unavailable, Code.DeadlineExceeded, Code.Aborted, Code.ResourceExhausted, Code.Canceled],
]);
