/** The SQL of topics. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Topic, TopicSettings } from "./event.ts";

/** Makes a topic. False when the name is taken. */
export async function insertTopic(q: Queryable, name: string, settings: TopicSettings): Promise<boolean> {
  const { description, partitions, retentionMs, retentionBytes, openToReaders, openToPublishers } = settings;
  const rows = await q.query<{ id: number | null }>("SELECT create_topic($1, $2, $3, $4, $5, $6, $7) AS id", [
    ...[name, description, partitions, retentionMs ?? null, retentionBytes, openToReaders, openToPublishers],
  ]);
  return rows[0]?.id != null;
}

/** The topic of that name. */
export async function findTopic(q: Queryable, name: string): Promise<Topic | undefined> {
  return (await q.query<TopicRow>(`SELECT ${topicColumns} FROM topic WHERE name = $1`, [name])).map(toTopic)[0];
}

/** How many topics there are. */
export async function countTopics(q: Queryable): Promise<number> {
  return Number((await q.query<{ n: string }>("SELECT count(*) AS n FROM topic"))[0]?.n ?? 0);
}

/** At most `size` topics by name behind `after`; those that are open to somebody when `openOnly`. */
export async function listTopics(q: Queryable, size: number, after: string, openOnly: boolean): Promise<Topic[]> {
  const rows = await q.query<TopicRow>(
    `SELECT ${topicColumns} FROM topic WHERE name > $2 AND (NOT $3 OR open_to_readers OR open_to_publishers) ORDER BY name LIMIT $1`,
    [size, after, openOnly],
  );
  return rows.map(toTopic);
}

/** Changes the given settings and announces it; undefined when there is no such topic, or it has more partitions already. */
export async function changeTopic(q: Queryable, name: string, change: Partial<TopicSettings>): Promise<Topic | undefined> {
  const { description, partitions, retentionBytes, openToReaders, openToPublishers } = change;
  const rows = await q.query<TopicRow>(
    `WITH told AS (SELECT pg_notify('topic_changed', $1))
     UPDATE topic SET description = coalesce($2, description), partitions = coalesce($3, partitions),
       retention_ms = CASE WHEN $4 THEN $5::bigint ELSE retention_ms END, retention_bytes = coalesce($6, retention_bytes),
       open_to_readers = coalesce($7, open_to_readers), open_to_publishers = coalesce($8, open_to_publishers)
     FROM told WHERE name = $1 AND partitions <= coalesce($3, partitions) RETURNING ${topicColumns}`,
    [
      ...[name, description ?? null, partitions ?? null, "retentionMs" in change, change.retentionMs ?? null],
      ...[retentionBytes ?? null, openToReaders ?? null, openToPublishers ?? null],
    ],
  );
  return rows.map(toTopic)[0];
}

/** The last position of each of the topics with these ids. */
export async function lastPositions(q: Queryable, ids: readonly number[]): Promise<Map<number, number>> {
  const sql = "SELECT id, next_position - 1 AS last FROM topic WHERE id = ANY ($1::integer[])";
  const rows = await q.query<{ id: number; last: string }>(sql, [ids]);
  return new Map(rows.map(({ id, last }) => [id, Number(last)]));
}

const topicColumns = `id, name, description, partitions, retention_ms, retention_bytes, open_to_readers, open_to_publishers,
  first_position, next_position, bytes - expired_bytes AS kept_bytes, create_time, last_time`;

interface TopicRow {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  readonly partitions: number;
  readonly retention_ms: string | null;
  readonly retention_bytes: string;
  readonly open_to_readers: boolean;
  readonly open_to_publishers: boolean;
  readonly first_position: string;
  readonly next_position: string;
  readonly kept_bytes: string;
  readonly create_time: Date;
  readonly last_time: Date | null;
}

function toTopic(row: TopicRow): Topic {
  const { id, name, description, partitions } = row;
  return {
    ...{ id, name, description, partitions, openToReaders: row.open_to_readers, openToPublishers: row.open_to_publishers },
    retentionMs: row.retention_ms === null ? undefined : Number(row.retention_ms),
    retentionBytes: Number(row.retention_bytes),
    firstPosition: Number(row.first_position),
    nextPosition: Number(row.next_position),
    bytes: Number(row.kept_bytes),
    createTime: row.create_time.getTime(),
    lastTime: row.last_time?.getTime(),
  };
}
