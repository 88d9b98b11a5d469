/** The SQL of the log of what happened to events. */
import type { Queryable } from "#mesh/storage/database.ts";

/** What happened. */
export type LogKind = "stored" | "repeated" | "refused" | "relayed" | "relay-failed" | "expired" | "topic-changed" | "replayed";

/** One thing that happened, to one event or to a run of them. */
export interface LogEntry {
  readonly time: number;
  readonly kind: LogKind;
  readonly topic: string;
  readonly firstPosition: number;
  readonly lastPosition: number;
  readonly count: number;
  readonly producer: string;
  readonly detail: string;
}

/** Adds an entry; what is left out is empty. */
export async function addLog(q: Queryable, entry: Partial<LogEntry> & Pick<LogEntry, "time" | "kind" | "topic">): Promise<void> {
  const { time, kind, topic, firstPosition = 0, lastPosition = 0, count = 0, producer = "", detail = "" } = entry;
  await q.query(
    `INSERT INTO log (time, kind, topic, first_position, last_position, count, producer, detail)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [new Date(time), kind, topic, firstPosition, lastPosition, count, producer, detail],
  );
}

/** Which entries. */
export interface LogQuery {
  readonly topic: string;
  readonly kind: LogKind | undefined;
  readonly producer: string;
  readonly position: number;
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly size: number;
  /** The id behind which the page begins. */
  readonly before: bigint | undefined;
}

/** A page, latest first, with each entry's id. */
export async function listLogs(q: Queryable, o: LogQuery): Promise<(LogEntry & { id: string })[]> {
  const rows = await q.query<LogRow>(
    `SELECT id, time, kind, topic, first_position, last_position, count, producer, detail FROM log
     WHERE ($1 = '' OR topic = $1) AND ($2::text IS NULL OR kind = $2) AND ($3 = '' OR producer = $3)
       AND ($4 = 0 OR $4 BETWEEN first_position AND last_position)
       AND ($5::timestamptz IS NULL OR time >= $5) AND ($6::timestamptz IS NULL OR time < $6)
       AND ($7::bigint IS NULL OR id < $7) ORDER BY id DESC LIMIT $8`,
    [
      ...[o.topic, o.kind ?? null, o.producer, o.position, o.from === undefined ? null : new Date(o.from)],
      ...[o.to === undefined ? null : new Date(o.to), o.before?.toString() ?? null, o.size],
    ],
  );
  return rows.map(({ id, time, kind, topic, first_position, last_position, count, producer, detail }) => ({
    ...{ id, time: time.getTime(), kind, topic, count: Number(count), producer, detail },
    ...{ firstPosition: Number(first_position), lastPosition: Number(last_position) },
  }));
}

interface LogRow {
  readonly id: string;
  readonly time: Date;
  readonly kind: LogKind;
  readonly topic: string;
  readonly first_position: string;
  readonly last_position: string;
  readonly count: string;
  readonly producer: string;
  readonly detail: string;
}
