/** The table of messages that were given up. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { DeadLetter } from "./queue.ts";

/** A page of dead letters. */
export interface DeadLetterPage {
  readonly size: number;
  /** The last one of the page before. */
  readonly after: { readonly deadTime: number; readonly messageId: string } | undefined;
}

/** Stores dead letters; one that is there already stays as it is. */
export async function insertDeadLetters(tx: Queryable, queueId: string, letters: readonly DeadLetter[]): Promise<void> {
  if (letters.length === 0) return;
  const column = <T>(value: (letter: DeadLetter) => T) => letters.map(value);
  await tx.query(
    `INSERT INTO dead_letter (queue_id, message_id, data, headers, priority, ordering_key, delivery_count, reason, publish_time, dead_time)
     SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::jsonb[], $5::integer[], $6::text[], $7::integer[], $8::text[],
       $9::timestamptz[], $10::timestamptz[]) ON CONFLICT DO NOTHING`,
    [
      queueId,
      column(({ messageId }) => messageId),
      column(({ data }) => data),
      column(({ headers }) => JSON.stringify(headers)),
      column(({ priority }) => priority),
      column(({ orderingKey }) => orderingKey),
      column(({ deliveryCount }) => deliveryCount),
      column(({ reason }) => reason),
      column(({ publishTime }) => new Date(publishTime)),
      column(({ deadTime }) => new Date(deadTime)),
    ],
  );
}

/** A page of a queue's dead letters, latest first. */
export async function listDeadLetters(q: Queryable, queueId: string, { size, after }: DeadLetterPage): Promise<DeadLetter[]> {
  const rows = await q.query<Row>(
    `SELECT * FROM dead_letter WHERE queue_id = $1 AND ($2::timestamptz IS NULL OR (dead_time, message_id) < ($2, $3::uuid))
     ORDER BY dead_time DESC, message_id DESC LIMIT $4`,
    [queueId, after === undefined ? null : new Date(after.deadTime), after?.messageId ?? null, size],
  );
  return rows.map(fromRow);
}

/** Takes dead letters out, oldest first; only `messageIds` unless that is empty. Others that take at the same time get others. */
export async function takeDeadLetters(
  tx: Queryable,
  queueId: string,
  messageIds: readonly string[],
  max: number,
): Promise<DeadLetter[]> {
  const rows = await tx.query<Row>(
    `DELETE FROM dead_letter WHERE queue_id = $1 AND message_id IN (
       SELECT message_id FROM dead_letter WHERE queue_id = $1 AND (cardinality($2::uuid[]) = 0 OR message_id = ANY($2::uuid[]))
       ORDER BY dead_time, message_id LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING *`,
    [queueId, messageIds, max],
  );
  return rows.map(fromRow).sort((a, b) => a.deadTime - b.deadTime || (a.messageId < b.messageId ? -1 : 1));
}

/** How many dead letters a queue has. */
export async function countDeadLetters(q: Queryable, queueId: string): Promise<number> {
  const [row] = await q.query<{ n: number }>("SELECT count(*)::integer AS n FROM dead_letter WHERE queue_id = $1", [queueId]);
  return row?.n ?? 0;
}

/** Drops a queue's dead letters. Answers with how many. */
export async function purgeDeadLetters(q: Queryable, queueId: string): Promise<number> {
  const [row] = await q.query<{ n: number }>(
    "WITH gone AS (DELETE FROM dead_letter WHERE queue_id = $1 RETURNING 1) SELECT count(*)::integer AS n FROM gone",
    [queueId],
  );
  return row?.n ?? 0;
}

interface Row {
  readonly message_id: string;
  readonly data: string;
  readonly headers: Record<string, string>;
  readonly priority: number;
  readonly ordering_key: string;
  readonly delivery_count: number;
  readonly reason: string;
  readonly publish_time: Date;
  readonly dead_time: Date;
}

function fromRow(row: Row): DeadLetter {
  return {
    messageId: row.message_id,
    data: row.data,
    headers: row.headers,
    priority: row.priority,
    orderingKey: row.ordering_key,
    deliveryCount: row.delivery_count,
    reason: row.reason,
    publishTime: row.publish_time.getTime(),
    deadTime: row.dead_time.getTime(),
  };
}
