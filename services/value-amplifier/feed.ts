/** The changes of models as they are committed, by this process or by any other: LISTEN on what the store announces. */
import { runWithoutContext } from "#mesh/context.ts";
import type { Database } from "#mesh/storage/database.ts";
import { type Change, changesAfter } from "./model-store.ts";

/** The feed. Disposing ends every watch. */
export interface Feed extends AsyncDisposable {
  /** The changes of a model after number `after`, those of the past first, until the signal aborts. */
  watch(modelId: string, after: number, signal: AbortSignal): AsyncIterable<Change>;
}

/** How long to wait for news at most, in milliseconds: an announcement may be lost with the connection that it came on. */
const patienceMs = 5000;

/** Begins to follow. */
export async function followModels(db: Database): Promise<Feed> {
  const bells = new Map<string, Set<() => void>>();
  const ring = (id: string) => {
    for (const bell of [...(bells.get(id) ?? [])]) bell();
  };
  const ringAll = () => {
    for (const id of [...bells.keys()]) ring(id);
  };
  const listening = await runWithoutContext(() => db.listen("value_model_changed", ring, ringAll));
  const closing = new AbortController();

  /** Settles with the next announcement of the model from now on; dispose it when nobody waits. */
  const nextOf = (id: string, signal: AbortSignal) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const set = bells.get(id) ?? new Set();
    bells.set(id, set.add(resolve));
    const timer = setTimeout(resolve, patienceMs);
    signal.addEventListener("abort", () => resolve(), { once: true });
    return {
      promise,
      [Symbol.dispose]() {
        clearTimeout(timer);
        set.delete(resolve);
        if (set.size === 0) bells.delete(id);
      },
    };
  };

  return {
    async *watch(id, after, outer) {
      const signal = AbortSignal.any([outer, closing.signal]);
      for (let number = after; !signal.aborted; ) {
        // The bell hangs before the look, so that a change during it is heard.
        using next = nextOf(id, signal);
        const changes = await changesAfter(db, id, number);
        for (const change of changes) {
          yield change;
          number = change.number;
        }
        if (changes.length < 100) await next.promise;
      }
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await listening[Symbol.asyncDispose]();
    },
  };
}
