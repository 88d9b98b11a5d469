/** The SQL that writes windows. */
import type { Database, Queryable } from "#mesh/storage/database.ts";
import type { ServiceWindow, Window } from "./window.ts";

/** Ids of names, as this process has seen them in the database; one cache goes with one database. */
export interface NameCache {
  readonly ids: Map<string, string>;
}

/** How long the writer is believed to be there without being heard of, in seconds. */
const writerSeconds = 30;

/** Names that a cache holds at most. */
const maxNames = 100_000;

/**
 * Writes windows, each of them whole or not at all; what is there already stays. False, and nothing written, when another process is the
 * writer.
 */
export async function writeWindows(db: Database, holder: string, windows: readonly Window[], names: NameCache): Promise<boolean> {
  try {
    return await db.transaction(async (tx) => {
      if (!(await holdWriter(tx, holder))) return false;
      for (const window of windows) await writeWindow(tx, window, names);
      const until = windows.at(-1)?.end;
      if (until !== undefined) await setProgress(tx, 0, until);
      return true;
    });
  } catch (error) {
    // Ids that were given in a transaction that failed are none.
    names.ids.clear();
    throw error;
  }
}

/** Lets another process be the writer at once. */
export async function leaveWriter(q: Queryable, holder: string): Promise<void> {
  await q.query("DELETE FROM writer WHERE holder = $1", [holder]);
}

/** Says up to when, in milliseconds since the epoch, a level is written. It never goes back. */
export async function setProgress(q: Queryable, level: number, until: number): Promise<void> {
  await q.query(
    `INSERT INTO progress (level, until) VALUES ($1, $2)
     ON CONFLICT (level) DO UPDATE SET until = greatest(progress.until, excluded.until)`,
    [level, new Date(until)],
  );
}

async function holdWriter(tx: Queryable, holder: string): Promise<boolean> {
  const rows = await tx.query(
    `INSERT INTO writer (holder, until) VALUES ($1, now() + $2 * interval '1 s')
     ON CONFLICT (single) DO UPDATE SET holder = excluded.holder, until = excluded.until
       WHERE writer.holder = excluded.holder OR writer.until < now()
     RETURNING 1`,
    [holder, writerSeconds],
  );
  return rows.length > 0;
}

async function writeWindow(tx: Queryable, { start, services }: Window, names: NameCache): Promise<void> {
  if (names.ids.size > maxNames) names.ids.clear();
  await nameAll(tx, services, names);
  const idOf = (...key: readonly string[]) => names.ids.get(JSON.stringify(key)) ?? "";
  const calls = services.flatMap(({ service, calls: rows }) =>
    rows.map(({ method, bounds, sum, outcomes, buckets }) => ({
      series_id: idOf("series", idOf("service", service), method, idOf("layout", boundsText(bounds))),
      sum,
      outcomes: outcomes.map(([outcome]) => outcome),
      outcome_calls: outcomes.map(([, count]) => count),
      buckets: buckets.map(([place]) => place),
      bucket_calls: buckets.map(([, count]) => count),
    })),
  );
  await tx.query(
    `INSERT INTO calls (level, at, series_id, sum, outcomes, outcome_calls, buckets, bucket_calls)
     SELECT 0, $1, series_id, sum, outcomes, outcome_calls, buckets, bucket_calls
     FROM jsonb_to_recordset($2::jsonb) AS row(series_id bigint, sum float8, outcomes text[], outcome_calls bigint[],
       buckets integer[], bucket_calls bigint[])
     ON CONFLICT DO NOTHING`,
    [new Date(start), JSON.stringify(calls)],
  );
  const presence = services.map(({ service, seconds, up, measures }) => {
    // A counter that did not grow has nothing to add.
    const some = measures.filter(({ kind, value }) => kind === "gauge" || value !== 0);
    return {
      service_id: idOf("service", service),
      seconds,
      up_seconds: up * seconds,
      measures: some.map(({ kind, name }) => idOf("measure", idOf("service", service), kind, name)),
      totals: some.map(({ kind, value }) => (kind === "gauge" ? value * seconds : value)),
      maxima: some.map(({ max, value }) => max ?? value),
    };
  });
  await tx.query(
    `INSERT INTO presence (level, at, service_id, seconds, up_seconds, measures, totals, maxima)
     SELECT 0, $1, service_id, seconds, up_seconds, measures, totals, maxima
     FROM jsonb_to_recordset($2::jsonb) AS row(service_id bigint, seconds float8, up_seconds float8, measures bigint[],
       totals float8[], maxima float8[])
     ON CONFLICT DO NOTHING`,
    [new Date(start), JSON.stringify(presence)],
  );
}

/** Gives every name of the window an id, and learns it; asks only for those that are not known yet. */
async function nameAll(tx: Queryable, services: readonly ServiceWindow[], { ids }: NameCache): Promise<void> {
  const unknown = (key: readonly string[]) => !ids.has(JSON.stringify(key));
  const learn = (key: readonly string[], id: string) => ids.set(JSON.stringify(key), id);
  const idOf = (...key: readonly string[]) => ids.get(JSON.stringify(key)) ?? "";

  const newServices = services.map(({ service }) => service).filter((name) => unknown(["service", name]));
  if (newServices.length > 0) {
    await tx.query("INSERT INTO service (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING", [newServices]);
    const rows = await tx.query<{ id: string; name: string }>("SELECT id, name FROM service WHERE name = ANY($1)", [newServices]);
    for (const { id, name } of rows) learn(["service", name], id);
  }

  const layouts = [...new Set(services.flatMap(({ calls }) => calls.map(({ bounds }) => boundsText(bounds))))];
  for (const text of layouts.filter((layout) => unknown(["layout", layout]))) {
    await tx.query("INSERT INTO layout (bounds) VALUES ($1::float8[]) ON CONFLICT DO NOTHING", [text]);
    const [row] = await tx.query<{ id: string }>("SELECT id FROM layout WHERE bounds = $1::float8[]", [text]);
    if (row !== undefined) learn(["layout", text], row.id);
  }

  const newSeries = services.flatMap(({ service, calls }) =>
    calls
      .map(({ method, bounds }) => ["series", idOf("service", service), method, idOf("layout", boundsText(bounds))] as const)
      .filter(unknown),
  );
  if (newSeries.length > 0) {
    const columns = [newSeries.map((key) => key[1]), newSeries.map((key) => key[2]), newSeries.map((key) => key[3])];
    const source = "unnest($1::bigint[], $2::text[], $3::bigint[]) AS row(service_id, method, layout_id)";
    await tx.query(`INSERT INTO series (service_id, method, layout_id) SELECT * FROM ${source} ON CONFLICT DO NOTHING`, columns);
    const rows = await tx.query<{ id: string; service_id: string; method: string; layout_id: string }>(
      `SELECT id, service_id, method, layout_id FROM series JOIN ${source} USING (service_id, method, layout_id)`,
      columns,
    );
    for (const row of rows) learn(["series", row.service_id, row.method, row.layout_id], row.id);
  }

  const newMeasures = services.flatMap(({ service, measures }) =>
    measures.map(({ kind, name }) => ["measure", idOf("service", service), kind, name] as const).filter(unknown),
  );
  if (newMeasures.length > 0) {
    const columns = [newMeasures.map((key) => key[1]), newMeasures.map((key) => key[2]), newMeasures.map((key) => key[3])];
    const source = "unnest($1::bigint[], $2::text[], $3::text[]) AS row(service_id, kind, name)";
    await tx.query(`INSERT INTO measure (service_id, kind, name) SELECT * FROM ${source} ON CONFLICT DO NOTHING`, columns);
    const rows = await tx.query<{ id: string; service_id: string; kind: string; name: string }>(
      `SELECT id, service_id, kind, name FROM measure JOIN ${source} USING (service_id, kind, name)`,
      columns,
    );
    for (const row of rows) learn(["measure", row.service_id, row.kind, row.name], row.id);
  }
}

/** An array of PostgreSQL's, which is also the layout's name in the cache. */
function boundsText(bounds: readonly number[]): string {
  return `{${bounds.map((bound) => (bound === Number.NEGATIVE_INFINITY ? "-Infinity" : bound)).join()}}`;
}
