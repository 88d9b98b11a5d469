/** The changes of jobs as they are committed, by this process or by any other: what the database announces. */
import { listenTo } from "#mesh/storage/announcements.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
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
  const announcements = await listenTo({ db, channel: "etl_job_changed", log, onAny: onChange });
  return {
    async *watch({ id }, signal) {
      using bell = announcements.bell(id, signal);
      let shown = -1;
      do {
        const job = await getJob(db, id);
        if (job === undefined) return;
        if (job.revision !== shown) yield job;
        if (job.completeTime !== undefined) return;
        shown = job.revision;
      } while (await bell.rung());
    },
    [Symbol.asyncDispose]: () => announcements[Symbol.asyncDispose](),
  };
}
