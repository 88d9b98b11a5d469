/** The changes of jobs as they are committed, by this process or by any other: LISTEN on what the database announces. */
import type { Logger } from "pino";
import type { Database } from "#mesh/storage/database.ts";
import type { Job } from "./job.ts";
import { getJob } from "./job-store.ts";

/** The feed of changes. */
export interface Changes extends AsyncDisposable {
  /**
   * The job as it is now and after each change, until it has ended or `signal` aborts. States that pass between two looks are left out,
   * the last one never is.
   *
   * @throws UNAVAILABLE when the database is away.
   */
  watch(job: Job, signal: AbortSignal): AsyncIterable<Job>;
}

/** Begins to follow. `onChange` hears of every change, and of the end of an outage. */
export async function followChanges(parts: {
  readonly db: Database;
  readonly log: Logger;
  readonly onChange: () => void;
}): Promise<Changes> {
  const { db, log, onChange } = parts;
  const bells = new Map<string, Set<() => void>>();
  const ring = (id: string) => {
    for (const bell of bells.get(id) ?? []) bell();
  };
  const ringAll = () => {
    for (const id of bells.keys()) ring(id);
    onChange();
  };
  const listening = await db.listen(
    "etl_job_changed",
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

  async function* watch(first: Job, signal: AbortSignal): AsyncGenerator<Job> {
    let bell = Promise.withResolvers<void>();
    const pull = () => bell.resolve();
    const some = bells.get(first.id) ?? new Set();
    bells.set(first.id, some.add(pull));
    signal.addEventListener("abort", pull, { once: true });
    try {
      let shown = -1;
      while (!signal.aborted && !closed) {
        // Hung up before the look, so that a change during it rings.
        bell = Promise.withResolvers();
        const job = await getJob(db, first.id);
        if (job === undefined) return;
        if (job.revision !== shown) yield job;
        if (job.completeTime !== undefined) return;
        shown = job.revision;
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
    async [Symbol.asyncDispose]() {
      closed = true;
      await listening[Symbol.asyncDispose]();
      ringAll();
    },
  };
}
