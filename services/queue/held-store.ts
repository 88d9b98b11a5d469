/** The table of messages that wait to be handed to RabbitMQ. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Position } from "./backend.ts";
import type { NewMessage, ScheduledMessage } from "./queue.ts";

/** A message to hold. */
export interface Holding {
  readonly message: NewMessage;
  /** When it is handed over, in milliseconds since the epoch. */
  readonly dueTime: number;
  /** How often it was delivered so far. */
  readonly deliveryCount: number;
}

/** A message to hand over. */
export interface Held {
  readonly queueId: string;
  /** Names this holding for good. */
  readonly sequence: string;
  /** How often it is handed over, this time included. */
  readonly attempts: number;
  readonly deliveryCount: number;
  readonly message: NewMessage;
}

/** Holds messages; those with `leaseUntil` are the caller's to hand over until then. In the order of the list. */
export async function hold(
  tx: Queryable,
  queueId: string,
  holdings: readonly Holding[],
  leaseUntil: number | undefined,
): Promise<Held[]> {
  if (holdings.length === 0) return [];
  const column = <T>(value: (holding: Holding) => T) => holdings.map(value);
  const rows = await tx.query<Row>(
    `INSERT INTO held_message (queue_id, message_id, data, headers, priority, ordering_key, publish_time, due_time, delivery_count,
       attempts, lease_until)
     SELECT $1, i, d, h, p, k, t, u, c, $10, $11 FROM unnest($2::uuid[], $3::text[], $4::jsonb[], $5::integer[], $6::text[],
       $7::timestamptz[], $8::timestamptz[], $9::integer[]) WITH ORDINALITY AS n (i, d, h, p, k, t, u, c, o) ORDER BY o
     RETURNING *`,
    [
      queueId,
      column(({ message }) => message.id),
      column(({ message }) => message.data),
      column(({ message }) => JSON.stringify(message.headers)),
      column(({ message }) => message.priority),
      column(({ message }) => message.orderingKey),
      column(({ message }) => new Date(message.publishTime)),
      column(({ dueTime }) => new Date(dueTime)),
      column(({ deliveryCount }) => deliveryCount),
      leaseUntil === undefined ? 0 : 1,
      leaseUntil === undefined ? null : new Date(leaseUntil),
    ],
  );
  return rows.map(fromRow).sort(bySequence);
}

/**
 * Leases messages that are due and that nobody has, in order. Of an ordered queue none is leased while another instance has some, so that they are
 * handed over in order; those who lease take turns by an advisory lock.
 */
export async function leaseDue(tx: Queryable, now: number, leaseUntil: number, limit: number): Promise<Held[]> {
  await tx.query("SELECT pg_advisory_xact_lock(7239403)");
  const rows = await tx.query<Row>(
    `UPDATE held_message SET lease_until = $2, attempts = attempts + 1 WHERE sequence IN (
       SELECT m.sequence FROM held_message m JOIN queue q ON q.id = m.queue_id
       WHERE m.due_time <= $1 AND (m.lease_until IS NULL OR m.lease_until <= $1) AND NOT (q.ordered AND EXISTS (
         SELECT 1 FROM held_message other WHERE other.queue_id = m.queue_id AND other.lease_until > $1))
       ORDER BY m.due_time, m.sequence LIMIT $3) RETURNING *`,
    [new Date(now), new Date(leaseUntil), limit],
  );
  return rows.map(fromRow).sort((a, b) => (a.message.dueTime ?? 0) - (b.message.dueTime ?? 0) || bySequence(a, b));
}

/** Forgets messages that were handed over. */
export async function forgetHeld(q: Queryable, sequences: readonly string[]): Promise<void> {
  if (sequences.length > 0) await q.query("DELETE FROM held_message WHERE sequence = ANY($1::bigint[])", [sequences]);
}

/** Gives leases up: the messages are to be handed over soon, by whomever. */
export async function giveUpLeases(q: Queryable, sequences: readonly string[]): Promise<void> {
  await q.query("UPDATE held_message SET lease_until = NULL WHERE sequence = ANY($1::bigint[])", [sequences]);
}

/** Whether messages of a queue are due and not handed over. */
export async function anyDue(q: Queryable, queueId: string, now: number): Promise<boolean> {
  const rows = await q.query("SELECT 1 FROM held_message WHERE queue_id = $1 AND due_time <= $2 LIMIT 1", [
    queueId,
    new Date(now),
  ]);
  return rows.length > 0;
}

/** How many messages of a queue are due, and how many are not. */
export async function countHeld(q: Queryable, queueId: string, now: number): Promise<{ due: number; later: number }> {
  const [row] = await q.query<{ due: number; later: number }>(
    `SELECT count(*) FILTER (WHERE due_time <= $2)::integer AS due, count(*) FILTER (WHERE due_time > $2)::integer AS later
     FROM held_message WHERE queue_id = $1`,
    [queueId, new Date(now)],
  );
  return row ?? { due: 0, later: 0 };
}

/** Forgets all of a queue that nobody is handing over. Answers with how many. */
export async function purgeHeld(q: Queryable, queueId: string, now: number): Promise<number> {
  const rows = await q.query(
    "DELETE FROM held_message WHERE queue_id = $1 AND (lease_until IS NULL OR lease_until <= $2) RETURNING sequence",
    [queueId, new Date(now)],
  );
  return rows.length;
}

/** Messages that were never delivered and are not due, by time. */
export async function listHeld(
  q: Queryable,
  queueId: string,
  now: number,
  size: number,
  after: Position | undefined,
): Promise<ScheduledMessage[]> {
  const rows = await q.query<Row>(
    `SELECT * FROM held_message WHERE queue_id = $1 AND delivery_count = 0 AND due_time > $2
       AND ($3::timestamptz IS NULL OR (due_time, message_id) > ($3, $4::uuid)) ORDER BY due_time, message_id LIMIT $5`,
    [queueId, new Date(now), after === undefined ? null : new Date(after.dueTime), after?.messageId ?? null, size],
  );
  return rows.map((row) => {
    const { id, dueTime: _due, ...same } = fromRow(row).message;
    return { ...same, messageId: id, dueTime: row.due_time.getTime() };
  });
}

/** Forgets a message that was never delivered and is not due; false when there is none. */
export async function cancelHeld(q: Queryable, queueId: string, messageId: string, now: number): Promise<boolean> {
  const rows = await q.query(
    "DELETE FROM held_message WHERE queue_id = $1 AND message_id = $2 AND delivery_count = 0 AND due_time > $3 RETURNING sequence",
    [queueId, messageId, new Date(now)],
  );
  return rows.length > 0;
}

interface Row {
  readonly queue_id: string;
  readonly message_id: string;
  readonly data: string;
  readonly headers: Record<string, string>;
  readonly priority: number;
  readonly ordering_key: string;
  readonly publish_time: Date;
  readonly due_time: Date;
  readonly sequence: string;
  readonly delivery_count: number;
  readonly attempts: number;
}

function fromRow(row: Row): Held {
  return {
    queueId: row.queue_id,
    sequence: row.sequence,
    attempts: row.attempts,
    deliveryCount: row.delivery_count,
    message: {
      id: row.message_id,
      data: row.data,
      headers: row.headers,
      priority: row.priority,
      orderingKey: row.ordering_key,
      publishTime: row.publish_time.getTime(),
      dueTime: row.due_time.getTime(),
    },
  };
}

function bySequence(a: Held, b: Held): number {
  return Number(BigInt(a.sequence) - BigInt(b.sequence));
}
