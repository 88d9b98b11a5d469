/** pg-boss on the service's own database: its pool, its breaker, its deadlines, and its one connection that listens. */
import { type Db, PgBoss } from "pg-boss";
import type { Logger } from "pino";
import type { Database, Queryable } from "#mesh/storage/database.ts";

/** The schema that pg-boss keeps its tables in. */
export const bossSchema = "pgboss";

/** Milliseconds that one statement of pg-boss's own migrations may take. */
const migrationTimeoutMs = 600_000;

/** What starts it. */
export interface BossOptions {
  readonly db: Database;
  readonly log: Logger;
  /** Hears the name of a queue that has a job to fetch; undefined when any may, after the connection that listens was lost. */
  readonly onJob: (queue: string | undefined) => void;
}

/**
 * Starts pg-boss, which makes or migrates its schema. Its supervisor stays off: it looks for expired jobs once a minute and leaves the
 * failed ones in the queue, where they would hold back their key; sweeper.ts does both within a second.
 */
export async function startBoss({ db, log, onJob }: BossOptions): Promise<PgBoss & AsyncDisposable> {
  const adapter: Db = {
    executeSql: (text, values) => execute(db, text, values),
    async listen(channel, onNotification, onReconnect) {
      const hear = (payload: string) => {
        onNotification(payload);
        onJob(payload);
      };
      const listening = await db.listen(channel, hear, () => {
        onReconnect();
        onJob(undefined);
      });
      return { close: async () => listening[Symbol.asyncDispose]() };
    },
  };
  const boss = new PgBoss({ db: adapter, schema: bossSchema, supervise: false, schedule: false, useListenNotify: true });
  boss.on("error", (error) => log.warn({ err: error }, "pg-boss reported an error"));
  boss.on("warning", (warning) => log.debug({ warning }, "pg-boss warned"));
  await db.transaction(
    async (tx) => {
      // Two instances that start on an empty database would both make the schema: they take turns.
      await tx.query("SELECT pg_advisory_xact_lock(7239402)");
      await boss.start();
      // What the sweeper looks by: open deliveries only, so it is as small as they are few.
      await tx.query(
        `CREATE INDEX IF NOT EXISTS heddle_job_active ON ${bossSchema}.job_common (started_on) WHERE state = 'active'`,
      );
    },
    { timeoutMs: migrationTimeoutMs },
  );
  return Object.assign(boss, { [Symbol.asyncDispose]: () => boss.stop({ graceful: false, close: false }) });
}

/** Lets pg-boss's calls run in a transaction of ours. */
export function within(tx: Queryable): { db: Db } {
  return { db: { executeSql: async (text, values) => ({ rows: await tx.query(text, values) }) } };
}

async function execute(db: Database, text: string, values?: unknown[]): Promise<{ rows: unknown[] }> {
  // pg-boss sends its larger changes as one text with BEGIN and COMMIT in it. One that failed would leave a pooled connection inside an aborted
  // transaction, so they run in a transaction of the pool's.
  const inner = /^\s*BEGIN;([\s\S]*)COMMIT;\s*$/.exec(text)?.[1];
  if (inner === undefined) return { rows: await db.query(text, values) };
  return { rows: await db.transaction((tx) => tx.query(inner), { timeoutMs: migrationTimeoutMs }) };
}
