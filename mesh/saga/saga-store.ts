/** The sagas' SQL. The claims are leases: an instance holds a saga, and only what still holds it may record. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Queryable } from "#mesh/storage/database.ts";
import { badPageToken, decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import type { SagaFilter, SagaLogEntry } from "./saga.ts";
import type { Progress, SagaStatus } from "./saga-state.ts";

/** A stored saga. */
export interface SagaRow {
  readonly id: string;
  readonly name: string;
  readonly state: JsonObject;
  readonly progress: Progress;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** An instance's mark on what it claims. */
export interface Claim {
  readonly leaseId: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly leaseMs: number;
}

/** An attempt's end, for the log. */
export type AttemptEnd = Pick<SagaLogEntry, "outcome" | "message">;

/** Stores a new saga, unless its id exists. */
export async function insertSaga(
  tx: Queryable,
  { id, name, state, progress, now }: Pick<SagaRow, "id" | "name" | "state" | "progress"> & { readonly now: number },
): Promise<void> {
  await tx.query(
    `insert into heddle_saga.saga (id, name, status, step, state, next_attempt_time, create_time, update_time)
     values ($1, $2, $3, $4, $5, $6, $6, $6) on conflict (id) do nothing`,
    [id, name, progress.status, progress.step, JSON.stringify(state), new Date(now)],
  );
  await tx.query("select pg_notify('heddle_saga', '')");
}

/** Claims at most `limit` sagas of these names that are due, the longest due first. */
export async function claimDue(db: Queryable, names: readonly string[], limit: number, claim: Claim): Promise<SagaRow[]> {
  const rows = await db.query<Row>(
    `update heddle_saga.saga set lease_id = $3, lease_until = $4 where id in (
       select id from heddle_saga.saga
       where next_attempt_time <= $5 and (lease_until is null or lease_until <= $5) and name = any($1)
       order by next_attempt_time limit $2 for update skip locked)
     returning ${columns}`,
    [names, limit, claim.leaseId, leaseUntil(claim), new Date(claim.now)],
  );
  return rows.map(toSaga);
}

/** Milliseconds since the epoch when the next saga that nobody holds is due; undefined when there is none. */
export async function nextDue(db: Queryable, names: readonly string[], now: number): Promise<number | undefined> {
  const [row] = await db.query<{ next: Date | null }>(
    `select min(next_attempt_time) as next from heddle_saga.saga
     where next_attempt_time is not null and (lease_until is null or lease_until <= $2) and name = any($1)`,
    [names, new Date(now)],
  );
  return row?.next?.getTime();
}

/**
 * Records where a saga is, when it is still where it was `before`. False, and nothing recorded, when the claim is lost, or when this is on
 * record already, since the answer to its commit was lost. `keep` holds the claim for longer, else it ends.
 */
export async function recordProgress(
  tx: Queryable,
  before: Progress,
  { id, state, progress }: Pick<SagaRow, "id" | "state" | "progress">,
  claim: Claim,
  keep: boolean,
): Promise<boolean> {
  const rows = await tx.query(
    `update heddle_saga.saga set status = $3, step = $4, effects = $5, state = $6, attempts = $7, failures = $8,
       failure_code = $9, failure_message = $10, failure_reason = $11, next_attempt_time = $12, update_time = $13,
       lease_id = $14, lease_until = $15
     where id = $1 and lease_id = $2 and status = $16 and step = $17 and attempts = $18 returning 1`,
    [
      id,
      claim.leaseId,
      ...progressParams(progress, state),
      new Date(claim.now),
      keep ? claim.leaseId : null,
      keep ? leaseUntil(claim) : null,
      before.status,
      before.step,
      before.attempts,
    ],
  );
  return rows.length === 1;
}

/** Opens an attempt in the log. One that is still open there was cut short by the death of its process. */
export async function openAttempt(tx: Queryable, id: string, { progress }: { progress: Progress }, now: number): Promise<void> {
  await tx.query(
    `with dead as (update heddle_saga.attempt set outcome = 'interrupted' where saga_id = $1 and outcome = 'running')
     insert into heddle_saga.attempt (saga_id, number, step, action, attempt, start_time, outcome)
     select $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, 'running' from heddle_saga.attempt where saga_id = $1`,
    [id, progress.step, progress.status === "RUNNING" ? "run" : "compensate", progress.attempts, new Date(now)],
  );
}

/** Ends the attempt that is open. */
export async function closeAttempt(tx: Queryable, id: string, { outcome, message }: AttemptEnd, now: number): Promise<void> {
  await tx.query(
    `update heddle_saga.attempt set outcome = $2, message = $3, end_time = $4 where saga_id = $1 and outcome = 'running'`,
    [id, outcome, message, new Date(now)],
  );
}

/** Records a person's retry; the claim, if there is one, stays. */
export async function recordRetry(tx: Queryable, { id }: SagaRow, progress: Progress, now: number): Promise<void> {
  await tx.query(
    `update heddle_saga.saga set status = $2, failures = $3, next_attempt_time = $4, update_time = $5 where id = $1`,
    [id, progress.status, progress.failures, new Date(progress.nextAttemptTime ?? now), new Date(now)],
  );
  await tx.query(
    `insert into heddle_saga.attempt (saga_id, number, step, action, attempt, start_time, end_time, outcome)
     select $1, coalesce(max(number), 0) + 1, $2, 'retry', $3, $4, $4, 'asked' from heddle_saga.attempt where saga_id = $1`,
    [id, progress.step, progress.attempts, new Date(now)],
  );
  await tx.query("select pg_notify('heddle_saga', '')");
}

/** Holds sagas for longer; answers with those that the instance still holds. */
export async function renew(db: Queryable, ids: readonly string[], claim: Claim): Promise<Set<string>> {
  const rows = await db.query<{ id: string }>(
    "update heddle_saga.saga set lease_until = $3 where id = any($1) and lease_id = $2 returning id",
    [ids, claim.leaseId, leaseUntil(claim)],
  );
  return new Set(rows.map(({ id }) => id));
}

/** Gives back all that the instance has claimed. */
export async function release(db: Queryable, leaseId: string): Promise<void> {
  await db.query("update heddle_saga.saga set lease_id = null, lease_until = null where lease_id = $1", [leaseId]);
}

/** Deletes sagas that ended before `before`, with their logs; answers with how many. */
export async function deleteEnded(db: Queryable, before: number): Promise<number> {
  const rows = await db.query(
    `delete from heddle_saga.saga where id in (
       select id from heddle_saga.saga where next_attempt_time is null and update_time < $1 limit 1000) returning 1`,
    [new Date(before)],
  );
  return rows.length;
}

export async function findSaga(db: Queryable, id: string): Promise<SagaRow | undefined> {
  const [row] = await db.query<Row>(`select ${columns} from heddle_saga.saga where id = $1`, [id]);
  return row === undefined ? undefined : toSaga(row);
}

/** Finds a saga and holds its row until the transaction ends. */
export async function lockSaga(tx: Queryable, id: string): Promise<SagaRow | undefined> {
  const [row] = await tx.query<Row>(`select ${columns} from heddle_saga.saga where id = $1 for update`, [id]);
  return row === undefined ? undefined : toSaga(row);
}

/** Every attempt, in order. */
export async function sagaLog(db: Queryable, id: string): Promise<SagaLogEntry[]> {
  const rows = await db.query<Omit<SagaLogEntry, "startTime" | "endTime"> & { start_time: Date; end_time: Date | null }>(
    "select step, action, attempt, start_time, end_time, outcome, message from heddle_saga.attempt where saga_id = $1 order by number",
    [id],
  );
  return rows.map(({ start_time: startTime, end_time, ...same }) => ({
    ...same,
    startTime,
    ...(end_time === null ? {} : { endTime: end_time }),
  }));
}

/** Newest first. @throws INVALID_ARGUMENT for a page token that is none of ours. */
export async function listSagas(
  db: Queryable,
  { status, name, pageSize = defaultPageSize, pageToken = "" }: SagaFilter,
): Promise<{ rows: SagaRow[]; nextPageToken: string }> {
  const position = decodePageToken(pageToken);
  const [time, id] = position ?? [];
  if (position !== undefined && (id === undefined || !Number.isFinite(Number(time)))) throw badPageToken();
  const limit = Math.max(1, Math.min(pageSize, 1000));
  const rows = await db.query<Row>(
    `select ${columns} from heddle_saga.saga
     where ($1::text is null or status = $1) and ($2::text is null or name = $2)
       and ($3::timestamptz is null or (create_time, id) < ($3, $4))
     order by create_time desc, id desc limit $5`,
    [status ?? null, name ?? null, time === undefined ? null : new Date(Number(time)), id ?? null, limit + 1],
  );
  const page = rows.slice(0, limit).map(toSaga);
  const last = page.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { rows: page, nextPageToken: more ? encodePageToken([last.createTime.getTime(), last.id]) : "" };
}

export async function countOpen(db: Queryable): Promise<{ status: SagaStatus; count: string }[]> {
  return db.query("select status, count(*) from heddle_saga.saga where next_attempt_time is not null group by status");
}

interface Row {
  readonly id: string;
  readonly name: string;
  readonly status: SagaStatus;
  readonly step: string;
  readonly effects: string[];
  readonly state: JsonObject;
  readonly attempts: number;
  readonly failures: number;
  readonly failure_code: number | null;
  readonly failure_message: string | null;
  readonly failure_reason: string | null;
  readonly next_attempt_time: Date | null;
  readonly create_time: Date;
  readonly update_time: Date;
}

const columns =
  "id, name, status, step, effects, state, attempts, failures, failure_code, failure_message, failure_reason, next_attempt_time, create_time, update_time";

function progressParams(progress: Progress, state: JsonObject): unknown[] {
  const { status, step, effects, attempts, failures, failure, nextAttemptTime } = progress;
  const next = nextAttemptTime === undefined ? null : new Date(nextAttemptTime);
  const said = [failure?.code ?? null, failure?.message ?? null, failure?.reason ?? null];
  return [status, step, effects, JSON.stringify(state), attempts, failures, ...said, next];
}

function toSaga(row: Row): SagaRow {
  const { id, name, state, status, step, effects, attempts, failures } = row;
  const [code, message, reason] = [row.failure_code, row.failure_message ?? "", row.failure_reason ?? ""];
  const failure = code === null ? undefined : { code, message, reason };
  const nextAttemptTime = row.next_attempt_time?.getTime();
  const progress = { status, step, effects, attempts, failures, failure, nextAttemptTime };
  return { id, name, state, progress, createTime: row.create_time, updateTime: row.update_time };
}

function leaseUntil({ now, leaseMs }: Claim): Date {
  return new Date(now + leaseMs);
}
