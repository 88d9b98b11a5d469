/** The sessions whose tokens no longer count although they have not expired: auth's WatchRevocations, kept up to date. */
import { setTimeout as sleep } from "node:timers/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { WatchRevocationsResponse } from "#gen/auth/v1/auth_pb.ts";
import { runWithoutContext } from "../context.ts";
import type { Logger } from "../telemetry/log.ts";

/** Where the revocations come from, and the clock and backoff, which tests replace. */
export interface RevocationListOptions {
  watch(signal: AbortSignal): AsyncIterable<WatchRevocationsResponse>;
  readonly log: Logger;
  /** Milliseconds to wait after `failures` failures in a row (from 1). Default: 250 ms doubling to 10 s, +-20 %. */
  readonly backoffMs?: (failures: number) => number;
  readonly clock?: () => number;
}

/** Ended sessions by id. Each connection begins with all that still matter, so a new one makes good what was missed. */
export class RevocationList {
  readonly #options: RevocationListOptions;
  readonly #closed = new AbortController();
  readonly #clock: () => number;
  /** Session id -> when the last of its tokens ends, in milliseconds. */
  #ended = new Map<string, number>();
  #live = false;
  #running: Promise<void> | undefined;
  readonly #first = Promise.withResolvers<void>();
  #waited: Promise<void> | undefined;

  constructor(options: RevocationListOptions) {
    this.#options = options;
    this.#clock = options.clock ?? Date.now;
  }

  /** True while the stream is up, so that `has` can be trusted to know every ended session. */
  get live(): boolean {
    return this.#live;
  }

  /** Whether the session or API key has ended. */
  has(sessionId: string): boolean {
    return this.#ended.has(sessionId);
  }

  /** Begins to follow; later calls do nothing. */
  start(): void {
    // The stream outlives every call, so it must not end with the one that started it.
    this.#running ??= runWithoutContext(() => this.#run());
  }

  /** Settles when the first list is here, or `ms` after the first time that anybody asked. */
  first(ms: number): Promise<void> {
    this.#waited ??= Promise.race([this.#first.promise, sleep(ms, undefined, { ref: false, signal: this.#closed.signal })]).catch(
      () => undefined,
    );
    return this.#waited;
  }

  /** Ends the stream. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closed;
    const backoffMs = this.#options.backoffMs ?? defaultBackoffMs;
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        let whole = true;
        for await (const { revocations } of this.#options.watch(signal)) {
          if (whole) this.#ended = new Map();
          for (const { sessionId, forgetTime } of revocations) {
            this.#ended.set(sessionId, forgetTime === undefined ? Number.POSITIVE_INFINITY : timestampMs(forgetTime));
          }
          this.#forget();
          whole = false;
          failures = 0;
          this.#live = true;
          this.#first.resolve();
        }
      } catch (err) {
        if (!signal.aborted && this.#live)
          this.#options.log.warn({ err }, "the stream of revocations broke; tokens are degraded");
      }
      this.#live = false;
      await sleep(backoffMs(Math.max(1, failures)), undefined, { ref: false, signal }).catch(() => undefined);
    }
  }

  #forget(): void {
    const now = this.#clock();
    for (const [id, until] of this.#ended) if (until <= now) this.#ended.delete(id);
  }
}

function defaultBackoffMs(failures: number): number {
  return Math.min(10_000, 250 * 2 ** Math.min(failures - 1, 10)) * (0.8 + 0.4 * Math.random());
}
