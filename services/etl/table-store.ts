/** The SQL of the users' tables: each user's are in a schema of their own. Times go in and out as milliseconds since the epoch. */
import { badPageToken } from "#mesh/storage/page.ts";
import type { Queryable } from "#mesh/storage/database.ts";
import { type Column, quoted, rowColumn } from "./column.ts";
import { JobError, type Load } from "./job.ts";

/** A table that a job has loaded. */
export interface UserTable {
  readonly name: string;
  readonly userId: string;
  readonly columns: readonly Column[];
  readonly rowCount: number;
  readonly sizeBytes: number;
  /** Counts the loads. */
  readonly version: number;
  readonly jobId: string;
  readonly createTime: number;
  readonly updateTime: number;
}

/** Where a user's tables are. */
export function schemaOf(userId: string): string {
  return `user_${userId.replaceAll("-", "")}`;
}

/** A table's name in SQL. */
export function sqlName(userId: string, table: string): string {
  return `${schemaOf(userId)}.${quoted(table)}`;
}

/** One table; undefined when there is none. */
export async function getTable(q: Queryable, userId: string, name: string): Promise<UserTable | undefined> {
  const sql = `SELECT ${columns} FROM user_table t WHERE user_id = $1 AND name = $2`;
  return (await q.query<TableRow>(sql, [userId, name])).map(toTable)[0];
}

/** A page of a user's tables by name, and one more when there are more. @throws INVALID_ARGUMENT naming page_token. */
export async function listTables(
  q: Queryable,
  userId: string,
  size: number,
  after: readonly string[] | undefined,
): Promise<UserTable[]> {
  if (after !== undefined && after.length !== 1) throw badPageToken();
  const rows = await q.query<TableRow>(
    `SELECT ${columns} FROM user_table t WHERE user_id = $1 AND ($2::text IS NULL OR name > $2) ORDER BY name LIMIT $3 + 1`,
    [userId, after?.[0] ?? null, size],
  );
  return rows.map(toTable);
}

/** Bytes of all of a user's tables. */
export async function tableBytes(q: Queryable, userId: string): Promise<number> {
  const rows = await q.query<{ bytes: string }>(
    `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) AS bytes FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind = 'r'`,
    [schemaOf(userId)],
  );
  return Number(rows[0]?.bytes ?? 0);
}

/** Deletes a table. False when there is none. */
export async function dropTable(tx: Queryable, userId: string, name: string): Promise<boolean> {
  await lock(tx, userId);
  const rows = await tx.query("DELETE FROM user_table WHERE user_id = $1 AND name = $2 RETURNING 1", [userId, name]);
  if (rows.length > 0) await tx.query(`DROP TABLE IF EXISTS ${sqlName(userId, name)}`);
  return rows.length > 0;
}

/** What goes into which table. */
export interface TableMove {
  readonly jobId: string;
  readonly userId: string;
  readonly staging: string;
  readonly columns: readonly Column[];
  readonly rows: number;
  readonly load: Extract<Load, { kind: "table" }>;
}

/**
 * Makes a staging table one of the user's, or adds its rows to one. Answers how many rows were loaded.
 *
 * @throws JobError when the table that is there does not allow it.
 */
export async function moveToTable(tx: Queryable, move: TableMove, now: number): Promise<number> {
  const { userId, staging, columns: made, rows, load, jobId } = move;
  await lock(tx, userId);
  const before = await getTable(tx, userId, load.table);
  if (before !== undefined && load.mode === "create") throw new JobError(`table ${load.table} is there already`);
  await tx.query(`CREATE SCHEMA IF NOT EXISTS ${schemaOf(userId)}`);
  if (before !== undefined && load.mode === "append") {
    if (JSON.stringify(before.columns) !== JSON.stringify(made)) {
      throw new JobError(`table ${load.table} has other columns: ${before.columns.map(({ name, type }) => `${name} ${type}`).join(", ")}`);
    }
    const names = made.map(({ name }) => quoted(name)).join(", ");
    await tx.query(
      `INSERT INTO ${sqlName(userId, load.table)} (${rowColumn}, ${names})
       SELECT ${rowColumn} + $1, ${names} FROM ${staging} ORDER BY ${rowColumn}`,
      [before.rowCount],
    );
  } else {
    await tx.query(`DROP TABLE IF EXISTS ${sqlName(userId, load.table)}`);
    await tx.query(`ALTER TABLE ${staging} SET SCHEMA ${schemaOf(userId)}`);
    const name = staging.slice(staging.indexOf(".") + 1);
    await tx.query(`ALTER TABLE ${schemaOf(userId)}.${name} RENAME TO ${quoted(load.table)}`);
    await tx.query(`ALTER TABLE ${sqlName(userId, load.table)} RESET (autovacuum_enabled)`);
  }
  const added = load.mode === "append" ? (before?.rowCount ?? 0) : 0;
  await tx.query(
    `INSERT INTO user_table AS t (user_id, name, columns, row_count, job_id, create_time, update_time)
     VALUES ($1, $2, $3, $4, $5, $6, $6)
     ON CONFLICT (user_id, name) DO UPDATE SET columns = excluded.columns, row_count = excluded.row_count, job_id = excluded.job_id,
       update_time = excluded.update_time, version = t.version + 1`,
    [userId, load.table, JSON.stringify(made), added + rows, jobId, new Date(now)],
  );
  return rows;
}

/** A user's tables change one after the other. */
async function lock(tx: Queryable, userId: string): Promise<void> {
  await tx.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 7011))", [userId]);
}

const columns = `user_id, name, columns, row_count, version, job_id, create_time, update_time,
  coalesce(pg_total_relation_size(to_regclass('user_' || replace(t.user_id::text, '-', '') || '.' || quote_ident(t.name))), 0) AS size_bytes`;

interface TableRow {
  readonly user_id: string;
  readonly name: string;
  readonly columns: readonly Column[];
  readonly row_count: string;
  readonly version: string;
  readonly job_id: string;
  readonly create_time: Date;
  readonly update_time: Date;
  readonly size_bytes: string;
}

function toTable(row: TableRow): UserTable {
  return {
    name: row.name,
    userId: row.user_id,
    // jsonb keeps the keys of an object in an order of its own.
    columns: row.columns.map(({ name, type }) => ({ name, type })),
    rowCount: Number(row.row_count),
    sizeBytes: Number(row.size_bytes),
    version: Number(row.version),
    jobId: row.job_id,
    createTime: row.create_time.getTime(),
    updateTime: row.update_time.getTime(),
  };
}
