/** The SQL of the log: append and read. */
import type { Queryable } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { Appended, Draft, Event, Filter } from "./event.ts";
import { keyHash } from "./key-hash.ts";

/** Bytes of events in one page; a single larger event comes alone. */
const maxPageBytes = 1_000_000;

/** How many positions a filtered read looks through at once. */
const filteredWindow = 20_000;

/** What an append did with a draft: the event's place and the fingerprint of the request that made it. */
export interface Placed extends Appended {
  readonly contentHash: string;
}

/**
 * Appends drafts in their order, all or none, in one statement. The answers are in the order of the drafts. A draft that was accepted
 * before, under its request id, is not stored again: its answer has the first request's place and fingerprint.
 *
 * @param segment positions per table.
 */
export async function appendEvents(
  q: Queryable,
  topicId: number,
  drafts: readonly Draft[],
  { now, segment }: { now: number; segment: number },
): Promise<Placed[]> {
  const rows = await q.query<AppendedRow>(
    `SELECT * FROM append_events($1, $2, $3, $4::uuid[], $5::uuid[], $6::text[], $7::text[], $6::text[], $8::text[], $9::integer[],
       $10::text[], $11::text[], $12::integer[], $13::timestamptz[])`,
    [
      ...[topicId, segment, new Date(now)],
      drafts.map(() => uuidv7(now)),
      drafts.map(({ requestId }) => requestId ?? null),
      drafts.map(({ producer }) => producer),
      drafts.map(({ contentHash }) => contentHash),
      drafts.map(({ key }) => key),
      drafts.map(({ key }) => keyHash(key)),
      drafts.map(({ type }) => type),
      drafts.map(({ data }) => data),
      drafts.map(sizeOf),
      drafts.map(({ occurTime }) => (occurTime === undefined ? null : new Date(occurTime))),
    ],
  );
  const byOrdinal = new Map(rows.map((row) => [row.ordinal, row]));
  return drafts.map((draft, index) => {
    const row = byOrdinal.get(index + 1);
    if (row === undefined) throw new Error(`append_events answered ${rows.length} rows for ${drafts.length} drafts`);
    const { key, type, data, producer, occurTime } = draft;
    const storeTime = row.stored_at.getTime();
    const place = { id: row.event_id, position: Number(row.at_position), partition: row.in_partition, storeTime };
    const event = { ...place, key, type, data, producer, occurTime: occurTime ?? storeTime };
    return { event, repeated: row.repeated, contentHash: row.content_hash };
  });
}

/** Bytes that count for a topic's size. */
export function sizeOf({ key, type, data }: Pick<Draft, "key" | "type" | "data">): number {
  return Buffer.byteLength(key) + Buffer.byteLength(type) + Buffer.byteLength(data);
}

/** A stretch of a topic. */
export interface Page {
  readonly events: readonly Event[];
  /** Everything up to here was looked at. */
  readonly scanned: number;
  /** Whether events behind `after` are not kept any more, so that a gap lies before this page. */
  readonly expired: boolean;
}

/** Which stretch. */
export interface PageQuery {
  readonly topicId: number;
  readonly after: number;
  /** Known to be stored. */
  readonly end: number;
  readonly size: number;
  /** Bytes at most, unless the first event alone has more. Default 1,000,000. */
  readonly bytes?: number;
  readonly filter: Filter;
}

/** At most `size` events behind `after` and not behind `end`, in the order of positions. */
export async function readPage(
  q: Queryable,
  { topicId, after, end, size, bytes = maxPageBytes, filter }: PageQuery,
): Promise<Page> {
  const { producer, key, types = [] } = filter;
  const filtered = producer !== undefined || key !== undefined || types.length > 0;
  // Positions have no gaps, so a bounded stretch touches few segments.
  const upTo = Math.min(end, after + (filtered ? filteredWindow : size));
  const rows = await q.query<Partial<EventRow> & { first: string; total: string | null }>(
    `SELECT t.first_position AS first, e.* FROM topic t LEFT JOIN LATERAL (
       SELECT *, sum(size) OVER w AS run, row_number() OVER w AS n, count(*) OVER () AS total FROM (
         SELECT ${eventColumns}, size FROM event
         WHERE topic_id = $1 AND position > $2 AND position <= $3 AND position >= t.first_position
           AND ($4::text IS NULL OR producer = $4) AND ($5::text IS NULL OR key = $5) AND ${typeCondition("$6", "$7")}
         ORDER BY position LIMIT $8
       ) found WINDOW w AS (ORDER BY position)
     ) e ON e.run <= $9 OR e.n = 1 WHERE t.id = $1 ORDER BY e.position`,
    [topicId, after, upTo, producer ?? null, key ?? null, ...typeParameters(types), size, bytes],
  );
  const events = rows.flatMap((row) => (row.position == null ? [] : toEvent(row as EventRow)));
  const last = events.at(-1)?.position;
  // Nothing was looked at behind a page that is full, by number or by bytes.
  const full = events.length === size || events.length < Number(rows[0]?.total ?? 0);
  return { events, scanned: full && last !== undefined ? last : upTo, expired: after + 1 < Number(rows[0]?.first ?? 0) };
}

/** Where one partition is read on. */
export interface PartitionCursor {
  readonly partition: number;
  readonly after: number;
}

/** For each cursor the next few events of its partition, not behind `end`, and how far was looked. */
export async function readPartitions(
  q: Queryable,
  o: { topicId: number; cursors: readonly PartitionCursor[]; end: number; size: number; filter: Filter },
): Promise<Map<number, { events: Event[]; scanned: number }>> {
  const { topicId, cursors, end, size, filter } = o;
  const upTo = cursors.map(({ after }) => Math.min(end, after + filteredWindow));
  const rows = await q.query<EventRow>(
    `SELECT e.* FROM unnest($2::smallint[], $3::bigint[], $4::bigint[]) AS c(partition, after, up_to) CROSS JOIN LATERAL (
       SELECT ${eventColumns} FROM event WHERE topic_id = $1 AND partition = c.partition AND position > c.after AND position <= c.up_to
         AND position >= (SELECT first_position FROM topic WHERE id = $1)
         AND ($5::text IS NULL OR producer = $5) AND ${typeCondition("$6", "$7")}
       ORDER BY position LIMIT $8
     ) e ORDER BY e.position`,
    [
      ...[topicId, cursors.map(({ partition }) => partition), cursors.map(({ after }) => after), upTo],
      ...[filter.producer ?? null, ...typeParameters(filter.types ?? []), size],
    ],
  );
  const found = new Map(
    cursors.map(({ partition }, index) => [partition, { events: [] as Event[], scanned: upTo[index] ?? end }]),
  );
  for (const row of rows) found.get(row.partition)?.events.push(toEvent(row));
  for (const part of found.values()) if (part.events.length === size) part.scanned = part.events.at(-1)?.position ?? part.scanned;
  return found;
}

function typeCondition(exact: string, beginnings: string): string {
  return `(cardinality(${exact}::text[]) + cardinality(${beginnings}::text[]) = 0 OR type = ANY (${exact}::text[])
    OR type ^@ ANY (${beginnings}::text[]))`;
}

function typeParameters(types: readonly string[]): [string[], string[]] {
  const beginnings = types.filter((type) => type.endsWith("*")).map((type) => type.slice(0, -1));
  return [types.filter((type) => !type.endsWith("*")), beginnings];
}

const eventColumns = "id, position, partition, key, type, data, producer, occur_time, store_time";

interface EventRow {
  readonly id: string;
  readonly position: string;
  readonly partition: number;
  readonly key: string;
  readonly type: string;
  readonly data: string;
  readonly producer: string;
  readonly occur_time: Date;
  readonly store_time: Date;
}

interface AppendedRow {
  readonly ordinal: number;
  readonly at_position: string;
  readonly event_id: string;
  readonly in_partition: number;
  readonly stored_at: Date;
  readonly content_hash: string;
  readonly repeated: boolean;
}

function toEvent({ position, occur_time, store_time, id, partition, key, type, data, producer }: EventRow): Event {
  const times = { occurTime: occur_time.getTime(), storeTime: store_time.getTime() };
  return { id, position: Number(position), partition, key, type, data, producer, ...times };
}
