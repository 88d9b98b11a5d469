/**
 * The worker threads that samples are analysed in.
 *
 * What is known of a test's samples goes to a thread with the next of them, and comes back: a slow upload holds no thread, and a thread
 * that dies takes nothing along but the task it was at.
 */
import { availableParallelism } from "node:os";
import { Piscina } from "piscina";
import type { Limits } from "./analysis.ts";
import type { Done, Task } from "./analyst-worker.ts";
import type { Findings } from "./sensor-test.ts";

/** Analyses samples off the event loop. */
export interface Analyst extends AsyncDisposable {
  /** An analysis of samples that come bit by bit. */
  begin(limits: Limits, rate: number): RunningAnalysis;
  /** An analysis of samples that are all here; they are handed over. */
  analyse(samples: Float64Array<ArrayBuffer>, limits: Limits, rate: number): Promise<Findings>;
}

/** An analysis under way. Calls come one after the other. */
export interface RunningAnalysis {
  /** Takes in samples, which are copied. Settles when there is room for more: at most two batches are held. */
  add(samples: ArrayLike<number>): Promise<void>;
  /** How many samples were taken in. */
  readonly count: number;
  /** Says what all samples come to. */
  conclude(): Promise<Findings>;
}

/** How many samples a task has: some 1 ms of work, of which handing over takes little. */
const batchSize = 16_384;

/** Opens the pool. `threads`: at most so many; 0 means one less than the machine has cores. The first begins with the first samples. */
export function openAnalyst(threads: number): Analyst {
  const pool = new Piscina<Task, Done>({
    filename: new URL("./analyst-worker.ts", import.meta.url).href,
    minThreads: 0,
    maxThreads: threads || Math.max(1, availableParallelism() - 1),
    idleTimeout: 30_000,
    // A thread's heap holds a batch or two; what V8 would take by default for young objects alone is three times that.
    resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 },
    execArgv: [],
  });
  const run = (task: Task): Promise<Done> => {
    const { samples, sums } = task;
    const buffers = [samples.buffer, sums?.welch.window.buffer, sums?.welch.power.buffer, sums?.envelope.bounds.buffer];
    return pool.run(task, { transferList: buffers.filter((buffer) => buffer instanceof ArrayBuffer) as never });
  };
  return {
    begin: (limits, rate) => new Batches(run, limits, rate),
    async analyse(samples, limits, rate) {
      return found(await run({ sums: undefined, samples, limits, rate }));
    },
    [Symbol.asyncDispose]: () => pool.destroy(),
  };
}

/** Collects samples into batches; while one is in a thread the next one fills. */
class Batches implements RunningAnalysis {
  readonly #run: (task: Task) => Promise<Done>;
  readonly #limits: Limits;
  readonly #rate: number;
  #batch = new Float64Array(batchSize);
  #filled = 0;
  #underWay: Promise<Done> | undefined;
  count = 0;

  constructor(run: (task: Task) => Promise<Done>, limits: Limits, rate: number) {
    this.#run = run;
    this.#limits = limits;
    this.#rate = rate;
  }

  async add(samples: ArrayLike<number>): Promise<void> {
    this.count += samples.length;
    for (let at = 0; at < samples.length; ) {
      const end = Math.min(samples.length, at + batchSize - this.#filled);
      for (; at < end; at++) this.#batch[this.#filled++] = samples[at] as number;
      if (this.#filled === batchSize) await this.#send(undefined);
    }
  }

  async conclude(): Promise<Findings> {
    await this.#send(this.#rate);
    if (this.#underWay === undefined) throw new Error("nothing was sent");
    return found(await this.#underWay);
  }

  /** Settles when the batch is on its way, which the one before must have finished first. */
  async #send(rate: number | undefined): Promise<void> {
    const samples = this.#filled === batchSize ? this.#batch : this.#batch.slice(0, this.#filled);
    const before = await this.#underWay;
    this.#batch = before?.samples ?? new Float64Array(batchSize);
    this.#filled = 0;
    const { sums } = before ?? {};
    this.#underWay = this.#run({ sums, samples, limits: this.#limits, rate });
    // Whoever awaits it next hears of a failure; until then it must not count as unhandled.
    this.#underWay.catch(() => undefined);
  }
}

function found({ findings }: Done): Findings {
  if (findings === undefined) throw new Error("a thread gave no findings");
  return findings;
}
