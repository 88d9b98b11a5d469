/**
 * The background worker: claims jobs, works on them, renews its claims on them, and ends what cannot go on.
 *
 * A process that dies leaves claims that end; another one, or the same when it is back, goes on at the last checkpoint.
 */
import type { Meter } from "@opentelemetry/api";
import type { Logger } from "pino";
import { type Job, JobError } from "./job.ts";
import { isPassing, type WorkParts, workOn } from "./work.ts";
import { type Claim, type Claimed, claimJobs, fail, failStalled, LostClaim, release, renew } from "./work-store.ts";

/** What the runner works with. */
export interface RunnerOptions extends WorkParts {
  readonly log: Logger;
  readonly meter: Meter;
  /** How long a claim holds when its process is not heard of again, in milliseconds. */
  readonly leaseMs: number;
  /** Jobs at the same time. */
  readonly concurrency: number;
}

/** A running worker. Disposing gives back the jobs under way, for others to go on with at once. */
export interface Runner extends AsyncDisposable {
  /** Look now. */
  wake(): void;
}

/** Milliseconds before a job is taken up again when something that it needs was away. */
const retryMs = 2000;

/** Starts to work. */
export function startRunner(options: RunnerOptions): Runner {
  const { db, folder, log, meter, clock, leaseMs, concurrency, retentionMs } = options;
  const ended = meter.createCounter("heddle.etl.jobs", { description: "Jobs that this process has worked on to their end" });
  const underWay = new Map<string, { readonly done: Promise<void>; readonly stop: AbortController }>();
  // Often enough that no dead lease stays for much longer than it was given.
  const pollMs = Math.min(2000, leaseMs / 2);
  const stopped = new Error("the process stops");
  let stopping = false;
  let bell = Promise.withResolvers<void>();

  const work = async ({ job, claim }: Claimed, stop: AbortController): Promise<void> => {
    const keep = async () => {
      if (!(await renew(db, claim, clock()))) stop.abort(new LostClaim(`job ${job.id} is another's by now, or has ended`));
    };
    // While the database is away there is nobody either who could take the claim.
    const beat = setInterval(
      () => keep().catch((err: unknown) => log.debug({ err, job: job.id }, "cannot renew a claim")),
      leaseMs / 3,
    );
    const started = clock();
    try {
      await workOn(options, job, claim, stop.signal);
      ended.add(1, { outcome: "succeeded" });
      log.info({ job: job.id, ms: clock() - started, attempt: job.attempts }, "a job succeeded");
    } catch (error) {
      await after(job, claim, error).catch((err: unknown) =>
        log.warn({ err, job: job.id }, "cannot give a job back; its claim will end"),
      );
    } finally {
      clearInterval(beat);
    }
  };

  const after = async (job: Job, claim: Claim, error: unknown): Promise<void> => {
    if (error instanceof LostClaim) {
      log.info({ job: job.id }, "a job was cancelled or taken over");
    } else if (error === stopped) {
      await release(db, claim, clock(), 0, true);
    } else if (error instanceof JobError) {
      await fail(db, claim, error.message, clock(), retentionMs);
      ended.add(1, { outcome: "failed" });
      log.info({ job: job.id, reason: error.message }, "a job failed");
    } else {
      const passing = isPassing(error);
      log.warn({ err: error, job: job.id }, passing ? "a job waits for what is away" : "a job broke off; trying again");
      await release(db, claim, clock(), retryMs, passing);
    }
  };

  const look = async (): Promise<void> => {
    const now = clock();
    const failed = await failStalled(db, now, retentionMs);
    if (failed > 0) log.warn({ jobs: failed }, "failed jobs that got no further");
    const room = concurrency - underWay.size;
    if (room <= 0 || stopping) return;
    const claimant = { leaseMs, folder: folder.id, busy: [...underWay.keys()] };
    for (const claimed of await claimJobs(db, room, claimant, now)) {
      const { id } = claimed.job;
      const stop = new AbortController();
      const done = work(claimed, stop).finally(() => {
        underWay.delete(id);
        bell.resolve();
      });
      underWay.set(id, { done, stop });
    }
  };

  const run = async (): Promise<void> => {
    let failing = false;
    while (!stopping) {
      // Hung up before the look, so that a ring during it is heard.
      bell = Promise.withResolvers();
      await look().then(
        () => {
          failing = false;
        },
        (error: unknown) => {
          if (!failing) log.warn({ err: error }, "cannot look for jobs; trying again");
          failing = true;
        },
      );
      const timer = setTimeout(bell.resolve, pollMs);
      await bell.promise;
      clearTimeout(timer);
    }
  };

  const loop = run();
  return {
    // With no room there is nothing to look for, and every chunk of every job rings.
    wake() {
      if (underWay.size < concurrency) bell.resolve();
    },
    async [Symbol.asyncDispose]() {
      stopping = true;
      bell.resolve();
      await loop;
      const open = [...underWay.values()];
      for (const { stop } of open) stop.abort(stopped);
      await Promise.all(open.map(({ done }) => done));
    },
  };
}
