/** Closes a window after each interval, keeps those of the last minute at hand, and writes them to the database. */
import { setTimeout as sleep } from "node:timers/promises";
import { runWithoutContext } from "#mesh/context.ts";
import { from } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import type { Collector } from "./collector.ts";
import { addUp, forget, type Retention } from "./levels.ts";
import type { Window } from "./window.ts";
import { leaveWriter, type NameCache, writeWindows } from "./window-store.ts";

/** What a recorder works with. */
export interface RecorderOptions {
  readonly db: Database;
  readonly collector: Pick<Collector, "closeWindow">;
  readonly intervalMs: number;
  readonly retention: Retention;
  /** Rows of calls and services that wait for the database at most; the oldest windows are given up. */
  readonly maxPendingRows: number;
  /** Tells this process from others that write to the database; a UUID. */
  readonly holder: string;
  readonly log: Logger;
  readonly clock: () => number;
}

/** Over how long the present is looked at, in milliseconds. */
export const recentMs = 60_000;

/** By how much, in milliseconds, a timer may be early. */
const slackMs = 20;

/** Windows that one transaction writes. */
const batch = 30;

/** How much a process keeps that does not write, so that it can take over from one that died, in milliseconds. */
const standbyMs = 120_000;

/** How long the end of a process waits for the database, in milliseconds. */
const finishMs = 5000;

/** Between two rounds of forgetting, in milliseconds. */
const forgetEveryMs = 60_000;

/** Records until disposed. */
export class Recorder implements AsyncDisposable {
  readonly #options: RecorderOptions;
  readonly #stop = new AbortController();
  readonly #names: NameCache = { ids: new Map() };
  readonly #listeners = new Set<() => void>();
  #recent: Window[] = [];
  #pending: Window[] = [];
  #running = Promise.resolve();
  #writing: Promise<void> | undefined;
  #forgotAt = 0;
  /** What is wrong with the database; undefined: nothing. */
  problem: string | undefined;
  /** Windows given up. */
  dropped = 0;
  /** Whether this process writes; another one of the service does otherwise. */
  writer = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** The windows of the last minute, oldest first. */
  get recent(): readonly Window[] {
    return this.#recent;
  }

  /** The windows that are not in the database, oldest first. */
  get pending(): readonly Window[] {
    return this.#pending;
  }

  /** Whether it has ended. */
  get closed(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Begins to close windows at whole multiples of the interval. */
  start(): void {
    this.#running = runWithoutContext(() => this.#run());
  }

  /** Calls `listener` after each window; disposing ends that. */
  onWindow(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Closes the present window, as one that ends at `end`. */
  close(end: number): void {
    const window = this.#options.collector.closeWindow(end);
    if (window === undefined) return;
    this.#recent = [...this.#recent, window].filter(({ end }) => end > window.end - recentMs);
    this.#pending.push(window);
    this.#bound();
    for (const listener of this.#listeners) listener();
  }

  /** Writes what is pending. Never throws: what cannot be written stays. One at a time. */
  flush(): Promise<void> {
    this.#writing ??= this.#flush().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    for (const listener of this.#listeners) listener();
    // A database that hangs does not keep the process.
    await Promise.race([this.#finish(), sleep(finishMs, undefined, { ref: false })]);
  }

  /** Writes the window that is not over, and lets another process write. */
  async #finish(): Promise<void> {
    await this.#writing;
    if (!this.writer || this.problem !== undefined) return;
    this.close(this.#options.clock());
    await this.flush();
    await leaveWriter(this.#options.db, this.#options.holder).catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { intervalMs, clock } = this.#options;
    const { signal } = this.#stop;
    for (;;) {
      const waitMs = intervalMs - (clock() % intervalMs);
      await sleep(waitMs <= slackMs ? waitMs + intervalMs : waitMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) break;
      // Windows begin and end at multiples of the interval, though timers are late, or a little early.
      this.close(Math.floor((clock() + slackMs) / intervalMs) * intervalMs);
      // A database that is slow does not keep the next window from being closed.
      void this.flush();
    }
  }

  async #flush(): Promise<void> {
    const { db, holder, log, clock, retention } = this.#options;
    try {
      while (this.#pending.length > 0) {
        const windows = this.#pending.slice(0, batch);
        this.writer = await writeWindows(db, holder, windows, this.#names);
        if (!this.writer) break;
        const last = windows.at(-1)?.end ?? 0;
        this.#pending = this.#pending.filter(({ end }) => end > last);
      }
      if (this.writer) {
        await addUp(db);
        if (clock() - this.#forgotAt >= forgetEveryMs) {
          await forget(db, retention, clock());
          this.#forgotAt = clock();
        }
      }
      if (this.problem !== undefined) log.info({ pending: this.#pending.length }, "the history is written again");
      this.problem = undefined;
    } catch (error) {
      if (this.problem === undefined) log.warn({ err: error }, "the history cannot be written; windows wait in memory");
      this.problem = from(error).rawMessage;
    }
    this.#bound();
  }

  /** Gives up the oldest windows: those beyond the bound, and, where another process writes, those that it has written long ago. */
  #bound(): void {
    if (!this.writer && this.problem === undefined) {
      const after = (this.#pending.at(-1)?.end ?? 0) - standbyMs;
      this.#pending = this.#pending.filter(({ end }) => end > after);
    }
    let rows = this.#pending.reduce((sum, window) => sum + rowsOf(window), 0);
    while (rows > this.#options.maxPendingRows && this.#pending.length > 1) {
      const [oldest, ...others] = this.#pending;
      if (oldest === undefined) return;
      this.#pending = others;
      rows -= rowsOf(oldest);
      this.dropped++;
    }
  }
}

/** Empty windows count as well, so that a long outage ends. */
function rowsOf({ services }: Window): number {
  return 1 + services.reduce((sum, { calls }) => sum + 1 + calls.length, 0);
}
