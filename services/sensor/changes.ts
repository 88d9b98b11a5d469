/** The changes of tests as they are committed, by this process or by any other: LISTEN on what the database announces. */
import type { Logger } from "pino";
import type { Database } from "#mesh/storage/database.ts";
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
export async function followChanges({
  db,
  log,
  onChange,
}: {
  db: Database;
  log: Logger;
  onChange: () => void;
}): Promise<Changes> {
  const bells = new Map<string, Set<() => void>>();
  const ring = (id: string) => {
    for (const bell of bells.get(id) ?? []) bell();
  };
  const ringAll = () => {
    for (const id of bells.keys()) ring(id);
    onChange();
  };
  const listening = await db.listen(
    "sensor_test_changed",
    (id) => {
      ring(id);
      onChange();
    },
    () => {
      log.info("listening to changes again");
      ringAll();
    },
  );
  let closed = false;

  async function* watch(first: SensorTest, signal: AbortSignal): AsyncGenerator<SensorTest> {
    let bell = Promise.withResolvers<void>();
    const pull = () => bell.resolve();
    const some = bells.get(first.id) ?? new Set();
    bells.set(first.id, some.add(pull));
    signal.addEventListener("abort", pull, { once: true });
    try {
      let shown: string | undefined;
      while (!signal.aborted && !closed) {
        // Hung up before the look, so that a change during it rings.
        bell = Promise.withResolvers();
        const test = await getTest(db, first.id);
        if (test === undefined) return;
        const state = JSON.stringify(test);
        if (state !== shown) yield test;
        if (test.status !== "processing") return;
        shown = state;
        await bell.promise;
      }
    } finally {
      signal.removeEventListener("abort", pull);
      some.delete(pull);
      if (some.size === 0 && bells.get(first.id) === some) bells.delete(first.id);
    }
  }

  return {
    watch,
    get watches() {
      return [...bells.values()].reduce((sum, { size }) => sum + size, 0);
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      await listening[Symbol.asyncDispose]();
      ringAll();
    },
  };
}
