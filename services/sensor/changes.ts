/** The changes of tests as they are committed, by this process or by any other: what the database announces. */
import { listenTo } from "#mesh/storage/announcements.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import type { SensorTest } from "./sensor-test.ts";
import { getTest } from "./store.ts";

/** The feed of changes. */
export interface Changes extends AsyncDisposable {
  /**
   * The test as it is now and after each change, until it is done or `signal` aborts. States that pass between two looks are left out,
   * the last one never is.
   *
   * @throws UNAVAILABLE when the database is away.
   */
  watch(test: SensorTest, signal: AbortSignal): AsyncIterable<SensorTest>;
  /** How many watches are open. */
  readonly watches: number;
}

/** Begins to follow. `onChange` hears of every change, and of the end of an outage. */
export async function followChanges(parts: {
  readonly db: Database;
  readonly log: Logger;
  readonly onChange: () => void;
}): Promise<Changes> {
  const { db, log, onChange } = parts;
  const announcements = await listenTo({ db, channel: "sensor_test_changed", log, onAny: onChange });
  return {
    async *watch({ id }, signal) {
      using bell = announcements.bell(id, signal);
      let shown: string | undefined;
      do {
        const test = await getTest(db, id);
        if (test === undefined) return;
        const state = JSON.stringify(test);
        if (state !== shown) yield test;
        if (test.status !== "processing") return;
        shown = state;
      } while (await bell.rung());
    },
    get watches() {
      return announcements.bells;
    },
    [Symbol.asyncDispose]: () => announcements[Symbol.asyncDispose](),
  };
}
