/** The SQL that reads history. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { LevelRange } from "./history-range.ts";
import type { CallRow } from "./window.ts";

/** Calls of one step. */
export interface StoredCalls extends CallRow {
  /** The step's place, from 0. */
  readonly place: number;
}

/** How a service was collected in one step. */
export interface StoredPresence {
  readonly place: number;
  readonly seconds: number;
  readonly upSeconds: number;
  /** Of the measure that was asked for; undefined when it was not there. */
  readonly total: number | undefined;
  readonly max: number | undefined;
}

/** What a service has in the store. */
export interface Known {
  readonly serviceId: string;
  readonly seriesIds: readonly string[];
  readonly measures: readonly { readonly id: string; readonly kind: "counter" | "gauge" }[];
}

/** The service with its series (of one method, or all) and the measure by that name; undefined when nothing was ever kept of it. */
export async function findKnown(q: Queryable, service: string, method: string, measure: string): Promise<Known | undefined> {
  const [row] = await q.query<{ id: string }>("SELECT id FROM service WHERE name = $1", [service]);
  if (row === undefined) return undefined;
  const series = await q.query<{ id: string }>("SELECT id FROM series WHERE service_id = $1 AND ($2 = '' OR method = $2)", [
    row.id,
    method,
  ]);
  const measures = await q.query<{ id: string; kind: "counter" | "gauge" }>(
    "SELECT id, kind FROM measure WHERE service_id = $1 AND name = $2",
    [row.id, measure],
  );
  return { serviceId: row.id, seriesIds: series.map(({ id }) => id), measures };
}

/** Where the steps are. */
export interface Steps {
  readonly from: number;
  readonly step: number;
}

/** The calls of the series, merged for each step and layout; those of `streams` for each of them, the others under the method "". */
export async function readCalls(
  q: Queryable,
  seriesIds: readonly string[],
  ranges: readonly LevelRange[],
  { from, step }: Steps,
  streams: readonly string[],
): Promise<StoredCalls[]> {
  const rows = await q.query<{
    place: number;
    method: string;
    bounds: number[];
    sum: number;
    outcomes: string[];
    outcome_calls: string[];
    buckets: number[];
    bucket_calls: string[];
  }>(
    `WITH source AS MATERIALIZED (
       SELECT floor((extract(epoch FROM at) * 1000 - $5::float8) / $6::float8)::int AS place, layout_id,
         CASE WHEN s.method = ANY($7::text[]) THEN s.method ELSE '' END AS method, c.sum, outcomes, outcome_calls, buckets, bucket_calls
       FROM unnest($2::int[], $3::timestamptz[], $4::timestamptz[]) AS range(level, low, high)
       JOIN calls c ON c.series_id = ANY($1::bigint[]) AND c.level = range.level AND c.at >= low AND c.at < high
       JOIN series s ON s.id = c.series_id
     ), sums AS (
       SELECT place, layout_id, method, sum(sum) AS sum FROM source GROUP BY 1, 2, 3
     ), ends AS (
       SELECT place, layout_id, method, array_agg(outcome) AS outcomes, array_agg(n) AS outcome_calls FROM (
         SELECT place, layout_id, method, outcome, sum(n)::bigint AS n
         FROM source, unnest(outcomes, outcome_calls) AS part(outcome, n) GROUP BY 1, 2, 3, 4) AS each GROUP BY 1, 2, 3
     ), shape AS (
       SELECT place, layout_id, method, array_agg(bucket) AS buckets, array_agg(n) AS bucket_calls FROM (
         SELECT place, layout_id, method, bucket, sum(n)::bigint AS n
         FROM source, unnest(buckets, bucket_calls) AS part(bucket, n) GROUP BY 1, 2, 3, 4) AS each GROUP BY 1, 2, 3
     )
     SELECT place, method, bounds, sums.sum, outcomes, outcome_calls, buckets, bucket_calls
     FROM sums JOIN ends USING (place, layout_id, method) JOIN shape USING (place, layout_id, method)
     JOIN layout ON layout.id = layout_id`,
    [seriesIds, ...columnsOf(ranges), from, step, streams],
  );
  return rows.map(({ place, method, bounds, sum, outcomes, outcome_calls, buckets, bucket_calls }) => ({
    ...{ place, method, bounds, sum },
    outcomes: outcomes.map((outcome, at) => [outcome, Number(outcome_calls[at])] as const),
    buckets: buckets.map((bucket, at) => [bucket, Number(bucket_calls[at])] as const),
  }));
}

/** How the service was collected in each step, and the measure, when one is asked for. */
export async function readPresence(
  q: Queryable,
  serviceId: string,
  measureId: string | undefined,
  ranges: readonly LevelRange[],
  { from, step }: Steps,
): Promise<StoredPresence[]> {
  const rows = await q.query<{ place: number; seconds: number; up_seconds: number; total: number | null; max: number | null }>(
    `SELECT floor((extract(epoch FROM at) * 1000 - $5::float8) / $6::float8)::int AS place,
       sum(seconds) AS seconds, sum(up_seconds) AS up_seconds,
       sum(totals[array_position(measures, $7::bigint)]) AS total, max(maxima[array_position(measures, $7::bigint)]) AS max
     FROM unnest($2::int[], $3::timestamptz[], $4::timestamptz[]) AS range(level, low, high)
     JOIN presence p ON p.service_id = $1 AND p.level = range.level AND p.at >= low AND p.at < high
     GROUP BY 1`,
    [serviceId, ...columnsOf(ranges), from, step, measureId ?? null],
  );
  return rows.map(({ place, seconds, up_seconds, total, max }) => ({
    ...{ place, seconds },
    upSeconds: up_seconds,
    total: total ?? undefined,
    max: max ?? undefined,
  }));
}

function columnsOf(ranges: readonly LevelRange[]): readonly unknown[] {
  return [ranges.map(({ level }) => level), ranges.map(({ from }) => new Date(from)), ranges.map(({ to }) => new Date(to))];
}
