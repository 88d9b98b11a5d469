/**
 * The worker threads that everything is calculated in. Tasks take turns in the order in which they came; each may keep a thread for so
 * long and fill so much memory, and is ended with its thread when it goes beyond, or when nobody wants it any more. Others go on.
 */
import { availableParallelism } from "node:os";
import { Piscina } from "piscina";
import { resourceExhausted } from "#mesh/errors.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import { Refusal } from "./refusal.ts";
import type { Done, Jobs, Task } from "./worker.ts";

/** Does jobs off the event loop. */
export interface Pool extends AsyncDisposable {
  /** How many jobs run at the same time. */
  readonly threads: number;
  /**
   * Does a job.
   *
   * @throws Refusal; RESOURCE_EXHAUSTED for a job that takes too much time or memory, or when too many wait; the signal's reason.
   */
  run<K extends keyof Jobs>(job: K, input: Parameters<Jobs[K]>[0], options?: RunOptions): Promise<Awaited<ReturnType<Jobs[K]>>>;
}

/** How a job is run. */
export interface RunOptions {
  /** Ends the job. */
  readonly signal?: AbortSignal | undefined;
  /** What the jobs of one call may take in all, in milliseconds; what each takes is taken from it. */
  readonly budget?: { leftMs: number };
  /** What is handed over with the input. */
  readonly transfer?: readonly ArrayBuffer[];
}

/** What a pool is made of. */
export interface PoolOptions {
  /** At most so many; 0: one less than the machine has cores, but one. */
  readonly threads: number;
  /** How long a job may keep a thread. */
  readonly timeLimitMs: number;
  readonly memoryMib: number;
  readonly log: Logger;
  /** The module that the threads run. Default: worker.ts. */
  readonly module?: URL;
}

/** How long a job that nobody wants may go on, in milliseconds: most end by themselves, and spare the start of another thread. */
const graceMs = 20;

/** How many may wait for a thread. */
const maxWaiting = 1000;

/** Opens the pool. A thread begins with the first job that finds none, and ends after half a minute without any. */
export function openPool({ threads, timeLimitMs, memoryMib, log, module }: PoolOptions): Pool {
  const size = threads || Math.max(1, availableParallelism() - 1);
  const pool = new Piscina<Task, Done>({
    filename: (module ?? new URL("./worker.ts", import.meta.url)).href,
    minThreads: 0,
    maxThreads: size,
    idleTimeout: 30_000,
    resourceLimits: { maxOldGenerationSizeMb: memoryMib, maxYoungGenerationSizeMb: 16, stackSizeMb: 4 },
    execArgv: [],
  });
  // A thread that dies by its limits says so here, too; the job's promise tells the caller.
  pool.on("error", (error) => log.debug({ err: error }, "a worker thread ended"));
  const turns = new Turns(size);

  return {
    threads: size,
    async run(job, input, { signal, budget, transfer = [] } = {}) {
      await turns.take(signal);
      const began = performance.now();
      // At least a moment, in which nothing comes of a job: one way out for a budget that is used up.
      const limitMs = Math.max(1, Math.min(timeLimitMs, budget?.leftMs ?? timeLimitMs));
      const ending = new AbortController();
      let late = false;
      const limit = setTimeout(() => {
        late = true;
        ending.abort();
      }, limitMs);
      let grace: NodeJS.Timeout | undefined;
      const unwanted = () => {
        grace = setTimeout(() => ending.abort(), graceMs);
      };
      signal?.addEventListener("abort", unwanted, { once: true });
      const running = pool
        .run({ job, input }, { signal: ending.signal, transferList: [...transfer] as never })
        .finally(() => {
          clearTimeout(limit);
          clearTimeout(grace);
          signal?.removeEventListener("abort", unwanted);
          if (budget !== undefined) budget.leftMs -= performance.now() - began;
          turns.give();
        })
        .catch((error: unknown) => {
          if (late) throw resourceExhausted(`the calculation takes longer than one may`);
          if (isOutOfMemory(error)) throw resourceExhausted(`the calculation takes more memory than one may: ${memoryMib} MiB`);
          throw error;
        });
      const done = await untilAborted(running, signal);
      if ("refused" in done) throw new Refusal(done.refused.field, done.refused.description);
      return done.value as never;
    },
    [Symbol.asyncDispose]: () => pool.destroy(),
  };
}

/** Leaves to run so many at a time, first come, first served. */
class Turns {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  /** @throws RESOURCE_EXHAUSTED; the signal's reason. */
  async take(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    if (this.#waiting.size >= maxWaiting) throw resourceExhausted(`${maxWaiting} calculations are waiting`, 1000);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = () => {
      this.#waiting.delete(resolve);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", leave, { once: true });
    this.#waiting.add(resolve);
    await promise.finally(() => signal?.removeEventListener("abort", leave));
  }

  give(): void {
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      next();
      return;
    }
    this.#free++;
  }
}

/** `work`, or the signal's reason at once. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const { promise, reject } = Promise.withResolvers<never>();
  const leave = () => reject(signal.reason);
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  work.catch(() => undefined);
  return Promise.race([work, promise]).finally(() => signal.removeEventListener("abort", leave));
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY";
}
