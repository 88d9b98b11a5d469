/** The outbox's SQL. The claims are leases: a relay holds the first event of a key, and with it the key. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Queryable } from "#mesh/storage/database.ts";
import type { StoredEvent } from "./outbox.ts";

/** The first event of its topic and key, in the hands of a relay. */
export interface ClaimedEvent extends StoredEvent {
  /** The database's bigint as a text. */
  readonly seq: string;
  /** Attempts that failed so far. */
  readonly attempts: number;
}

/** An event that the receiver refused for good. */
export interface ParkedEvent extends StoredEvent {
  readonly attempts: number;
  /** The receiver's code and message. */
  readonly reason: string;
  readonly parkTime: Date;
}

/** Where a look for work begins: after this topic and key. */
export interface Cursor {
  readonly topic: string;
  readonly key: string;
}

/** A relay's mark on what it claims. */
export interface Claim {
  readonly leaseId: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly leaseMs: number;
}

/** Stores an event, unless its id waits already. */
export async function putEvent(tx: Queryable, { id, topic, key, type, data, at }: StoredEvent): Promise<void> {
  await tx.query("select heddle_outbox.put($1, $2, $3, $4, $5, $6)", [id, topic, key, type, JSON.stringify(data), at]);
}

/** Stores events in one statement: those of a key in their order, the keys in one that all who put several keep to. */
export async function putEvents(tx: Queryable, events: readonly StoredEvent[]): Promise<void> {
  const sorted = events.toSorted((a, b) => compare(a.topic, b.topic) || compare(a.key, b.key));
  await tx.query(
    `select heddle_outbox.put(id, topic, key, type, data, at) from (
       select * from jsonb_to_recordset($1::jsonb) as event (place int, id uuid, topic text, key text, type text, data jsonb, at timestamptz)
       order by place offset 0) as event`,
    [JSON.stringify(sorted.map((event, place) => ({ ...event, place })))],
  );
}

/** Claims the first events of at most `limit` keys after the cursor, in the order of topic and key. */
export async function claimHeads(db: Queryable, after: Cursor, limit: number, claim: Claim): Promise<ClaimedEvent[]> {
  // The index is skipped through, key by key, for as long as the limit asks for more: a long queue of one key costs nothing.
  const rows = await db.query<Row>(
    `with recursive head as (
       (select topic, key, seq, next_attempt_time, lease_until from heddle_outbox.event
         where (topic, key) > ($1, $2) order by topic, key, seq limit 1)
       union all
       select next.* from head, lateral (
         select topic, key, seq, next_attempt_time, lease_until from heddle_outbox.event e
         where (e.topic, e.key) > (head.topic, head.key) order by e.topic, e.key, e.seq limit 1) next
     ), due as (
       select seq from head where next_attempt_time <= $3 and (lease_until is null or lease_until <= $3) limit $4
     )
     update heddle_outbox.event set lease_id = $5, lease_until = $6 where seq in (
       select seq from heddle_outbox.event
       where seq = any(array(select seq from due)) and next_attempt_time <= $3 and (lease_until is null or lease_until <= $3)
       for update skip locked)
     returning ${columns}`,
    [after.topic, after.key, new Date(claim.now), limit, claim.leaseId, leaseUntil(claim)],
  );
  return rows.map(toClaimed).sort((a, b) => compare(a.topic, b.topic) || compare(a.key, b.key));
}

/** Takes a published event away, and claims the next one of its key, if there is one and the claim still held. */
export async function finish(db: Queryable, { seq }: ClaimedEvent, claim: Claim): Promise<ClaimedEvent | undefined> {
  const [row] = await db.query<Row>(
    `with gone as (delete from heddle_outbox.event where seq = $1 and lease_id = $2 returning topic, key), ${claimNext}`,
    [seq, claim.leaseId, leaseUntil(claim)],
  );
  return row === undefined ? undefined : toClaimed(row);
}

/** Puts an event aside with the reason, and claims the next one of its key, if there is one and the claim still held. */
export async function park(
  db: Queryable,
  { seq }: ClaimedEvent,
  reason: string,
  claim: Claim,
): Promise<ClaimedEvent | undefined> {
  const [row] = await db.query<Row>(
    `with gone as (delete from heddle_outbox.event where seq = $1 and lease_id = $2 returning *),
     put as (
       insert into heddle_outbox.parked (id, topic, key, type, data, time, attempts, reason, park_time)
       select id, topic, key, type, data, time, attempts + 1, $4, $5 from gone on conflict (id) do nothing), ${claimNext}`,
    [seq, claim.leaseId, leaseUntil(claim), reason, new Date(claim.now)],
  );
  return row === undefined ? undefined : toClaimed(row);
}

/** Leaves an event where it is until `nextAttemptTime` (milliseconds since the epoch), and its key with it. */
export async function putOff(
  db: Queryable,
  event: ClaimedEvent,
  failure: { readonly attempts: number; readonly nextAttemptTime: number; readonly reason: string },
  leaseId: string,
): Promise<void> {
  await db.query(
    `update heddle_outbox.event set attempts = $3, next_attempt_time = $4, last_error = $5, lease_id = null, lease_until = null
     where seq = $1 and lease_id = $2`,
    [event.seq, leaseId, failure.attempts, new Date(failure.nextAttemptTime), failure.reason],
  );
}

/** Holds events that the relay has claimed for longer. */
export async function renew(db: Queryable, seqs: readonly string[], claim: Claim): Promise<void> {
  await db.query("update heddle_outbox.event set lease_until = $3 where seq = any($1::bigint[]) and lease_id = $2", [
    seqs,
    claim.leaseId,
    leaseUntil(claim),
  ]);
}

/** Gives back all that the relay has claimed. */
export async function release(db: Queryable, leaseId: string): Promise<void> {
  await db.query("update heddle_outbox.event set lease_id = null, lease_until = null where lease_id = $1", [leaseId]);
}

export async function countWaiting(db: Queryable): Promise<number> {
  const [row] = await db.query<{ count: string }>("select count(*) from heddle_outbox.event");
  return Number(row?.count ?? 0);
}

export async function countParked(db: Queryable): Promise<number> {
  const [row] = await db.query<{ count: string }>("select count(*) from heddle_outbox.parked");
  return Number(row?.count ?? 0);
}

/** At most 1000, oldest first. */
export async function listParked(db: Queryable): Promise<ParkedEvent[]> {
  const rows = await db.query<Omit<Row, "seq"> & { reason: string; park_time: Date }>(
    `select id, topic, key, type, data, time, attempts, reason, park_time from heddle_outbox.parked
     order by park_time, id limit 1000`,
  );
  return rows.map(({ time, park_time, ...same }) => ({ ...same, at: time, parkTime: park_time }));
}

/** False when the event is not parked. */
export async function retryParked(db: Queryable, id: string): Promise<boolean> {
  const [row] = await db.query<{ retry: boolean }>("select heddle_outbox.retry($1)", [id]);
  return row?.retry === true;
}

interface Row {
  readonly seq: string;
  readonly id: string;
  readonly topic: string;
  readonly key: string;
  readonly type: string;
  readonly data: JsonObject;
  readonly time: Date;
  readonly attempts: number;
}

const columns = "seq, id, topic, key, type, data, time, attempts";

/** All of one statement sees the same state: `gone` is still in the table here, hence seq > $1. */
const claimNext = `next as (
       select e.seq from heddle_outbox.event e join gone on e.topic = gone.topic and e.key = gone.key
       where e.seq > $1 order by e.seq limit 1)
     update heddle_outbox.event set lease_id = $2, lease_until = $3 where seq in (select seq from next) returning ${columns}`;

function toClaimed({ time, ...same }: Row): ClaimedEvent {
  return { ...same, at: time };
}

function leaseUntil({ now, leaseMs }: Claim): Date {
  return new Date(now + leaseMs);
}

function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
