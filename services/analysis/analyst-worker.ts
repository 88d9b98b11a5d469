/** What runs in the worker threads: data and options to an answer or a chart. A task keeps nothing behind. */
import type { Chart } from "#mesh/chart/chart.ts";
import { type Answers, type Operation, type Options, operations } from "./operations.ts";
import { frameOf, type Source } from "./parse.ts";
import { plots } from "./plots.ts";
import { Refusal, type RefusalCause } from "./refusal.ts";

/** One analysis. */
export interface Task {
  readonly operation: Operation;
  readonly source: Source;
  readonly options: Options;
  /** True: asks for the chart in place of the answer. */
  readonly plot: boolean;
}

/** What came of it. */
export type Outcome = { readonly answer: Answers[Operation] } | { readonly chart: Chart } | { readonly refused: RefusalCause };

/** Analyses. Errors lose their class between threads, so a refusal is an outcome. */
export default function analyse({ operation, source, options, plot }: Task): Outcome {
  try {
    const frame = frameOf(source);
    return plot ? { chart: plots[operation](frame, options) } : { answer: operations[operation](frame, options).answer };
  } catch (error) {
    if (error instanceof Refusal) return { refused: error.refused };
    throw error;
  }
}
