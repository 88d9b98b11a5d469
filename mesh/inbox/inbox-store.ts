/** The inbox's SQL. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Queryable } from "#mesh/storage/database.ts";
import type { InboxEvent } from "./inbox.ts";

/** An event that the service refused for good. */
export interface ParkedEvent extends InboxEvent {
  /** The refusal's code and message. */
  readonly reason: string;
  readonly parkTime: Date;
}

/** Puts an event on record. False when it was there: its effect is in the database. */
export async function recordEvent(tx: Queryable, id: string, now: number): Promise<boolean> {
  // A transaction that has recorded it and not ended yet is waited for.
  const rows = await tx.query(
    "insert into heddle_inbox.event (id, handle_time) values ($1, $2) on conflict (id) do nothing returning 1",
    [id, new Date(now)],
  );
  return rows.length > 0;
}

/** Puts an event aside with the reason. */
export async function parkEvent(tx: Queryable, event: InboxEvent, reason: string, now: number): Promise<void> {
  const { id, topic, key, type, data, producer, offset, at } = event;
  await tx.query(
    `insert into heddle_inbox.parked (id, topic, key, type, data, producer, position, time, reason, park_time)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (id) do nothing`,
    [id, topic, key, type, JSON.stringify(data), producer, offset, at, reason, new Date(now)],
  );
}

/** Takes a parked event out, and holds it until the transaction ends. */
export async function takeParked(tx: Queryable, id: string): Promise<InboxEvent | undefined> {
  const rows = await tx.query<Row>(`delete from heddle_inbox.parked where id = $1 returning ${columns}`, [id]);
  return rows.map(toEvent)[0];
}

/** At most 1000, oldest first. */
export async function listParked(db: Queryable): Promise<ParkedEvent[]> {
  const rows = await db.query<Row & { reason: string; park_time: Date }>(
    `select ${columns}, reason, park_time from heddle_inbox.parked order by park_time, id limit 1000`,
  );
  return rows.map(({ reason, park_time, ...row }) => ({ ...toEvent(row), reason, parkTime: park_time }));
}

export async function countParked(db: Queryable): Promise<number> {
  const [row] = await db.query<{ count: string }>("select count(*) from heddle_inbox.parked");
  return Number(row?.count ?? 0);
}

/** Forgets what was handled before `before` (milliseconds since the epoch), at most 10,000 at a time. Answers with how many those were. */
export async function forgetEvents(db: Queryable, before: number): Promise<number> {
  const rows = await db.query(
    `delete from heddle_inbox.event where id in (
       select id from heddle_inbox.event where handle_time < $1 order by handle_time limit 10000) returning 1`,
    [new Date(before)],
  );
  return rows.length;
}

interface Row {
  readonly id: string;
  readonly topic: string;
  readonly key: string;
  readonly type: string;
  readonly data: JsonObject;
  readonly producer: string;
  readonly position: string;
  readonly time: Date;
}

const columns = "id, topic, key, type, data, producer, position, time";

function toEvent({ position, time, ...same }: Row): InboxEvent {
  return { ...same, offset: BigInt(position), at: time };
}
