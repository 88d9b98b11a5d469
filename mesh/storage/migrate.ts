/** Brings a database's schema to the state of the SQL files of a service. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import type { Logger } from "pino";
import type { Database, Queryable } from "./database.ts";

interface Migration {
  readonly number: number;
  readonly file: string;
  readonly sql: string;
  readonly checksum: string;
}

/** Milliseconds for one statement: rewriting a large table takes long, and so does waiting for another process to do it. */
const migrationTimeoutMs = 3_600_000;

/**
 * Applies the files `NNN_what.sql` of `folder` (which ends in a slash) that were not applied yet, in the order of their numbers, each in
 * a transaction of its own, and answers how many those were. Processes that start together take turns by an advisory lock.
 *
 * What is applied is on record in the table heddle_migrations of `schema`, so that a module of the mesh can have files beside the
 * service's own; a schema other than the default, public, is made when it is absent, and its files name it in every table.
 *
 * @throws Error naming the file when one was changed, renamed or removed after it was applied, when two have the same number, or when
 * one fails: that file leaves nothing behind, those before it stay.
 */
export async function migrate(db: Database, folder: URL, log: Logger, schema = "public"): Promise<number> {
  const migrations = await readMigrations(folder);
  const record = `${schema}.heddle_migrations`;
  await db.transaction(
    async (tx) => {
      await lock(tx);
      if (schema !== "public") await tx.query(`create schema if not exists ${schema}`);
      await tx.query(`create table if not exists ${record} (
      number integer primary key, file text not null, checksum text not null, applied_at timestamptz not null default now())`);
    },
    { timeoutMs: migrationTimeoutMs },
  );
  let applied = 0;
  for (const migration of migrations) {
    const fresh = await db.transaction((tx) => apply(tx, record, migration), { timeoutMs: migrationTimeoutMs });
    if (fresh) log.info({ file: migration.file }, "migrated the database");
    applied += fresh ? 1 : 0;
  }
  await assertNoneMissing(db, record, migrations);
  return applied;
}

async function apply(tx: Queryable, record: string, migration: Migration): Promise<boolean> {
  await lock(tx);
  const [row] = await tx.query<{ file: string; checksum: string }>(`select file, checksum from ${record} where number = $1`, [
    migration.number,
  ]);
  if (row !== undefined) {
    if (row.file !== migration.file) throw new Error(`migration ${migration.file} was applied as ${row.file}: do not rename it`);
    if (row.checksum !== migration.checksum)
      throw new Error(`migration ${migration.file} was changed after it was applied: add a new one`);
    return false;
  }
  try {
    // A file holds several statements, which PostgreSQL takes together when there are no parameters.
    await tx.query(migration.sql);
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new Error(`migration ${migration.file} failed: ${said}`, { cause: error });
  }
  await tx.query(`insert into ${record} (number, file, checksum) values ($1, $2, $3)`, [
    migration.number,
    migration.file,
    migration.checksum,
  ]);
  return true;
}

async function readMigrations(folder: URL): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith(".sql")).sort();
  const migrations: Migration[] = [];
  for (const file of files) {
    const number = Number(/^(\d{3})_[a-z0-9_-]+\.sql$/.exec(file)?.[1]);
    if (Number.isNaN(number)) throw new Error(`migration ${file}: expected a name such as 001_users.sql`);
    const before = migrations.at(-1);
    if (before?.number === number) throw new Error(`migrations ${before.file} and ${file} have the same number`);
    const sql = await readFile(new URL(file, folder), "utf8");
    // A checkout with other line ends is the same migration.
    const checksum = createHash("sha256").update(sql.replaceAll("\r\n", "\n")).digest("hex");
    migrations.push({ number, file, sql, checksum });
  }
  return migrations;
}

async function assertNoneMissing(db: Database, record: string, migrations: readonly Migration[]): Promise<void> {
  const known = new Set(migrations.map(({ number }) => number));
  const last = migrations.at(-1)?.number ?? 0;
  const rows = await db.query<{ number: number; file: string }>(`select number, file from ${record} order by number`);
  // A number above ours is a newer version's, which may run beside this one during a rolling update.
  const missing = rows.find(({ number }) => number < last && !known.has(number));
  if (missing !== undefined) throw new Error(`migration ${missing.file} was applied but its file is gone`);
}

/** Held to the end of the transaction; the number is arbitrary, the same for all services since each has its own database. */
async function lock(tx: Queryable): Promise<void> {
  await tx.query("select pg_advisory_xact_lock(7239401)");
}
