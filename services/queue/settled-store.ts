/** What was settled last in the ordered queues of RabbitMQ, and by whom. */
import type { Database, Queryable } from "#mesh/storage/database.ts";

/**
 * Messages that are remembered for each queue, and for how long in milliseconds. RabbitMQ keeps up to 32,768 acknowledgements of a queue in its
 * journal before it must write them (queue_index_max_journal_entries), and writes those of a queue that rests within seconds.
 */
const [remembered, rememberedMs] = [50_000, 3_600_000];

/**
 * Makes `instance` the holder of a queue; nobody who held it before can settle there any more.
 *
 * @returns the keys of the messages that are settled.
 */
export async function claimHold(db: Database, queueId: string, instance: string): Promise<ReadonlySet<string>> {
  await db.query(
    `INSERT INTO hold (queue_id, instance) SELECT id, $2 FROM queue WHERE id = $1
     ON CONFLICT (queue_id) DO UPDATE SET instance = excluded.instance`,
    [queueId, instance],
  );
  const rows = await db.query<{ message_key: string }>("SELECT message_key FROM settled WHERE queue_id = $1", [queueId]);
  return new Set(rows.map(({ message_key }) => message_key));
}

/** Takes note that messages are settled. False when `instance` does not hold the queue any more: then they are not. */
export async function recordSettled(
  q: Queryable,
  queueId: string,
  instance: string,
  messageKeys: readonly string[],
  now: number,
): Promise<boolean> {
  // The lock keeps another from claiming the queue before these rows can be seen.
  const held = await q.query(
    `WITH held AS (SELECT FROM hold WHERE queue_id = $1 AND instance = $2 FOR SHARE),
       noted AS (INSERT INTO settled (queue_id, message_key, settle_time) SELECT $1, unnest($3::text[]), $4 FROM held)
     SELECT FROM held`,
    [queueId, instance, messageKeys, new Date(now)],
  );
  return held.length > 0;
}

/** Forgets what the broker has written long ago. */
export async function forgetSettled(db: Database, now: number): Promise<void> {
  await db.query(
    `DELETE FROM settled USING hold, LATERAL (
       SELECT number FROM settled AS own WHERE own.queue_id = hold.queue_id ORDER BY number DESC OFFSET $1 LIMIT 1
     ) AS last WHERE settled.queue_id = hold.queue_id AND settled.number <= last.number`,
    [remembered],
  );
  await db.query("DELETE FROM settled WHERE settle_time < $1", [new Date(now - rememberedMs)]);
}
