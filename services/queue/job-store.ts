/**
 * The statements on pg-boss's table of jobs that its API does not have: settling with the exact list of what was settled, giving back with a
 * delay per call, expiry to the second, and lists. They keep to its rules: a job is named by id and attempt (`retry_count`), so that a
 * claim which lapsed settles nothing.
 */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Counts, Position } from "./backend.ts";
import { bossSchema } from "./boss.ts";
import type { Content } from "./queue.ts";

/** One attempt at a job. */
export interface Attempt {
  readonly id: string;
  /** Deliveries before this one. */
  readonly retryCount: number;
}

/** What a job carries: pg-boss knows only the priority. Short names, since every job has them. */
export interface JobData {
  /** The message's JSON text. */
  readonly b: string;
  /** Its headers. */
  readonly h: Readonly<Record<string, string>>;
  /** Its ordering key. */
  readonly k: string;
  /** When it was published, in milliseconds since the epoch. */
  readonly t: number;
}

/** A job that is open. */
export interface OpenJob extends Attempt {
  readonly queueId: string;
  readonly data: JobData;
  readonly priority: number;
  readonly maxDeliveries: number;
}

/** A job whose time has not come. */
export interface WaitingJob {
  readonly id: string;
  readonly data: JobData;
  readonly priority: number;
  readonly start_after: Date;
}

const table = `${bossSchema}.job_common`;
const fence = "name = $1 AND id = ANY($2::uuid[]) AND state = 'active' AND (id::text || ':' || retry_count) = ANY($3::text[])";

/** The message of a job. */
export function contentOf(data: JobData, priority: number): Content {
  return { data: data.b, headers: data.h, orderingKey: data.k, priority };
}

/** Removes open jobs, and wakes those who wait for the next of their key when `wake`. Answers with those that were open. */
export function removeOpen(q: Queryable, queueId: string, attempts: readonly Attempt[], wake: boolean): Promise<Attempt[]> {
  const gone = `DELETE FROM ${table} WHERE ${fence} RETURNING ${attempt}`;
  const told = `SELECT ${notify("$1")} FROM gone LIMIT 1`;
  const text = wake
    ? `WITH gone AS (${gone}), told AS (${told}) SELECT * FROM gone WHERE (SELECT count(*) FROM told) >= 0`
    : gone;
  return q.query<Attempt>(text, fenced(queueId, attempts));
}

/** Locks open jobs. */
export async function lockOpen(tx: Queryable, queueId: string, attempts: readonly Attempt[]): Promise<OpenJob[]> {
  return tx.query<OpenJob>(`${selectOpen} AND ${qualified} FOR UPDATE OF j`, fenced(queueId, attempts));
}

/** Locks up to `limit` open jobs whose time has passed and whom nobody else holds. */
export async function lockExpired(tx: Queryable, limit: number): Promise<OpenJob[]> {
  return tx.query<OpenJob>(
    `${selectOpen} AND j.started_on + j.expire_seconds * interval '1s' <= now() ORDER BY j.started_on LIMIT $1 FOR UPDATE OF j SKIP LOCKED`,
    [limit],
  );
}

/** Gives locked jobs back, to be fetched after `delayMs`. */
export async function giveBack(tx: Queryable, ids: readonly string[], delayMs: number): Promise<void> {
  if (ids.length === 0) return;
  await tx.query(
    `UPDATE ${table} SET state = 'retry', start_after = now() + $2 * interval '1ms', heartbeat_on = NULL WHERE id = ANY($1::uuid[])`,
    [ids, delayMs],
  );
}

/** Removes locked jobs. */
export async function remove(tx: Queryable, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await tx.query(`DELETE FROM ${table} WHERE id = ANY($1::uuid[])`, [ids]);
}

/** Tells all instances that a queue has something to fetch, when the transaction commits. */
export async function announce(tx: Queryable, queueId: string): Promise<void> {
  await tx.query(`SELECT ${notify("$1")}`, [queueId]);
}

/** Lets open jobs expire `seconds` from now. Answers with those that were open. */
export function extendOpen(q: Queryable, queueId: string, attempts: readonly Attempt[], seconds: number): Promise<Attempt[]> {
  return q.query<Attempt>(
    `UPDATE ${table} SET expire_seconds = ceil(extract(epoch FROM now() - started_on))::integer + $4 WHERE ${fence} RETURNING ${attempt}`,
    [...fenced(queueId, attempts), seconds],
  );
}

/** Lets jobs that were just fetched expire `seconds` after that. */
export async function expireAfter(q: Queryable, queueId: string, attempts: readonly Attempt[], seconds: number): Promise<void> {
  await q.query(`UPDATE ${table} SET expire_seconds = $4 WHERE ${fence}`, [...fenced(queueId, attempts), seconds]);
}

/** Puts jobs back that were just fetched, as if they had not been. */
export async function untake(q: Queryable, queueId: string, attempts: readonly Attempt[]): Promise<void> {
  await q.query(
    `UPDATE ${table} SET state = (CASE WHEN retry_count = 0 THEN 'created' ELSE 'retry' END)::${bossSchema}.job_state,
       started_on = CASE WHEN retry_count = 0 THEN NULL ELSE started_on END, retry_count = greatest(retry_count - 1, 0), heartbeat_on = NULL
     WHERE ${fence}`,
    fenced(queueId, attempts),
  );
}

/** How many jobs of a queue wait, are open, and are not due. */
export async function countJobs(q: Queryable, queueId: string): Promise<Counts> {
  const [row] = await q.query<Counts>(
    `SELECT count(*) FILTER (WHERE state < 'active' AND start_after <= now())::integer AS ready,
       count(*) FILTER (WHERE state = 'active')::integer AS "inFlight",
       count(*) FILTER (WHERE state < 'active' AND start_after > now())::integer AS scheduled
     FROM ${table} WHERE name = $1`,
    [queueId],
  );
  return row ?? { ready: 0, inFlight: 0, scheduled: 0 };
}

/** Removes all jobs that are not open. Answers with how many. */
export async function removeWaiting(q: Queryable, queueId: string): Promise<number> {
  const [row] = await q.query<{ n: number }>(
    `WITH gone AS (DELETE FROM ${table} WHERE name = $1 AND state < 'active' RETURNING 1) SELECT count(*)::integer AS n FROM gone`,
    [queueId],
  );
  return row?.n ?? 0;
}

/** Removes jobs that waited longer than their retention. Answers with how many. */
export async function removeOld(q: Queryable): Promise<number> {
  const [row] = await q.query<{ n: number }>(
    `WITH gone AS (DELETE FROM ${table} WHERE state < 'active' AND keep_until < now() RETURNING 1) SELECT count(*)::integer AS n FROM gone`,
  );
  return row?.n ?? 0;
}

/** Jobs that were never fetched and are not due, by time. */
export async function listWaiting(
  q: Queryable,
  queueId: string,
  size: number,
  after: Position | undefined,
): Promise<WaitingJob[]> {
  return q.query<WaitingJob>(
    `SELECT id, data, priority, start_after FROM ${table} WHERE name = $1 AND state = 'created' AND start_after > now()
       AND ($2::timestamptz IS NULL OR (start_after, id) > ($2, $3::uuid)) ORDER BY start_after, id LIMIT $4`,
    [queueId, after === undefined ? null : new Date(after.dueTime), after?.messageId ?? null, size],
  );
}

/** Removes a job that was never fetched and is not due; false when there is none. */
export async function removeScheduled(q: Queryable, queueId: string, id: string): Promise<boolean> {
  const rows = await q.query(
    `DELETE FROM ${table} WHERE name = $1 AND id = $2 AND state = 'created' AND start_after > now() RETURNING id`,
    [queueId, id],
  );
  return rows.length > 0;
}

const attempt = 'id, retry_count AS "retryCount"';
const selectOpen = `SELECT j.id, j.retry_count AS "retryCount", j.name AS "queueId", j.data, j.priority, q.max_deliveries AS "maxDeliveries"
  FROM ${table} j JOIN queue q ON q.id::text = j.name WHERE j.state = 'active'`;
const qualified = "j.name = $1 AND j.id = ANY($2::uuid[]) AND (j.id::text || ':' || j.retry_count) = ANY($3::text[])";

/** The channel is pg-boss's own (notifyChannelSql in its plans), so one LISTEN hears its inserts and us. */
function notify(queue: string): string {
  return `pg_notify('pgboss_' || left(encode(sha224('${bossSchema}'::bytea), 'hex'), 24), ${queue})`;
}

function fenced(queueId: string, attempts: readonly Attempt[]): unknown[] {
  return [queueId, attempts.map(({ id }) => id), attempts.map(({ id, retryCount }) => `${id}:${retryCount}`)];
}
