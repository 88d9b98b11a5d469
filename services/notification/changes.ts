/** The changes of notifications as they are committed, by this process or by any other: LISTEN on what the store announces. */
import { randomUUID } from "node:crypto";
import type { Logger } from "pino";
import { from, resourceExhausted, unavailable } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import { Mailbox } from "./mailbox.ts";
import type { ChannelName, Notification, NotificationStatus } from "./notification.ts";
import { announceWatch, getNotification } from "./store.ts";

/** The feed of changes. */
export interface Changes extends AsyncDisposable {
  /**
   * The notifications of one user after each change, from the moment of the call until `signal` aborts, each as `view` shows it.
   *
   * It begins with a mark in the feed itself, so that a change that was committed before the call is not shown, however late its news
   * comes. The iteration ends with RESOURCE_EXHAUSTED when the reader falls more than 256 changes behind, and with UNAVAILABLE when the database is
   * away, or was, so that changes may have been lost.
   */
  watch<V>(userId: string, signal: AbortSignal, view: (notification: Notification) => V): AsyncIterable<V>;
  /** How many watches of a user have begun. */
  readers(userId: string): number;
}

/** What the feed is made of. */
export interface ChangesOptions {
  readonly db: Database;
  readonly log: Logger;
  /** Called when there may be something to send: on one channel, or, after an outage, on any. */
  readonly onPending: (channel: ChannelName | undefined) => void;
  /** How many changes wait for a reader. Default 256. */
  readonly mailboxSize?: number;
}

/** What the trigger in migrations/001_notification.sql announces. */
interface Announcement {
  readonly id: string;
  readonly userId: string;
  readonly channel: ChannelName;
  readonly status: NotificationStatus;
  readonly failureReason: string;
  readonly sendTime: number | null;
  readonly nextAttemptTime: number | null;
  /** How many attempts have ended. */
  readonly attempts: number;
}

/** What marks the beginning of a watch; only the instance that sent it knows it. */
interface Mark {
  readonly mark: string;
}

/** One watch. */
interface Reader {
  put(notification: Notification): void;
  fail(error: Error): void;
  readonly end: () => void;
  /** Whether its mark has come. */
  readonly isOpen: () => boolean;
}

/** Begins to follow. Returns when the database listens, or at once while it is away. */
export async function followChanges({ db, log, onPending, mailboxSize = 256 }: ChangesOptions): Promise<Changes> {
  const readers = new Map<string, Set<Reader>>();
  const unopened = new Map<string, () => void>();
  // Texts are read one after the other, so that changes stay in the order in which they were committed.
  let turn = Promise.resolve();
  const all = () => [...readers.values()].flatMap((some) => [...some]);

  const publish = async (change: Announcement, present: readonly Reader[]) => {
    try {
      const stored = await getNotification(db, change.id);
      if (stored !== undefined) for (const reader of present) reader.put(at(change, stored));
    } catch (error) {
      for (const reader of present) reader.fail(from(error));
    }
  };

  const listening = await db.listen(
    "notification_changed",
    (payload) => {
      const change = JSON.parse(payload) as Announcement | Mark;
      if ("mark" in change) return unopened.get(change.mark)?.();
      if (change.status === "pending") onPending(change.channel);
      // Who hears it is decided now, not at its turn: a watch that opens meanwhile must not see what came before it.
      const present = [...(readers.get(change.userId) ?? [])].filter((reader) => reader.isOpen());
      if (present.length > 0) turn = turn.then(() => publish(change, present));
    },
    () => {
      log.info("listening to changes again");
      onPending(undefined);
      const lost = unavailable("changes may have been lost while the database was away: list, then watch again", 1000);
      for (const reader of all()) reader.fail(lost);
    },
  );

  return {
    watch(userId, signal, view) {
      const tooSlow = () => resourceExhausted(`the reader is ${mailboxSize} changes behind: list, then watch again`, 1000);
      const mark = randomUUID();
      const box = new Mailbox<ReturnType<typeof view>>(mailboxSize, tooSlow, () => {
        signal.removeEventListener("abort", reader.end);
        unopened.delete(mark);
        const some = readers.get(userId);
        some?.delete(reader);
        if (some?.size === 0) readers.delete(userId);
      });
      let open = false;
      const reader: Reader = {
        put: (notification) => box.put(view(notification)),
        fail: (error) => box.fail(error),
        end: () => box.end(),
        isOpen: () => open,
      };
      readers.set(userId, (readers.get(userId) ?? new Set()).add(reader));
      unopened.set(mark, () => {
        open = true;
        unopened.delete(mark);
      });
      signal.addEventListener("abort", reader.end, { once: true });
      if (signal.aborted) box.end();
      else announceWatch(db, mark).catch((error: unknown) => box.fail(from(error)));
      return box;
    },
    readers: (userId) => [...(readers.get(userId) ?? [])].filter((reader) => reader.isOpen()).length,
    async [Symbol.asyncDispose]() {
      await listening[Symbol.asyncDispose]();
      for (const reader of all()) reader.end();
      await turn;
    },
  };
}

/** The notification as it was right after `change`; `stored` may be further. */
function at(change: Announcement, stored: Notification): Notification {
  return {
    ...stored,
    status: change.status,
    failureReason: change.failureReason,
    sendTime: change.sendTime ?? undefined,
    nextAttemptTime: change.nextAttemptTime ?? undefined,
    attempts: stored.attempts.slice(0, change.attempts),
  };
}
