/** Whether the database is there: a breaker that one prober heals. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectError } from "@connectrpc/connect";
import { unavailable } from "#mesh/errors.ts";

/** What the availability asks of the database and tells it. */
export interface AvailabilityOptions {
  /** One attempt to connect and ask something; rejects when the database is away. Must settle within about 1 s. */
  readonly probe: () => Promise<void>;
  /** Called once at each change, with the error that showed the database to be away. */
  readonly onAway: (error: unknown) => void;
  readonly onBack: (awayMs: number) => void;
}

/** Milliseconds between two probes while the database is away: short, so that it is found within 1 s of its return. */
const probeIntervalMs = 250;

/**
 * Two states. HERE: calls go through; a failure to connect moves to AWAY, a suspicion (a lost connection, a slow answer) starts one probe
 * that decides. AWAY: calls fail at once, a single prober asks every 250 ms and moves back to HERE.
 */
export class Availability {
  readonly #options: AvailabilityOptions;
  readonly #closing = new AbortController();
  #away: { readonly error: unknown; readonly since: number } | undefined;
  #probing: Promise<void> | undefined;

  constructor(options: AvailabilityOptions) {
    this.#options = options;
  }

  /** Why the database is away; undefined while it is here. */
  get reason(): string | undefined {
    if (this.#away === undefined) return undefined;
    return this.#away.error instanceof Error ? this.#away.error.message : String(this.#away.error);
  }

  /** @throws UNAVAILABLE with RetryInfo while the database is away. */
  assertHere(): void {
    if (this.#away !== undefined) throw away(this.#away.error);
  }

  /** The database could not be reached: calls fail at once from here on, until a probe succeeds. */
  lost(error: unknown): void {
    if (this.#away !== undefined || this.#closing.signal.aborted) return;
    this.#away = { error, since: performance.now() };
    this.#options.onAway(error);
    this.#probing ??= this.#probe();
  }

  /** Something looks wrong: asks the database, and calls it away when it does not answer. One probe at a time. */
  suspect(): void {
    if (this.#closing.signal.aborted) return;
    this.#probing ??= this.#probe();
  }

  /** Stops the prober. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#probing;
  }

  async #probe(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#options.probe();
        break;
      } catch (error) {
        this.lost(error);
        await sleep(probeIntervalMs, undefined, { signal }).catch(() => undefined);
      }
    }
    this.#probing = undefined;
    const gone = this.#away;
    if (gone === undefined || signal.aborted) return;
    this.#away = undefined;
    this.#options.onBack(performance.now() - gone.since);
  }
}

/** The answer to every call while the database is away, and to one whose connection broke. */
export function away(cause: unknown): ConnectError {
  return unavailable("the database is away", 1000, cause);
}
