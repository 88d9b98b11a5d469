/** The table of queues and their grants. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Grant, Queue, QueueRules } from "./queue.ts";

/** What makes CreateQueue idempotent: whose request, its id (in lower case) if any, and what it asked for. */
export interface CreatedBy {
  readonly caller: string;
  readonly requestId: string | undefined;
  readonly contentHash: string;
}

/** A page of queues. */
export interface QueuePage {
  /** Only those of, or granted to, this user; undefined means all. */
  readonly userId: string | undefined;
  readonly size: number;
  /** The name of the last queue of the page before. */
  readonly after: string | undefined;
}

/** Stores a queue; false when its name or its request id is taken. */
export async function insertQueue(tx: Queryable, queue: Queue, by: CreatedBy): Promise<boolean> {
  const rows = await tx.query(
    `INSERT INTO queue (id, name, owner, ordered, visibility_ms, max_deliveries, retention_ms, deduplication_ms,
       create_time, update_time, request_caller, request_id, content_hash)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11, $12) ON CONFLICT DO NOTHING RETURNING id`,
    [
      ...[queue.id, queue.name, queue.owner, queue.ordered, queue.visibilityMs, queue.maxDeliveries, queue.retentionMs],
      ...[queue.deduplicationMs, new Date(queue.createTime), by.caller, by.requestId ?? null, by.contentHash],
    ],
  );
  if (rows.length === 0) return false;
  await putGrants(tx, queue.id, queue.grants);
  return true;
}

/** The queue of a name. */
export async function findQueue(q: Queryable, name: string): Promise<Queue | undefined> {
  const [row] = await q.query<Row>(`${select} WHERE name = $1`, [name]);
  return row === undefined ? undefined : fromRow(row);
}

/** The queue that an earlier request made, and what that asked for. */
export async function queueOfRequest(
  q: Queryable,
  caller: string,
  requestId: string,
): Promise<{ queue: Queue; contentHash: string } | undefined> {
  const [row] = await q.query<Row>(`${select} WHERE request_caller = $1 AND request_id = $2`, [caller, requestId]);
  return row === undefined ? undefined : { queue: fromRow(row), contentHash: row.content_hash ?? "" };
}

/** A page of queues, by name. */
export async function listQueues(q: Queryable, { userId, size, after }: QueuePage): Promise<Queue[]> {
  const rows = await q.query<Row>(
    `${select} WHERE ($1::text IS NULL OR owner = $1 OR id IN (SELECT queue_id FROM queue_grant WHERE user_id::text = $1))
       AND ($2::text IS NULL OR name > $2) ORDER BY name LIMIT $3`,
    [userId ?? null, after ?? null, size],
  );
  return rows.map(fromRow);
}

/** Every queue's id. */
export async function allQueues(q: Queryable): Promise<Queue[]> {
  return (await q.query<Row>(`${select} ORDER BY name`)).map(fromRow);
}

/** The queue of an id. */
export async function queueById(q: Queryable, id: string): Promise<Queue | undefined> {
  const [row] = await q.query<Row>(`${select} WHERE id = $1`, [id]);
  return row === undefined ? undefined : fromRow(row);
}

/** How many queues an owner has. */
export async function countQueues(q: Queryable, owner: string): Promise<number> {
  const [row] = await q.query<{ n: number }>("SELECT count(*)::integer AS n FROM queue WHERE owner = $1", [owner]);
  return row?.n ?? 0;
}

/** Changes the named rules. */
export async function updateQueue(tx: Queryable, id: string, rules: Partial<QueueRules>, now: number): Promise<void> {
  await tx.query(
    `UPDATE queue SET visibility_ms = coalesce($2, visibility_ms), max_deliveries = coalesce($3, max_deliveries),
       retention_ms = coalesce($4, retention_ms), deduplication_ms = coalesce($5, deduplication_ms), update_time = $6 WHERE id = $1`,
    [id, rules.visibilityMs, rules.maxDeliveries, rules.retentionMs, rules.deduplicationMs, new Date(now)].map(
      (value) => value ?? null,
    ),
  );
  if (rules.grants === undefined) return;
  await tx.query("DELETE FROM queue_grant WHERE queue_id = $1", [id]);
  await putGrants(tx, id, rules.grants);
}

/** Removes a queue's row, and with it all that hangs on it. */
export async function deleteQueue(tx: Queryable, id: string): Promise<void> {
  await tx.query("DELETE FROM queue WHERE id = $1", [id]);
}

async function putGrants(tx: Queryable, id: string, grants: readonly Grant[]): Promise<void> {
  if (grants.length === 0) return;
  await tx.query(
    `INSERT INTO queue_grant (queue_id, user_id, publish, consume)
     SELECT $1, * FROM unnest($2::uuid[], $3::boolean[], $4::boolean[])`,
    [id, grants.map(({ userId }) => userId), grants.map(({ publish }) => publish), grants.map(({ consume }) => consume)],
  );
}

interface Row {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  readonly ordered: boolean;
  readonly visibility_ms: string;
  readonly max_deliveries: number;
  readonly retention_ms: string;
  readonly deduplication_ms: string;
  readonly create_time: Date;
  readonly update_time: Date;
  readonly content_hash: string | null;
  readonly grants: Grant[];
}

const select = `SELECT queue.*, coalesce((SELECT json_agg(json_build_object('userId', user_id, 'publish', publish, 'consume', consume)
  ORDER BY user_id) FROM queue_grant WHERE queue_id = queue.id), '[]') AS grants FROM queue`;

function fromRow(row: Row): Queue {
  return {
    id: row.id,
    name: row.name,
    owner: row.owner,
    ordered: row.ordered,
    visibilityMs: Number(row.visibility_ms),
    maxDeliveries: row.max_deliveries,
    retentionMs: Number(row.retention_ms),
    deduplicationMs: Number(row.deduplication_ms),
    grants: row.grants,
    createTime: row.create_time.getTime(),
    updateTime: row.update_time.getTime(),
  };
}
