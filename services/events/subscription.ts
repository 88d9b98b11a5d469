/** A topic from a position on: what is stored, then what comes. */
import { failedPrecondition } from "#mesh/errors.ts";
import type { Queryable } from "#mesh/storage/database.ts";
import type { Event, Filter } from "./event.ts";
import { readPage } from "./event-store.ts";
import type { Tail } from "./tail.ts";

/** What is read. */
export interface Reading {
  readonly db: Queryable;
  readonly tail: Tail;
  readonly topicId: number;
  readonly after: number;
  readonly filter: Filter;
  readonly signal: AbortSignal;
}

/** Events in memory for one reader at most, unless they are large, where a page ends earlier. */
const pageSize = 200;

/**
 * The events behind `after`, in order, until `signal` aborts. A page is read when the one before it was taken, so a reader that is slow
 * costs one page, and misses nothing.
 *
 * @throws FAILED_PRECONDITION (OFFSET_EXPIRED) when events behind `after` are not kept any more. UNAVAILABLE when the database is away.
 */
export async function* readFrom({ db, tail, topicId, after, filter, signal }: Reading): AsyncGenerator<Event> {
  for (let cursor = after; !signal.aborted; ) {
    const end = await tail.beyond(topicId, cursor, signal);
    if (end <= cursor) continue;
    const { events, scanned, expired } = await readPage(db, { topicId, after: cursor, end, size: pageSize, filter });
    if (expired) throw expiredOffset(cursor + 1);
    for (const event of events) yield event;
    cursor = scanned;
  }
}

/** What a reader is told whose next event is gone. */
export function expiredOffset(offset: number): Error {
  return failedPrecondition("OFFSET_EXPIRED", `offset ${offset} is not kept any more: begin at the topic's first_offset`);
}
