/** When a call must stop: at its deadline, or when the caller goes away. One timer and one listener per signal, all removed at the end. */
import type { ConnectError } from "@connectrpc/connect";
import { canceled, deadlineExceeded } from "../errors.ts";

/** Why a call was stopped from this side. */
export interface Stop {
  readonly by: "deadline" | "cancelled";
  readonly error: ConnectError;
}

/** The limits of one call. close() must be called at its end. */
export class CallScope {
  /** Milliseconds since the epoch; Infinity for none. Fixed for all attempts. */
  readonly deadline: number;
  /** Called once, when the call must stop. The current wait or attempt puts itself here. */
  onStop: ((stop: Stop) => void) | undefined;
  #stopped: Stop | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #signals: readonly AbortSignal[];
  readonly #clock: () => number;
  readonly #onAbort = (): void => {
    // A context's signal aborts at its deadline too; that is not the caller going away.
    if (this.#clock() >= this.deadline) this.#stop({ by: "deadline", error: deadlineExceeded() });
    else this.#stop({ by: "cancelled", error: canceled() });
  };

  constructor(deadline: number, signals: readonly (AbortSignal | undefined)[], clock: () => number) {
    this.deadline = deadline;
    this.#clock = clock;
    this.#signals = signals.filter((signal) => signal !== undefined);
    if (this.remaining() <= 0) this.#stop({ by: "deadline", error: deadlineExceeded() });
    else if (this.#signals.some((signal) => signal.aborted)) this.#onAbort();
    else this.#arm();
  }

  /** Set once the call must not go on. */
  get stopped(): Stop | undefined {
    return this.#stopped;
  }

  /** Milliseconds left, never below 0. */
  remaining(): number {
    return this.deadline === Number.POSITIVE_INFINITY ? this.deadline : Math.max(0, this.deadline - this.#clock());
  }

  /** Waits `ms` milliseconds, or until `subscribe` tells of a change, or until the call must stop. */
  wait(ms: number, subscribe?: (wake: () => void) => () => void): Promise<void> {
    if (this.#stopped !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        unsubscribe?.();
        this.onStop = undefined;
        resolve();
      };
      const timer = ms < longestTimer ? setTimeout(wake, ms) : undefined;
      const unsubscribe = subscribe?.(wake);
      this.onStop = wake;
    });
  }

  close(): void {
    clearTimeout(this.#timer);
    this.onStop = undefined;
    for (const signal of this.#signals) signal.removeEventListener("abort", this.#onAbort);
  }

  #arm(): void {
    for (const signal of this.#signals) signal.addEventListener("abort", this.#onAbort);
    this.#armTimer();
  }

  #armTimer(): void {
    const remaining = this.remaining();
    if (remaining === Number.POSITIVE_INFINITY) return;
    // Timers may fire a millisecond early, and cannot be longer than 24.8 days.
    this.#timer = setTimeout(
      () => (this.remaining() > 0 ? this.#armTimer() : this.#stop({ by: "deadline", error: deadlineExceeded() })),
      Math.min(Math.ceil(remaining), longestTimer),
    );
  }

  #stop(stop: Stop): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = stop;
    const { onStop } = this;
    this.close();
    onStop?.(stop);
  }
}

/** Milliseconds: the longest that setTimeout takes. */
const longestTimer = 2 ** 31 - 1;
