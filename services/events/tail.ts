/** The ends of topics as they move, in this process or in any other: LISTEN on what append_events and the relay announce. */
import type { Logger } from "pino";
import { runWithoutContext } from "#mesh/context.ts";
import type { Database } from "#mesh/storage/database.ts";
import { lastPositions } from "./topic-store.ts";

/** Knows, per topic, the last event that is stored and the last that is in Kafka. */
export interface Tail extends AsyncDisposable {
  /** The last position that is known to be stored; settles when that is behind `after`, or as soon as `signal` aborts. */
  beyond(topicId: number, after: number, signal: AbortSignal): Promise<number>;
  /** What is known of the end without waiting; 0 when nothing is. */
  end(topicId: number): number;
  /** Runs when a topic has grown, until disposed. */
  onStored(listener: (topicId: number) => void): Disposable;
  /**
   * True once Kafka is known to have the position; false after `ms` milliseconds. Who waited in vain has waited for all: until there is
   * news of the topic again, the answer is false at once.
   */
  relayed(topicId: number, position: number, ms: number): Promise<boolean>;
}

/** How far one end has come, and who waits for it. */
class Mark {
  position = 0;
  readonly #waiting = new Set<() => void>();

  move(position: number): void {
    if (position <= this.position) return;
    this.position = position;
    for (const wake of [...this.#waiting]) wake();
  }

  get watched(): boolean {
    return this.#waiting.size > 0;
  }

  /** Settles when the position is `at` or behind, or `signal` aborts. */
  async reach(at: number, signal: AbortSignal): Promise<number> {
    while (this.position < at && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      this.#waiting.add(wake);
      signal.addEventListener("abort", wake, { once: true });
      await promise;
      this.#waiting.delete(wake);
      signal.removeEventListener("abort", wake);
    }
    return this.position;
  }
}

/**
 * Begins to follow. Returns when the database listens, or at once while it is away.
 *
 * @param pollMs how often the ends that somebody waits for are read all the same, for news that was lost. Default 5000.
 */
export async function followTail({ db, log, pollMs = 5000 }: { db: Database; log: Logger; pollMs?: number }): Promise<Tail> {
  const stored = new Map<number, Mark>();
  const relayed = new Map<number, Mark>();
  /** Where the relay of a topic was when somebody waited for it in vain. */
  const stalledAt = new Map<number, number>();
  const listeners = new Set<(topicId: number) => void>();
  const markOf = (marks: Map<number, Mark>, topicId: number): Mark => {
    const mark = marks.get(topicId) ?? new Mark();
    marks.set(topicId, mark);
    return mark;
  };
  const grow = (topicId: number, position: number) => {
    const mark = markOf(stored, topicId);
    if (position <= mark.position) return;
    mark.move(position);
    for (const listener of listeners) listener(topicId);
  };
  const refresh = async (ids: readonly number[]) => {
    if (ids.length === 0) return;
    for (const [topicId, position] of await lastPositions(db, ids)) grow(topicId, position);
  };
  const refreshWatched = () => {
    const ids = [...stored].filter(([, mark]) => mark.watched).map(([topicId]) => topicId);
    refresh(ids).catch((error: unknown) => log.debug({ err: error }, "cannot read the ends of topics"));
  };
  const hear = (move: (topicId: number, position: number) => void) => (payload: string) => {
    const [topicId, position] = payload.split(":").map(Number);
    if (topicId !== undefined && position !== undefined) move(topicId, position);
  };
  const listening = await db.listen("event_stored", hear(grow), refreshWatched);
  const relaying = await db.listen(
    "event_relayed",
    hear((topicId, position) => markOf(relayed, topicId).move(position)),
  );
  const poll = runWithoutContext(() => setInterval(refreshWatched, pollMs));

  return {
    async beyond(topicId, after, signal) {
      const mark = markOf(stored, topicId);
      // Nobody was told of what was stored before we began to listen.
      if (mark.position <= after) await refresh([topicId]);
      return mark.reach(after + 1, signal);
    },
    end: (topicId) => stored.get(topicId)?.position ?? 0,
    onStored(listener) {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
    async relayed(topicId, position, ms) {
      const mark = markOf(relayed, topicId);
      if (mark.position < position && mark.position === stalledAt.get(topicId)) return false;
      const reached = (await mark.reach(position, AbortSignal.timeout(ms))) >= position;
      if (reached) stalledAt.delete(topicId);
      else stalledAt.set(topicId, mark.position);
      return reached;
    },
    async [Symbol.asyncDispose]() {
      clearInterval(poll);
      await listening[Symbol.asyncDispose]();
      await relaying[Symbol.asyncDispose]();
    },
  };
}
