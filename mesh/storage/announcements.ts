/** What the database announces of things by their ids (NOTIFY with an id as its payload), for those who wait for news of one of them. */
import { runWithoutContext } from "../context.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Database } from "./database.ts";

/** Waits for news of one thing. Dispose it when nobody waits any more. */
export interface Bell extends Disposable {
  /**
   * Settles with true when there may be news that came after the last time this settled, or after the bell was hung up; also after an
   * outage of the database, and when there was none for a while. Settles with false when the bell's signal has aborted, or the
   * announcements have ended: no news is to come.
   */
  rung(): Promise<boolean>;
}

/** Announcements on one channel. Disposing ends all waits. */
export interface Announcements extends AsyncDisposable {
  /** Hangs up a bell for the thing `id`. Look at the thing after this, and after each ring, and no change is missed. */
  bell(id: string, signal: AbortSignal): Bell;
  /** How many bells hang. */
  readonly bells: number;
}

/** What to listen to. */
export interface AnnouncementsOptions {
  readonly db: Database;
  readonly channel: string;
  readonly log: Logger;
  /** Hears of every announcement, and of the end of an outage. */
  readonly onAny?: () => void;
  /** How long a wait takes at most, in milliseconds. Default 5000: an announcement may be lost with the connection that it came on. */
  readonly patienceMs?: number;
}

/** Begins to listen. Returns when the database does, or at once while it is away. */
export async function listenTo({ db, channel, log, onAny, patienceMs = 5000 }: AnnouncementsOptions): Promise<Announcements> {
  const hung = new Map<string, Set<() => void>>();
  const ring = (id: string) => {
    for (const pull of [...(hung.get(id) ?? [])]) pull();
  };
  const ringAll = () => {
    for (const id of [...hung.keys()]) ring(id);
  };
  const closing = new AbortController();
  const onNews = (id: string) => {
    ring(id);
    onAny?.();
  };
  const onReconnect = () => {
    log.info({ channel }, "listening to changes again");
    ringAll();
    onAny?.();
  };
  // It outlives the call that happens to begin it.
  const listening = await runWithoutContext(() => db.listen(channel, onNews, onReconnect));

  return {
    bell(id, signal) {
      let news = false;
      let wake: (() => void) | undefined;
      const pull = () => {
        news = true;
        wake?.();
      };
      const pulls = hung.get(id) ?? new Set();
      hung.set(id, pulls.add(pull));
      signal.addEventListener("abort", pull, { once: true });
      return {
        async rung() {
          const isOver = () => signal.aborted || closing.signal.aborted;
          if (!news && !isOver()) {
            const { promise, resolve } = Promise.withResolvers<void>();
            wake = resolve;
            const timer = setTimeout(resolve, patienceMs);
            await promise;
            clearTimeout(timer);
            wake = undefined;
          }
          news = false;
          return !isOver();
        },
        [Symbol.dispose]() {
          signal.removeEventListener("abort", pull);
          pulls.delete(pull);
          if (pulls.size === 0 && hung.get(id) === pulls) hung.delete(id);
        },
      };
    },
    get bells() {
      return [...hung.values()].reduce((sum, { size }) => sum + size, 0);
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      ringAll();
      await listening[Symbol.asyncDispose]();
    },
  };
}
