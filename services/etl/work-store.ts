/**
 * The SQL of those who work on jobs: claims, checkpoints, and what ends them.
 *
 *     queued --claim--> running --succeed--> succeeded
 *                        |   ^ |----fail---> failed
 *                        |   '-- lease ended: claimed again
 *     queued, running --cancel--> cancelled
 *
 * Each checkpoint names the lease of its process and changes nothing when that is lost, so that its transaction, with the rows in it,
 * is undone. It comes last in the transaction: until then others may see to it that it is lost.
 */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Chunk, Reject } from "./chunk.ts";
import type { Job } from "./job.ts";
import { firstPosition, type JobRow, jobColumns, toJob } from "./job-store.ts";

/** How many processes may begin on a job that does not get further: what ends five of them will end the sixth. */
export const maxStalls = 5;

/** A claim on a job that another process has, or that is over since the job has ended. */
export class LostClaim extends Error {
  override readonly name = "LostClaim";
}

/** The claim of a process on a job. */
export interface Claim {
  readonly jobId: string;
  readonly leaseId: string;
  /** Renewed with each checkpoint: how long it holds from then on, in milliseconds. */
  readonly leaseMs: number;
}

/** A claimed job. */
export interface Claimed {
  readonly job: Job;
  readonly claim: Claim;
}

/** Whose claims they are. */
export interface Claimant {
  readonly leaseMs: number;
  /** The folder whose files it has. */
  readonly folder: string;
  /** The jobs that it works on: one whose claim it was too late to renew is for others. */
  readonly busy: readonly string[];
}

/**
 * Claims up to `limit` jobs that nobody works on and whose files are here, those of users with fewest under way first. Each claim has an
 * id of its own, so that an older one of the same process does not pass for it.
 */
export async function claimJobs(
  q: Queryable,
  limit: number,
  { leaseMs, folder, busy }: Claimant,
  now: number,
): Promise<Claimed[]> {
  const rows = await q.query<JobRow & { lease_id: string }>(
    `UPDATE job SET status = 'running', lease_id = gen_random_uuid(), lease_until = $1, attempts = attempts + 1, stalls = stalls + 1,
       start_time = coalesce(start_time, $2), staging = true, revision = revision + 1
     WHERE id IN (
       SELECT id FROM job j WHERE status IN ('queued', 'running') AND stalls < $3 AND (lease_until IS NULL OR lease_until <= $2)
         AND (folder IS NULL OR folder = $4) AND (retry_time IS NULL OR retry_time <= $2) AND id <> ALL ($6::uuid[])
       ORDER BY (SELECT count(*) FROM job o WHERE o.user_id = j.user_id AND o.status = 'running' AND o.lease_until > $2), create_time
       LIMIT $5 FOR UPDATE SKIP LOCKED
     )
     RETURNING lease_id, ${jobColumns}`,
    [new Date(now + leaseMs), new Date(now), maxStalls, folder, limit, busy],
  );
  return rows.map((row) => ({ job: toJob(row), claim: { jobId: row.id, leaseId: row.lease_id, leaseMs } }));
}

/** Keeps a claim. False when it is lost. */
export async function renew(q: Queryable, { jobId, leaseId, leaseMs }: Claim, now: number): Promise<boolean> {
  const rows = await q.query(
    "UPDATE job SET lease_until = $3 WHERE id = $1 AND lease_id = $2 AND status = 'running' RETURNING 1",
    [jobId, leaseId, new Date(now + leaseMs)],
  );
  return rows.length > 0;
}

/** Gives a claim back, for anybody to take `afterMs` from now. `blameless`: it does not count as an attempt that got nowhere. */
export async function release(q: Queryable, claim: Claim, now: number, afterMs: number, blameless: boolean): Promise<void> {
  await q.query(
    `UPDATE job SET lease_id = NULL, lease_until = NULL, retry_time = $3, stalls = stalls - $4 WHERE id = $1 AND lease_id = $2`,
    [claim.jobId, claim.leaseId, new Date(now + afterMs), blameless ? 1 : 0],
  );
}

/**
 * Sets a job's fields within the transaction that they are about, and renews the claim.
 *
 * @param lasting whether the job has got further by this, so that another process would go on from here
 * @throws LostClaim
 */
async function checkpoint(
  tx: Queryable,
  claim: Claim,
  now: number,
  set: string,
  values: readonly unknown[] = [],
  lasting = true,
): Promise<void> {
  const rows = await tx.query(
    `UPDATE job SET ${set}, lease_until = $3, stalls = ${lasting ? "0" : "stalls"}, revision = revision + 1
     WHERE id = $1 AND lease_id = $2 AND status = 'running' RETURNING 1`,
    [claim.jobId, claim.leaseId, new Date(now + claim.leaseMs), ...values],
  );
  if (rows.length === 0) throw lost(claim);
}

function lost({ jobId }: Claim): LostClaim {
  return new LostClaim(`job ${jobId} is another's by now, or has ended`);
}

/** @throws LostClaim unless the job is this process's; it stays so for the rest of the transaction. */
export async function assertClaimed(tx: Queryable, claim: Claim): Promise<void> {
  const sql = "SELECT 1 FROM job WHERE id = $1 AND lease_id = $2 AND status = 'running' FOR SHARE";
  if ((await tx.query(sql, [claim.jobId, claim.leaseId])).length === 0) throw lost(claim);
}

/** What a chunk is a part of. */
export interface ChunkOf {
  /** Its rows are the source's own; those of a later stage were read before. */
  readonly first: boolean;
  /** Whether another process would go on from here, or begin the stage anew. */
  readonly lasting: boolean;
  /** Bytes of the file that were read up to its end. */
  readonly bytesRead: number;
}

/** A chunk's rows are staged. @throws LostClaim */
export async function chunkStaged(tx: Queryable, claim: Claim, chunk: Chunk, of: ChunkOf, now: number): Promise<void> {
  const { next, read, rejects, filtered, staged, copy } = chunk;
  await insertRejects(tx, claim.jobId, rejects);
  await checkpoint(
    tx,
    claim,
    now,
    `position_offset = $4, position_line = $5, rows_read = rows_read + $6, rows_rejected = rows_rejected + $7,
     rows_filtered = rows_filtered + $8, rows_staged = rows_staged + $9, staged_bytes = staged_bytes + $10,
     bytes_read = greatest(bytes_read, $11)`,
    [next.offset, next.line, of.first ? read : 0, rejects.length, filtered, staged, copy.length, of.bytesRead],
    of.lasting,
  );
}

async function insertRejects(tx: Queryable, jobId: string, rejects: readonly Reject[]): Promise<void> {
  if (rejects.length === 0) return;
  await tx.query(
    `INSERT INTO reject (job_id, line, reason, row)
     SELECT $1, line, reason, row FROM unnest($2::bigint[], $3::text[], $4::text[]) WITH ORDINALITY AS r (line, reason, row, place)
     ORDER BY place`,
    [jobId, rejects.map(({ line }) => line), rejects.map(({ reason }) => reason), rejects.map(({ row }) => row)],
  );
}

/** All rows of the stage are through its row steps. @throws LostClaim */
export function rowsDone(tx: Queryable, claim: Claim, now: number): Promise<void> {
  return checkpoint(tx, claim, now, "rows_done = true");
}

/** The stage is over; `rows` are staged for the next. @throws LostClaim */
export function stageDone(tx: Queryable, claim: Claim, rows: number, now: number): Promise<void> {
  return checkpoint(
    tx,
    claim,
    now,
    "stage = stage + 1, rows_done = false, position_offset = 0, position_line = 0, rows_staged = $4",
    [rows],
  );
}

/** Begins the first stage anew. @throws LostClaim */
export async function startAgain(tx: Queryable, claim: Claim, { plan }: Job, now: number): Promise<void> {
  const { offset, line } = firstPosition(plan);
  await tx.query("DELETE FROM reject WHERE job_id = $1", [claim.jobId]);
  await checkpoint(
    tx,
    claim,
    now,
    `position_offset = $4, position_line = $5, rows_read = 0, rows_rejected = 0, rows_filtered = 0, rows_staged = 0,
     staged_bytes = 0, bytes_read = 0`,
    [offset, line],
    false,
  );
}

/** So many rows are sent, up to the row of that number. @throws LostClaim */
export function rowsSent(tx: Queryable, claim: Claim, upTo: number, rows: number, now: number): Promise<void> {
  return checkpoint(tx, claim, now, "position_offset = $4, rows_loaded = rows_loaded + $5", [upTo, rows]);
}

/** What a job comes to. */
export interface Outcome {
  readonly rowsLoaded: number;
  readonly outputBytes: number;
  /** The folder that the output is in. */
  readonly folder: string | undefined;
}

/** The job has loaded its rows. @throws LostClaim */
export async function succeed(tx: Queryable, claim: Claim, outcome: Outcome, now: number, retentionMs: number): Promise<void> {
  const rows = await tx.query(
    `UPDATE job SET status = 'succeeded', rows_loaded = $3, output_bytes = $4, folder = coalesce($7, folder), ${ending(5)}
     WHERE id = $1 AND lease_id = $2 AND status = 'running' RETURNING 1`,
    [
      ...[claim.jobId, claim.leaseId, outcome.rowsLoaded, outcome.outputBytes, new Date(now), new Date(now + retentionMs)],
      outcome.folder ?? null,
    ],
  );
  if (rows.length === 0) throw lost(claim);
}

/** Fails a claimed job. Does nothing when the claim is lost. */
export async function fail(
  q: Queryable,
  { jobId, leaseId }: Claim,
  reason: string,
  now: number,
  retentionMs: number,
): Promise<void> {
  await q.query(
    `UPDATE job SET status = 'failed', failure_reason = $3, ${ending(4)}
     WHERE id = $1 AND lease_id = $2 AND status = 'running'`,
    [jobId, leaseId, reason.slice(0, 2000), new Date(now), new Date(now + retentionMs)],
  );
}

/** Fails jobs that have ended process after process. Answers how many. */
export async function failStalled(q: Queryable, now: number, retentionMs: number): Promise<number> {
  const rows = await q.query(
    `UPDATE job SET status = 'failed', ${ending(1)},
       failure_reason = 'the job got no further in ' || $3 || ' attempts'
     WHERE status = 'running' AND stalls >= $3::integer AND (lease_until IS NULL OR lease_until <= $1) RETURNING 1`,
    [new Date(now), new Date(now + retentionMs), maxStalls],
  );
  return rows.length;
}

/** What every end sets: its time and that of the deletion are the parameters from `first` on. */
function ending(first: number): string {
  return `complete_time = $${first}, expire_time = $${first + 1}, lease_id = NULL, lease_until = NULL, revision = revision + 1`;
}
