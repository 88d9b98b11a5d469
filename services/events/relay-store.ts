/** The SQL of the relay to Kafka: how far each topic has come. */
import type { Queryable } from "#mesh/storage/database.ts";

/** A topic's way to Kafka. */
export interface RelayState {
  readonly topicId: number;
  readonly topic: string;
  readonly partitions: number;
  readonly firstPosition: number;
  readonly lastPosition: number;
  /** The last position that Kafka has. */
  readonly position: number;
  /** The process that relayed last. */
  readonly owner: string;
  readonly successTime: number | undefined;
  readonly error: string;
}

/** Takes a topic for this transaction; undefined when another process has it, or there is no such topic. */
export async function lockRelay(tx: Queryable, topicId: number): Promise<RelayState | undefined> {
  // The first number sets these locks apart from others in the database.
  const [lock] = await tx.query<{ taken: boolean }>("SELECT pg_try_advisory_xact_lock(7007, $1) AS taken", [topicId]);
  return lock?.taken === true ? (await relayStates(tx, [topicId]))[0] : undefined;
}

/** The states of the topics with these ids, or of all. */
export async function relayStates(q: Queryable, topicIds?: readonly number[]): Promise<RelayState[]> {
  const rows = await q.query<RelayRow>(
    `SELECT t.id, t.name, t.partitions, t.first_position, t.next_position, r.position, r.owner, r.success_time, r.error
     FROM topic t JOIN relay r ON r.topic_id = t.id WHERE $1::integer[] IS NULL OR t.id = ANY ($1) ORDER BY t.name`,
    [topicIds ?? null],
  );
  return rows.map((row) => ({
    ...{ topicId: row.id, topic: row.name, partitions: row.partitions, owner: row.owner, error: row.error },
    ...{ firstPosition: Number(row.first_position), lastPosition: Number(row.next_position) - 1, position: Number(row.position) },
    successTime: row.success_time?.getTime(),
  }));
}

/** Marks what Kafka has now, and tells those who wait for it once it is committed. */
export async function markRelayed(tx: Queryable, topicId: number, position: number, owner: string, now: number): Promise<void> {
  await tx.query(
    `WITH told AS (SELECT pg_notify('event_relayed', $1::text || ':' || $2::text))
     UPDATE relay SET position = greatest(position, $2::bigint), owner = $3, success_time = $4, error = '' FROM told
     WHERE topic_id = $1::integer`,
    [topicId, position, owner, new Date(now)],
  );
}

/** Marks a failure. True when the attempt before had not failed in the same way. */
export async function markRelayFailed(q: Queryable, topicId: number, error: string): Promise<boolean> {
  const sql = "UPDATE relay SET error = $2 WHERE topic_id = $1 AND error <> $2 RETURNING 1";
  return (await q.query(sql, [topicId, error])).length > 0;
}

interface RelayRow {
  readonly id: number;
  readonly name: string;
  readonly partitions: number;
  readonly first_position: string;
  readonly next_position: string;
  readonly position: string;
  readonly owner: string;
  readonly success_time: Date | null;
  readonly error: string;
}
