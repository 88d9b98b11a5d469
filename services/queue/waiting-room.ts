/** Those who wait for messages, in line: one is woken at a time, and wakes the next when it found something. */

/** A place in the line of a queue. */
export interface Place extends Disposable {
  /** Settles when it is this place's turn to look, after `ms` milliseconds, or when `signal` aborts. At once when the turn came before. */
  turn(ms: number, signal: AbortSignal): Promise<void>;
}

interface Seat {
  called: boolean;
  call: () => void;
}

/**
 * A waiting room for all queues of a process. Wake-ups are hints that may get lost or come for nothing, so the first in each line also looks
 * every `tickMs` milliseconds: that finds what becomes due by the clock, too.
 */
export class WaitingRoom implements Disposable {
  readonly #tickMs: number;
  readonly #lines = new Map<string, { readonly seats: Set<Seat>; readonly tick: NodeJS.Timeout }>();

  constructor(tickMs: number) {
    this.#tickMs = tickMs;
  }

  /** Takes a place. Take it before looking for messages, so that no wake-up falls between the look and the wait. */
  enter(queueId: string): Place {
    const seat: Seat = { called: false, call: () => {} };
    const line = this.#lines.get(queueId) ?? this.#open(queueId);
    line.seats.add(seat);
    return {
      async turn(ms, signal) {
        if (seat.called || signal.aborted) return;
        const { promise, resolve } = Promise.withResolvers<void>();
        const timer = setTimeout(resolve, ms);
        const leave = () => resolve();
        signal.addEventListener("abort", leave, { once: true });
        seat.call = resolve;
        await promise;
        clearTimeout(timer);
        signal.removeEventListener("abort", leave);
      },
      [Symbol.dispose]: () => this.#leave(queueId, seat),
    };
  }

  /** Calls the first in the line of a queue who was not called yet; with undefined, of every queue. */
  wake(queueId: string | undefined): void {
    if (queueId === undefined) {
      for (const id of [...this.#lines.keys()]) this.wake(id);
      return;
    }
    for (const seat of this.#lines.get(queueId)?.seats ?? []) {
      if (seat.called) continue;
      seat.called = true;
      seat.call();
      return;
    }
  }

  /** How many wait for messages of a queue. */
  waiting(queueId: string): number {
    return this.#lines.get(queueId)?.seats.size ?? 0;
  }

  [Symbol.dispose](): void {
    for (const { tick } of this.#lines.values()) clearInterval(tick);
    this.#lines.clear();
  }

  #open(queueId: string) {
    const line = { seats: new Set<Seat>(), tick: setInterval(() => this.wake(queueId), this.#tickMs).unref() };
    this.#lines.set(queueId, line);
    return line;
  }

  #leave(queueId: string, seat: Seat): void {
    const line = this.#lines.get(queueId);
    line?.seats.delete(seat);
    if (line?.seats.size !== 0) return;
    clearInterval(line.tick);
    this.#lines.delete(queueId);
  }
}
