/** The worker threads that data are analysed in. */
import { availableParallelism } from "node:os";
import { Piscina } from "piscina";
import type { Chart } from "#mesh/chart/chart.ts";
import { resourceExhausted } from "#mesh/errors.ts";
import type { Outcome, Task } from "./analyst-worker.ts";
import type { Answers, Operation, Options } from "./operations.ts";
import type { Source } from "./parse.ts";
import { Refusal } from "./refusal.ts";

/** What to analyse; the data are handed over. */
export interface Question<O extends Operation> {
  readonly operation: O;
  readonly source: Source;
  readonly options: Options;
}

/** Analyses data off the event loop. A signal that aborts ends the work at once. */
export interface Analyst extends AsyncDisposable {
  /** @throws Refusal; RESOURCE_EXHAUSTED when too many wait, or the work takes more memory than a thread has. */
  answer<O extends Operation>(question: Question<O>, signal: AbortSignal): Promise<Answers[O]>;
  /** @throws as answer does. */
  plot(question: Question<Operation>, signal: AbortSignal): Promise<Chart>;
}

/** Analyses that wait for a thread, at most: each may hold 8 MB of data. */
const maxWaiting = 16;

/** Opens the pool. `threads`: at most so many; 0 means one less than the machine has cores. None runs until there is work. */
export function openAnalyst(threads: number): Analyst {
  const pool = new Piscina<Task, Outcome>({
    filename: new URL("./analyst-worker.ts", import.meta.url).href,
    minThreads: 0,
    maxThreads: threads || Math.max(1, availableParallelism() - 1),
    idleTimeout: 30_000,
    resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 },
    execArgv: [],
  });

  async function run(task: Task, signal: AbortSignal): Promise<Exclude<Outcome, { refused: unknown }>> {
    if (pool.queueSize >= maxWaiting) throw resourceExhausted("too many analyses wait: try again later", 1000);
    const outcome = await pool.run(task, { signal, transferList: buffersOf(task.source) as never }).catch((error: unknown) => {
      if (signal.aborted) throw signal.reason;
      if (codeOf(error) !== "ERR_WORKER_OUT_OF_MEMORY") throw error;
      throw resourceExhausted("the analysis takes more memory than there is for one: send less data", 0);
    });
    if ("refused" in outcome) throw new Refusal(outcome.refused);
    return outcome;
  }

  return {
    async answer<O extends Operation>(question: Question<O>, signal: AbortSignal) {
      const outcome = await run({ ...question, plot: false }, signal);
      if (!("answer" in outcome)) throw new Error("a thread gave no answer");
      // The thread answers with what the operation asks for.
      return outcome.answer as Answers[O];
    },
    async plot(question, signal) {
      const outcome = await run({ ...question, plot: true }, signal);
      if (!("chart" in outcome)) throw new Error("a thread gave no chart");
      return outcome.chart;
    },
    [Symbol.asyncDispose]: () => pool.destroy(),
  };
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** What can be handed over without a copy. */
function buffersOf(source: Source): ArrayBufferLike[] {
  if (source.kind === "csv") return [];
  if (source.kind !== "frame") return [source.bytes.buffer];
  return source.frame.columns.map((column) => (column.kind === "numbers" ? column.values.buffer : column.codes.buffer));
}
