/** The table of what was published lately: deduplication keys within their window, and request ids. */
import type { Queryable } from "#mesh/storage/database.ts";

/** One key to remember. */
export interface Claim {
  readonly key: string;
  readonly messageId: string;
  /** What was asked for, where a repeat must ask for the same. */
  readonly contentHash: string | undefined;
  /** Milliseconds since the epoch. */
  readonly expireTime: number;
}

/** What is remembered of a key. */
export interface Claimed {
  readonly messageId: string;
  readonly contentHash: string | undefined;
}

/**
 * Claims keys, each of which is named once; those that are taken and have not expired are answered, with who has them. A call that claims the
 * same key at the same time waits for this transaction.
 */
export async function claimKeys(
  tx: Queryable,
  queueId: string,
  claims: readonly Claim[],
  now: number,
): Promise<ReadonlyMap<string, Claimed>> {
  if (claims.length === 0) return new Map();
  // In one order everywhere, so that two batches with the same keys do not lock each other out.
  const sorted = claims.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const rows = await tx.query<{ key: string }>(
    `INSERT INTO deduplication AS d (queue_id, key, message_id, content_hash, expire_time)
     SELECT $1, k, m, h, e FROM unnest($2::text[], $3::uuid[], $4::text[], $5::timestamptz[]) WITH ORDINALITY AS t (k, m, h, e, n) ORDER BY n
     ON CONFLICT (queue_id, key) DO UPDATE
       SET message_id = excluded.message_id, content_hash = excluded.content_hash, expire_time = excluded.expire_time
       WHERE d.expire_time <= $6
     RETURNING key`,
    [
      queueId,
      sorted.map(({ key }) => key),
      sorted.map(({ messageId }) => messageId),
      sorted.map(({ contentHash }) => contentHash ?? null),
      sorted.map(({ expireTime }) => new Date(expireTime)),
      new Date(now),
    ],
  );
  const won = new Set(rows.map(({ key }) => key));
  const lost = sorted.filter(({ key }) => !won.has(key)).map(({ key }) => key);
  if (lost.length === 0) return new Map();
  const taken = await tx.query<{ key: string; message_id: string; content_hash: string | null }>(
    "SELECT key, message_id, content_hash FROM deduplication WHERE queue_id = $1 AND key = ANY($2::text[])",
    [queueId, lost],
  );
  return new Map(
    taken.map(({ key, message_id, content_hash }) => [key, { messageId: message_id, contentHash: content_hash ?? undefined }]),
  );
}

/** Forgets what has expired, some of it at a time. Answers with how many. */
export async function forgetExpiredKeys(q: Queryable, now: number): Promise<number> {
  const rows = await q.query(
    `DELETE FROM deduplication WHERE (queue_id, key) IN
       (SELECT queue_id, key FROM deduplication WHERE expire_time <= $1 ORDER BY expire_time LIMIT 1000) RETURNING 1`,
    [new Date(now)],
  );
  return rows.length;
}
