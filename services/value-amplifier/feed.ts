/** The changes of models as they are committed, by this process or by any other: what the store announces. */
import { listenTo } from "#mesh/storage/announcements.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import { type Change, changesAfter } from "./model-store.ts";

/** The feed. Disposing ends every watch. */
export interface Feed extends AsyncDisposable {
  /** The changes of a model after number `after`, those of the past first, until the signal aborts. */
  watch(modelId: string, after: number, signal: AbortSignal): AsyncIterable<Change>;
}

/** Begins to follow. */
export async function followModels(db: Database, log: Logger): Promise<Feed> {
  const announcements = await listenTo({ db, channel: "value_model_changed", log });
  return {
    async *watch(id, after, signal) {
      using bell = announcements.bell(id, signal);
      for (let number = after; !signal.aborted; ) {
        const changes = await changesAfter(db, id, number);
        for (const change of changes) {
          yield change;
          number = change.number;
        }
        if (changes.length < 100 && !(await bell.rung())) return;
      }
    },
    [Symbol.asyncDispose]: () => announcements[Symbol.asyncDispose](),
  };
}
