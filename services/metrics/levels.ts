/** The levels of history: windows as collected, of a minute, and of an hour; each added up from the one below, and kept for a time. */
import type { Database } from "#mesh/storage/database.ts";
import { setProgress } from "./window-store.ts";

/** How long each level is kept, in milliseconds. */
export interface Retention {
  readonly collectedMs: number;
  readonly minutesMs: number;
  readonly hoursMs: number;
}

/** A level: 0 as collected, else the seconds of a window. */
export type Level = 0 | 60 | 3600;

/** The levels, each with the one that it is added up from. */
const steps = [
  { level: 60, below: 0 },
  { level: 3600, below: 60 },
] as const;

/** Rows that one statement deletes. */
const chunk = 10_000;

/** The longest stretch that one statement adds up, in windows of the level. */
const maxWindows = 60;

/** Up to when each level is written, in milliseconds since the epoch. */
export async function progressOf(db: Pick<Database, "query">): Promise<ReadonlyMap<Level, number>> {
  const rows = await db.query<{ level: Level; until: Date }>("SELECT level, until FROM progress");
  return new Map(rows.map(({ level, until }) => [level, until.getTime()]));
}

/** Adds up every window that is complete. Doing it again changes nothing. */
export async function addUp(db: Database): Promise<void> {
  for (const { level, below } of steps) {
    const windowMs = level * 1000;
    const progress = await progressOf(db);
    const done = progress.get(below) ?? 0;
    const complete = Math.floor(done / windowMs) * windowMs;
    let from = progress.get(level) ?? (await firstOf(db, below, windowMs, complete));
    while (from < complete) {
      const to = Math.min(complete, from + maxWindows * windowMs);
      const range = [level, below, new Date(from), new Date(to)];
      await db.transaction(
        async (tx) => {
          await tx.query(callsSql, range);
          await tx.query(presenceSql, range);
          await setProgress(tx, level, to);
        },
        { timeoutMs: 60_000 },
      );
      from = to;
    }
  }
}

/** Deletes what no level keeps any more. */
export async function forget(db: Database, { collectedMs, minutesMs, hoursMs }: Retention, now: number): Promise<void> {
  const ages = [
    [0, collectedMs],
    [60, minutesMs],
    [3600, hoursMs],
  ] as const;
  for (const [level, ms] of ages) {
    for (const table of ["calls", "presence"]) {
      const old = `SELECT ctid FROM ${table} WHERE level = $1 AND at < $2 LIMIT ${chunk}`;
      const sql = `DELETE FROM ${table} WHERE ctid = ANY(ARRAY(${old})) RETURNING 1`;
      while ((await db.query(sql, [level, new Date(now - ms)])).length === chunk);
    }
  }
}

/** The first window of a level that is not there yet. */
async function firstOf(db: Database, below: number, windowMs: number, complete: number): Promise<number> {
  const [row] = await db.query<{ first: Date | null }>("SELECT min(at) AS first FROM presence WHERE level = $1", [below]);
  return row?.first === null || row?.first === undefined ? complete : Math.floor(row.first.getTime() / windowMs) * windowMs;
}

/** $1 the level, $2 the one below, $3 and $4 the stretch. */
const callsSql = `
  WITH source AS (
    SELECT series_id, date_bin($1 * interval '1 s', at, 'epoch') AS at, sum, outcomes, outcome_calls, buckets, bucket_calls
    FROM calls WHERE level = $2 AND at >= $3 AND at < $4
  ), sums AS (
    SELECT series_id, at, sum(sum) AS sum FROM source GROUP BY 1, 2
  ), ends AS (
    SELECT series_id, at, array_agg(outcome) AS outcomes, array_agg(n) AS outcome_calls FROM (
      SELECT series_id, at, outcome, sum(n)::bigint AS n
      FROM source, unnest(outcomes, outcome_calls) AS part(outcome, n) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ) AS each GROUP BY 1, 2
  ), shape AS (
    SELECT series_id, at, array_agg(bucket) AS buckets, array_agg(n) AS bucket_calls FROM (
      SELECT series_id, at, bucket, sum(n)::bigint AS n
      FROM source, unnest(buckets, bucket_calls) AS part(bucket, n) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ) AS each GROUP BY 1, 2
  )
  INSERT INTO calls (level, at, series_id, sum, outcomes, outcome_calls, buckets, bucket_calls)
  SELECT $1, at, series_id, sum, outcomes, outcome_calls, buckets, bucket_calls
  FROM sums JOIN ends USING (series_id, at) JOIN shape USING (series_id, at)
  ON CONFLICT (series_id, level, at) DO UPDATE SET sum = excluded.sum, outcomes = excluded.outcomes,
    outcome_calls = excluded.outcome_calls, buckets = excluded.buckets, bucket_calls = excluded.bucket_calls`;

const presenceSql = `
  WITH source AS (
    SELECT service_id, date_bin($1 * interval '1 s', at, 'epoch') AS at, seconds, up_seconds, measures, totals, maxima
    FROM presence WHERE level = $2 AND at >= $3 AND at < $4
  ), sums AS (
    SELECT service_id, at, sum(seconds) AS seconds, sum(up_seconds) AS up_seconds FROM source GROUP BY 1, 2
  ), measured AS (
    SELECT service_id, at, array_agg(measure) AS measures, array_agg(total) AS totals, array_agg(max) AS maxima FROM (
      SELECT service_id, at, measure, sum(total) AS total, max(max) AS max
      FROM source, unnest(measures, totals, maxima) AS part(measure, total, max) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ) AS each GROUP BY 1, 2
  )
  INSERT INTO presence (level, at, service_id, seconds, up_seconds, measures, totals, maxima)
  SELECT $1, at, service_id, seconds, up_seconds, coalesce(measures, '{}'), coalesce(totals, '{}'), coalesce(maxima, '{}')
  FROM sums LEFT JOIN measured USING (service_id, at)
  ON CONFLICT (service_id, level, at) DO UPDATE SET seconds = excluded.seconds, up_seconds = excluded.up_seconds,
    measures = excluded.measures, totals = excluded.totals, maxima = excluded.maxima`;
