/** The SQL of staging tables: where the rows of a job wait for its end. */
import type { Queryable } from "#mesh/storage/database.ts";
import { copyIn } from "#mesh/storage/copy.ts";
import type { Cell } from "./cell.ts";
import { type Column, quoted, rowColumn, sqlTypeOf } from "./column.ts";
import { combineSql } from "./combine.ts";
import type { Combine } from "./job.ts";

/** The staging table of a stage: `rows` behind its row steps, `all` behind its step for all rows. */
export function stagingTable(jobId: string, stage: number, what: "rows" | "all"): string {
  return `staging.j${jobId.replaceAll("-", "")}_${stage}_${what}`;
}

/** Makes a staging table, unless it is there. */
export async function makeStaging(tx: Queryable, table: string, columns: readonly Column[]): Promise<void> {
  const own = columns.map(({ name, type }) => `, ${quoted(name)} ${sqlTypeOf[type]}`).join("");
  // Rows come once and are read once: nothing is gained by cleaning up behind them.
  await tx.query(
    `CREATE TABLE IF NOT EXISTS ${table} (${rowColumn} bigint NOT NULL${own}) WITH (autovacuum_enabled = false)`,
  );
}

/** Adds rows, in the text format of COPY with the row's number first. */
export async function copyRows(tx: Queryable, table: string, columns: readonly Column[], data: Uint8Array): Promise<void> {
  if (data.length === 0) return;
  const names = [rowColumn, ...columns.map(({ name }) => quoted(name))].join(", ");
  await copyIn(tx, `COPY ${table} (${names}) FROM STDIN`, data);
}

/** All rows are there: from now on they can be read by number. */
export async function numberRows(tx: Queryable, table: string): Promise<void> {
  await tx.query(`ALTER TABLE ${table} ADD PRIMARY KEY (${rowColumn})`);
}

/** Does a step for all rows: from one staging table, which goes away, to another. Answers how many rows that has. */
export async function combineRows(
  tx: Queryable,
  from: string,
  to: string,
  step: Combine,
  input: readonly Column[],
  output: readonly Column[],
): Promise<number> {
  await tx.query(`DROP TABLE IF EXISTS ${to}`);
  await tx.query(
    `CREATE TABLE ${to} WITH (autovacuum_enabled = false) AS SELECT * FROM (${combineSql(from, step, input, output)}) made`,
  );
  await tx.query(`ALTER TABLE ${to} ALTER ${rowColumn} SET NOT NULL`);
  await numberRows(tx, to);
  await tx.query(`DROP TABLE ${from}`);
  const [row] = await tx.query<{ n: string }>(`SELECT coalesce(max(${rowColumn}), 0) AS n FROM ${to}`);
  return Number(row?.n ?? 0);
}

/** Empties a staging table. */
export async function emptyStaging(tx: Queryable, table: string): Promise<void> {
  await tx.query(`TRUNCATE ${table}`);
}

/** Rows behind number `after`, as cells in the order of `columns`, with their numbers. */
export async function readStaging(
  q: Queryable,
  table: string,
  columns: readonly Column[],
  after: number,
  limit: number,
): Promise<{ readonly rows: Cell[][]; readonly lines: number[] }> {
  const names = columns.map(({ name }, place) => `, ${quoted(name)}::text AS c${place}`).join("");
  const found = await q.query<Record<string, string | null>>(
    `SELECT ${rowColumn}::text AS n${names} FROM ${table} WHERE ${rowColumn} > $1 ORDER BY ${rowColumn} LIMIT $2`,
    [after, limit],
  );
  const lines = found.map((row) => Number(row.n));
  // PostgreSQL writes booleans as true and false where they are cast.
  const booleans = columns.map(({ type }) => type === "boolean");
  const rows = found.map((row) =>
    columns.map((_, place) => {
      const cell = row[`c${place}`] ?? null;
      return booleans[place] && cell !== null ? cell.slice(0, 1) : cell;
    }),
  );
  return { rows, lines };
}

/** Deletes whatever a job has staged. */
export async function dropStaging(tx: Queryable, jobId: string, stages: number): Promise<void> {
  const tables = Array.from({ length: stages }, (_, stage) => [
    stagingTable(jobId, stage, "rows"),
    stagingTable(jobId, stage, "all"),
  ]).flat();
  if (tables.length > 0) await tx.query(`DROP TABLE IF EXISTS ${tables.join(", ")}`);
  await tx.query("UPDATE job SET staging = false WHERE id = $1", [jobId]);
}

/** Jobs that have ended and may still have something staged. */
export async function endedWithStaging(q: Queryable, limit: number): Promise<{ readonly id: string; readonly stages: number }[]> {
  return q.query(
    `SELECT id, jsonb_array_length(plan -> 'stages') AS stages FROM job
     WHERE staging AND status NOT IN ('queued', 'running') LIMIT $1`,
    [limit],
  );
}
