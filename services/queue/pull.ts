/** Taking messages, with a wait. */
import { runWithoutContext } from "#mesh/context.ts";
import { canceled } from "#mesh/errors.ts";
import type { Backend } from "./backend.ts";
import type { Delivery, Queue } from "./queue.ts";
import type { WaitingRoom } from "./waiting-room.ts";

/** What to take. */
export interface Wanted {
  readonly queue: Queue;
  readonly max: number;
  readonly visibilityMs: number;
  /** Until when to wait for the first one, in milliseconds since the epoch. */
  readonly until: number;
  /** Aborts when nobody wants them any more. */
  readonly signal: AbortSignal;
}

/**
 * Takes messages; when there are none, waits until there are, or until the time has passed.
 *
 * @throws CANCELLED when the signal aborts; what was taken by then is given back.
 */
export async function pull(backend: Backend, room: WaitingRoom, wanted: Wanted, clock: () => number): Promise<Delivery[]> {
  const { queue, max, visibilityMs, until, signal } = wanted;
  for (;;) {
    using place = room.enter(queue.id);
    // Out of the call's context: cut short, it would leave messages that were taken and nobody has.
    const found = await runWithoutContext(() => backend.take(queue, max, visibilityMs));
    if (found.length > 0) {
      // There may be more, and one wake-up wakes one.
      room.wake(queue.id);
      if (signal.aborted) await giveBack(backend, queue, found);
      else return found;
    }
    if (signal.aborted) {
      // The turn was ours and we leave: the next one's, then.
      room.wake(queue.id);
      throw canceled();
    }
    const left = until - clock();
    if (left <= 0) return [];
    await place.turn(left, signal);
  }
}

/** Gives messages back that nobody got to see. What fails comes back by its visibility timeout. */
export async function giveBack(backend: Backend, queue: Queue, deliveries: readonly Delivery[]): Promise<void> {
  const tokens = deliveries.map(({ token }) => token);
  await runWithoutContext(() => backend.nack(queue, tokens, 0, "the consumer went away")).catch(() => undefined);
}
