/** The SQL of jobs, but for that of those who work on them (work-store.ts). Times go in and out as milliseconds since the epoch. */
import type { Queryable } from "#mesh/storage/database.ts";
import { badPageToken } from "#mesh/storage/page.ts";
import type { Reject } from "./chunk.ts";
import type { Job, Plan, Position, Status } from "./job.ts";

/** A job on its way into the store. */
export interface NewJob extends Pick<Job, "id" | "userId" | "request" | "plan" | "totalBytes" | "maxRejects" | "folder" | "createTime"> {
  readonly caller: string;
  readonly requestId: string | undefined;
  readonly contentHash: string;
  readonly uploadId: string | undefined;
}

/** Stores a job. False, and nothing stored, when the request id is taken. */
export async function insertJob(q: Queryable, job: NewJob): Promise<boolean> {
  const { offset, line } = firstPosition(job.plan);
  const rows = await q.query(
    `INSERT INTO job (id, caller, request_id, content_hash, user_id, request, plan, upload_id, folder, total_bytes, max_rejects,
       create_time, position_offset, position_line)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (caller, request_id) DO NOTHING RETURNING 1`,
    [
      ...[job.id, job.caller, job.requestId ?? null, job.contentHash, job.userId, JSON.stringify(job.request)],
      ...[JSON.stringify(job.plan), job.uploadId ?? null, job.folder ?? null, job.totalBytes, job.maxRejects],
      ...[new Date(job.createTime), offset, line],
    ],
  );
  return rows.length > 0;
}

/** Where a plan begins. */
export function firstPosition({ input }: Plan): Position {
  return input.kind === "file" ? input.start : { offset: 0, line: 0 };
}

/** The job that `caller` made under this request id, and what was asked for. */
export async function findByRequestId(
  q: Queryable,
  caller: string,
  requestId: string,
): Promise<{ readonly contentHash: string; readonly job: Job } | undefined> {
  const rows = await q.query<JobRow & { content_hash: string }>(
    `SELECT content_hash, ${jobColumns} FROM job WHERE caller = $1 AND request_id = $2`,
    [caller, requestId],
  );
  return rows.map((row) => ({ contentHash: row.content_hash, job: toJob(row) }))[0];
}

/** One job, whoever owns it; undefined when there is none. */
export async function getJob(q: Queryable, id: string): Promise<Job | undefined> {
  return (await q.query<JobRow>(`SELECT ${jobColumns} FROM job WHERE id = $1`, [id])).map(toJob)[0];
}

/** What a page of a user's jobs shows. */
export interface JobQuery {
  readonly userId: string;
  readonly size: number;
  /** Create time and id of the last one of the page before. */
  readonly after: readonly string[] | undefined;
  readonly status: Status | undefined;
}

/** A page of a user's jobs, latest first, and one more when there are more. @throws INVALID_ARGUMENT naming page_token. */
export async function listJobs(q: Queryable, { userId, size, after, status }: JobQuery): Promise<Job[]> {
  const [time, id] = timeAndId(after);
  const rows = await q.query<JobRow>(
    `SELECT ${jobColumns} FROM job
     WHERE user_id = $1 AND ($2::bigint IS NULL OR (create_time, id) < (to_timestamp($2::bigint / 1000.0), $3::uuid))
       AND ($4::text IS NULL OR status = $4)
     ORDER BY create_time DESC, id DESC LIMIT $5 + 1`,
    [userId, time, id, status ?? null, size],
  );
  return rows.map(toJob);
}

/** The two parts of a page token of lists by time. @throws INVALID_ARGUMENT naming page_token */
export function timeAndId(after: readonly string[] | undefined): [string | null, string | null] {
  if (after === undefined) return [null, null];
  const [time = "", id = ""] = after;
  if (after.length !== 2 || !/^\d{1,15}$/.test(time) || !uuid.test(id)) throw badPageToken();
  return [time, id];
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** How many jobs of a user have not ended. */
export async function countOpen(q: Queryable, userId: string): Promise<number> {
  const rows = await q.query<{ n: number }>(
    "SELECT count(*)::integer AS n FROM job WHERE user_id = $1 AND status IN ('queued', 'running')",
    [userId],
  );
  return rows[0]?.n ?? 0;
}

/** Ends a job that has not ended. False when it has. Whoever works on it finds out with its next write, which is undone. */
export async function cancel(q: Queryable, id: string, now: number, retentionMs: number): Promise<boolean> {
  const rows = await q.query(
    `UPDATE job SET status = 'cancelled', complete_time = $2, expire_time = $3, lease_id = NULL, lease_until = NULL,
       revision = revision + 1
     WHERE id = $1 AND status IN ('queued', 'running') RETURNING 1`,
    [id, new Date(now), new Date(now + retentionMs)],
  );
  return rows.length > 0;
}

/** Rejected rows of a job behind one of them, in the order in which they were read. */
export async function listRejects(
  q: Queryable,
  jobId: string,
  after: number,
  limit: number,
): Promise<(Reject & { readonly number: number })[]> {
  const rows = await q.query<{ number: string; line: string; reason: string; row: string }>(
    "SELECT number, line, reason, row FROM reject WHERE job_id = $1 AND number > $2 ORDER BY number LIMIT $3",
    [jobId, after, limit],
  );
  return rows.map(({ number, line, ...same }) => ({ ...same, number: Number(number), line: Number(line) }));
}

/** The columns of a job, in the form that toJob reads. */
export const jobColumns = `id, user_id, request, plan, folder, status, failure_reason, stage, rows_done, position_offset, position_line,
  rows_read, rows_rejected, rows_filtered, rows_staged, rows_loaded, bytes_read, total_bytes, staged_bytes, max_rejects, output_bytes,
  attempts, revision, create_time, start_time, complete_time, expire_time`;

/** A row of them. */
export interface JobRow {
  readonly id: string;
  readonly user_id: string;
  readonly request: object;
  readonly plan: Plan;
  readonly folder: string | null;
  readonly status: Status;
  readonly failure_reason: string;
  readonly stage: number;
  readonly rows_done: boolean;
  readonly position_offset: string;
  readonly position_line: string;
  readonly rows_read: string;
  readonly rows_rejected: string;
  readonly rows_filtered: string;
  readonly rows_staged: string;
  readonly rows_loaded: string;
  readonly bytes_read: string;
  readonly total_bytes: string;
  readonly staged_bytes: string;
  readonly max_rejects: string;
  readonly output_bytes: string;
  readonly attempts: number;
  readonly revision: string;
  readonly create_time: Date;
  readonly start_time: Date | null;
  readonly complete_time: Date | null;
  readonly expire_time: Date | null;
}

/** The job of a row. */
export function toJob(row: JobRow): Job {
  return {
    id: row.id,
    userId: row.user_id,
    request: row.request,
    plan: row.plan,
    status: row.status,
    failureReason: row.failure_reason,
    stage: row.stage,
    rowsDone: row.rows_done,
    position: { offset: Number(row.position_offset), line: Number(row.position_line) },
    rowsRead: Number(row.rows_read),
    rowsRejected: Number(row.rows_rejected),
    rowsFiltered: Number(row.rows_filtered),
    rowsStaged: Number(row.rows_staged),
    rowsLoaded: Number(row.rows_loaded),
    bytesRead: Number(row.bytes_read),
    totalBytes: Number(row.total_bytes),
    stagedBytes: Number(row.staged_bytes),
    maxRejects: Number(row.max_rejects),
    outputBytes: Number(row.output_bytes),
    folder: row.folder ?? undefined,
    attempts: row.attempts,
    revision: Number(row.revision),
    createTime: row.create_time.getTime(),
    startTime: row.start_time?.getTime(),
    completeTime: row.complete_time?.getTime(),
    expireTime: row.expire_time?.getTime(),
  };
}
