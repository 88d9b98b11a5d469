/** SQL of failed attempts. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Attempts } from "./lockout.ts";

/**
 * Reads the counts of `keys`, in their order, and keeps others from them until the transaction ends. Rows that are absent are made, so that
 * the first attempts at one key take turns too; the order of locking is that of the texts, so that two callers never wait for each other.
 */
export async function lockAttempts(q: Queryable, keys: readonly string[], now: number): Promise<Attempts[]> {
  const rows = await q.query<{ key: string; failures: number; last_time: Date; locked_until: Date | null }>(
    `insert into attempts (key, failures, last_time)
     select key, 0, $2 from unnest($1::text[]) as t (key) order by key
     on conflict (key) do update set failures = attempts.failures
     returning key, failures, last_time, locked_until`,
    [keys, new Date(now)],
  );
  return keys.map((key) => {
    const row = rows.find((candidate) => candidate.key === key);
    if (row === undefined) return { failures: 0, lastTime: now, lockedUntil: undefined };
    return { failures: row.failures, lastTime: row.last_time.getTime(), lockedUntil: row.locked_until?.getTime() };
  });
}

export async function saveAttempts(q: Queryable, keys: readonly string[], attempts: readonly Attempts[]): Promise<void> {
  await q.query(
    `update attempts a set failures = t.failures, last_time = t.last_time, locked_until = t.locked_until
     from unnest($1::text[], $2::int[], $3::timestamptz[], $4::timestamptz[]) as t (key, failures, last_time, locked_until)
     where a.key = t.key`,
    [
      keys,
      attempts.map(({ failures }) => failures),
      attempts.map(({ lastTime }) => new Date(lastTime)),
      attempts.map(({ lockedUntil }) => (lockedUntil === undefined ? null : new Date(lockedUntil))),
    ],
  );
}

/** The key starts from nothing again. */
export async function clearAttempts(q: Queryable, key: string): Promise<void> {
  await q.query("update attempts set failures = 0, locked_until = null where key = $1", [key]);
}

/** Takes one attempt of each key back, and the lock that it brought. */
export async function takeBackAttempts(q: Queryable, keys: readonly string[]): Promise<void> {
  await q.query(
    `update attempts a set failures = greatest(a.failures - 1, 0), locked_until = null
     from (select key from attempts where key = any ($1) order by key for update) t where a.key = t.key`,
    [keys],
  );
}

export async function sweepAttempts(q: Queryable, now: number, forgetMs: number): Promise<void> {
  await q.query("delete from attempts where last_time < $1", [new Date(now - forgetMs)]);
}
