/** Removes what topics no longer keep: events by age and size, old entries of the log, request ids that nobody repeats any more. */
import type { Logger } from "pino";
import { runWithoutContext } from "#mesh/context.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { addLog } from "./log-store.ts";

/** What retention works with. */
export interface RetentionOptions {
  readonly db: Database;
  readonly log: Logger;
  readonly clock: () => number;
  /** Whether events wait for Kafka: those that it has not got are kept. */
  readonly relaying: boolean;
  /** Milliseconds between rounds. Default 60,000. */
  readonly everyMs?: number;
}

/** How long a request id is remembered. */
const requestMemoryMs = 7 * 86_400_000;
/** How long the log of what happened goes back, and how many entries it has at most. */
const logMemory = { ms: 7 * 86_400_000, entries: 1_000_000 };
/** Rows that one statement deletes. */
const chunk = 10_000;

/** Rounds until disposed; the first after one interval. A round that fails is tried again at the next. */
export function startRetention({ everyMs = 60_000, ...o }: RetentionOptions): AsyncDisposable {
  let round = Promise.resolve();
  const timer = runWithoutContext(() =>
    setInterval(() => {
      round = round.then(() => expire(o)).catch((error: unknown) => o.log.warn({ err: error }, "retention failed"));
    }, everyMs),
  );
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await round;
    },
  };
}

/** One round. What expires is hidden at once, and its tables are dropped in a later round, when no reader is in them any more. */
export async function expire({ db, clock, relaying }: Omit<RetentionOptions, "everyMs" | "log">): Promise<void> {
  const topics = await db.query<{ id: number; name: string }>("SELECT id, name FROM topic ORDER BY id");
  const failures: unknown[] = [];
  for (const { id, name } of topics) {
    try {
      await dropExpired(db, id);
      await hideExpired(db, id, name, relaying, clock());
    } catch (error) {
      // One topic whose readers let no lock through does not keep the others from expiring.
      failures.push(error);
    }
  }
  await drain(db, "accepted", "ctid", "store_time < $1", [new Date(clock() - requestMemoryMs)]);
  await drain(db, "log", "ctid", "time < $1 OR id < (SELECT max(id) FROM log) - $2", [
    new Date(clock() - logMemory.ms),
    logMemory.entries,
  ]);
}

async function hideExpired(db: Database, topicId: number, topic: string, relaying: boolean, now: number): Promise<void> {
  await db.transaction(async (tx) => {
    const [row] = await tx.query<{ first: string; last: string; bytes: string }>(
      `WITH old AS (
         SELECT t.id, t.first_position, least(
           greatest(
             CASE WHEN t.retention_ms IS NOT NULL THEN position_before(t.id, $2::timestamptz - t.retention_ms * interval '1 ms') ELSE 0 END,
             CASE WHEN t.retention_bytes > 0 AND t.bytes - t.expired_bytes > t.retention_bytes
               THEN position_within(t.id, t.bytes - t.retention_bytes - 1) + 1 ELSE 0 END),
           CASE WHEN $3 THEN r.position ELSE t.next_position - 1 END) AS last
         FROM topic t JOIN relay r ON r.topic_id = t.id WHERE t.id = $1
       )
       UPDATE topic t SET first_position = old.last + 1,
         expired_bytes = (SELECT end_bytes FROM event WHERE topic_id = $1 AND position = old.last)
       FROM old WHERE t.id = old.id AND old.last >= t.first_position
       RETURNING old.first_position AS first, old.last, t.expired_bytes AS bytes`,
      [topicId, new Date(now), relaying],
    );
    if (row === undefined) return;
    const [firstPosition, lastPosition] = [Number(row.first), Number(row.last)];
    await addLog(tx, { time: now, kind: "expired", topic, firstPosition, lastPosition, count: lastPosition - firstPosition + 1 });
  });
}

/** Drops the segments that lie wholly before the first event, and deletes what lies before it in the segment that it is in. */
async function dropExpired(db: Database, topicId: number): Promise<void> {
  const segments = await db.query<{ name: string; from: string; to: string; first: string }>(
    `SELECT c.relname AS name, t.first_position AS first,
       substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \\(''(\\d+)''\\)') AS from,
       substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \\(''(\\d+)''\\)') AS to
     FROM topic t JOIN pg_inherits i ON i.inhparent = format('event_%s', t.id)::regclass JOIN pg_class c ON c.oid = i.inhrelid
     WHERE t.id = $1`,
    [topicId],
  );
  for (const { name, from, to, first } of segments) {
    if (Number(to) <= Number(first)) {
      await db.transaction(async (tx) => {
        // Readers behind us would wait for as long as we do, so not for long; the next round tries again.
        await tx.query("SET LOCAL lock_timeout = 500");
        await tx.query(`DROP TABLE IF EXISTS ${name}`);
      });
    } else if (Number(from) < Number(first)) await drain(db, name, "ctid", "position < $1", [first]);
  }
}

/** Deletes matching rows in chunks, so that no statement takes long. */
async function drain(q: Queryable, table: string, id: string, condition: string, params: readonly unknown[]): Promise<void> {
  const sql = `DELETE FROM ${table} WHERE ${id} IN (SELECT ${id} FROM ${table} WHERE ${condition} LIMIT ${chunk}) RETURNING 1`;
  while ((await q.query(sql, params)).length === chunk);
}
