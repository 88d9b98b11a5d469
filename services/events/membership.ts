/** A member of a consumer group: a share of the topic's partitions, each read on from what the group committed. */
import type { Logger } from "pino";
import { runWithoutContext } from "#mesh/context.ts";
import { notFound, unavailable } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { Event, Filter } from "./event.ts";
import { readPartitions } from "./event-store.ts";
import { leaseMs, leaveGroup, memberTurn, type Place } from "./group-store.ts";
import type { Tail } from "./tail.ts";

/** What a member reads. */
export interface Membership {
  readonly db: Database;
  readonly tail: Tail;
  readonly log: Logger;
  readonly groupId: string;
  readonly topicId: number;
  readonly filter: Filter;
  readonly signal: AbortSignal;
  /** Milliseconds between turns, beside those that news of the group cause. Default 3000. */
  readonly turnMs?: number;
}

/** One thing that a member gets. */
export type MemberItem =
  | { readonly kind: "assignment"; readonly memberId: string; readonly partitions: readonly number[] }
  | { readonly kind: "event"; readonly event: Event; readonly generation: number };

/** Events in memory per partition at most. */
const pageSize = 50;

interface Cursor {
  readonly generation: number;
  after: number;
  events: Event[];
}

/**
 * Joins, reads until `signal` aborts, and leaves. The first item is the assignment, and so is the first after each change of it.
 *
 * @throws UNAVAILABLE when the group could not be told for so long that others take the partitions. NOT_FOUND when it was deleted.
 */
export async function* readAsMember(o: Membership): AsyncGenerator<MemberItem> {
  const { db, tail, topicId, filter, signal } = o;
  const memberId = uuidv7();
  const ended = new AbortController();
  const stop = AbortSignal.any([signal, ended.signal]);
  const turns = await takeTurns(o, memberId, stop);
  // A reader that is gone asks for nothing more, not even for the end.
  signal.addEventListener("abort", turns.leave, { once: true });
  if (signal.aborted) turns.leave();
  const cursors = new Map<number, Cursor>();
  try {
    for (let seen = -1; !stop.aborted; ) {
      const { number, places } = turns.state();
      if (number !== seen && adopt(cursors, places, seen === -1)) {
        yield { kind: "assignment", memberId, partitions: [...cursors.keys()] };
      }
      seen = number;
      const end = tail.end(topicId);
      const behind = [...cursors].filter(([, { events, after }]) => events.length === 0 && after < end);
      if (behind.length > 0) {
        const wanted = behind.map(([partition, { after }]) => ({ partition, after }));
        const found = await readPartitions(db, { topicId, cursors: wanted, end, size: pageSize, filter });
        for (const [partition, cursor] of behind) {
          const { events, scanned } = found.get(partition) ?? { events: [], scanned: cursor.after };
          cursor.events = events;
          cursor.after = scanned;
        }
      }
      const ready = inOrder(cursors);
      for (const { event, generation } of ready) {
        // What was given up meanwhile another member reads.
        if (turns.state().number !== seen) break;
        cursors.get(event.partition)?.events.shift();
        yield { kind: "event", event, generation };
      }
      if (ready.length === 0 && behind.length === 0) await turns.changeOr((wait) => tail.beyond(topicId, end, wait));
    }
  } finally {
    ended.abort();
    signal.removeEventListener("abort", turns.leave);
    turns.leave();
  }
}

/** The events in memory by position. */
function inOrder(cursors: ReadonlyMap<number, Cursor>): { event: Event; generation: number }[] {
  const all = [...cursors.values()].flatMap(({ events, generation }) => events.map((event) => ({ event, generation })));
  return all.sort((a, b) => a.event.position - b.event.position);
}

/** Takes over what a turn brought; true when the partitions or their generations are others, or when it is the first. */
function adopt(cursors: Map<number, Cursor>, places: readonly Place[], first: boolean): boolean {
  let changed = first;
  for (const [partition, { generation }] of [...cursors]) {
    if (places.some((place) => place.partition === partition && place.generation === generation)) continue;
    cursors.delete(partition);
    changed = true;
  }
  for (const { partition, committed, generation } of places) {
    if (cursors.has(partition)) continue;
    cursors.set(partition, { generation, after: committed, events: [] });
    changed = true;
  }
  return changed;
}

interface Turns {
  /** The last turn's result, with a number that is another after each turn that changed something. */
  state(): { readonly number: number; readonly places: readonly Place[] };
  /** Settles after a change, or when `other` does; throws when the membership is lost. */
  changeOr(other: (wait: AbortSignal) => Promise<unknown>): Promise<void>;
  /** Says that the member is gone, once, however often it is called. */
  leave(): void;
}

/** Takes the first turn, then one every few seconds and whenever the group changes. */
async function takeTurns({ db, log, groupId, turnMs = 3000 }: Membership, memberId: string, stop: AbortSignal): Promise<Turns> {
  let places: readonly Place[] = [];
  let number = 0;
  let heardAt = performance.now();
  let lost: Error | undefined;
  let left = false;
  let changed = new AbortController();
  let turning = Promise.resolve();

  const turn = async () => {
    if (stop.aborted || lost !== undefined) return;
    try {
      const now = await memberTurn(db, groupId, memberId);
      if (now === undefined) lost = notFound("group", groupId);
      else if (JSON.stringify(now.map(keyOf)) !== JSON.stringify(places.map(keyOf))) {
        places = now;
        number++;
        changed.abort();
      }
      heardAt = performance.now();
    } catch (error) {
      log.debug({ err: error }, "a member's turn failed");
      if (performance.now() - heardAt > leaseMs)
        lost = unavailable("the group may have given the partitions to others: join again", 1000);
    }
    if (lost !== undefined) changed.abort();
  };
  const soon = () => {
    turning = turning.then(() => runWithoutContext(turn));
  };
  await runWithoutContext(async () => {
    const first = await memberTurn(db, groupId, memberId);
    if (first === undefined) throw notFound("group", groupId);
    places = first;
  });
  const listening = await runWithoutContext(() => db.listen("group_changed", (id) => id === groupId && soon(), soon));
  const timer = runWithoutContext(() => setInterval(soon, turnMs));

  const goodbye = async () => {
    await listening[Symbol.asyncDispose]();
    await turning;
    await leaveGroup(db, groupId, memberId);
  };

  return {
    state() {
      if (lost !== undefined) throw lost;
      return { number, places };
    },
    async changeOr(other) {
      const wait = AbortSignal.any([changed.signal, stop]);
      await other(wait);
      if (changed.signal.aborted) changed = new AbortController();
    },
    leave() {
      if (left) return;
      left = true;
      clearInterval(timer);
      void runWithoutContext(goodbye).catch((error: unknown) => log.debug({ err: error }, "a member could not say that it left"));
    },
  };
}

function keyOf({ partition, generation }: Place): string {
  return `${partition}:${generation}`;
}
