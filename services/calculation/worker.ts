/** What runs in the worker threads: each job is a function from data to data. A job's code is loaded when it is first asked for. */
import { move, transferableSymbol, valueSymbol } from "piscina";
import type { Question } from "./evaluate.ts";
import type { Investment } from "./investment.ts";
import type { ModelText } from "./model.ts";
import type { PresentValueQuestion } from "./present-value.ts";
import type { Flow, RateRange } from "./rate-of-return.ts";
import { Refusal } from "./refusal.ts";
import type { SensitivityQuestion } from "./sensitivity.ts";
import type { Block } from "./simulation.ts";
import type { SummaryWanted } from "./statistics.ts";

const jobs = {
  evaluate: async (question: Question) => (await import("./evaluate.ts")).evaluate(question),
  presentValue: async ({ amounts, rate, firstPeriod }: PresentValueQuestion) =>
    (await import("./present-value.ts")).presentValue(amounts, rate, firstPeriod),
  ratesOfReturn: async ({ flows, range }: { flows: readonly Flow[]; range: RateRange }) =>
    (await import("./rate-of-return.ts")).ratesOfReturn(flows, range),
  returns: async (investment: Investment) => (await import("./investment.ts")).returnsOf(investment),
  paybacks: async (investment: Investment) => (await import("./investment.ts")).paybacksOf(investment),
  sensitivity: async (question: SensitivityQuestion) => (await import("./sensitivity.ts")).sensitivityOf(question),
  readModel: async (text: ModelText) => JSON.stringify(await (await import("./model.ts")).readModel(text)),
  simulate: async (block: Block) => (await import("./simulation.ts")).simulate(block),
  summarise: async ({ outcomes, wanted }: { outcomes: Float64Array; wanted: SummaryWanted }) =>
    (await import("./statistics.ts")).summarise(outcomes, wanted),
};

/** The jobs by name: what each takes and gives. */
export type Jobs = { readonly [K in keyof typeof jobs]: (typeof jobs)[K] };

/** A job to do. */
export interface Task {
  readonly job: keyof Jobs;
  readonly input: unknown;
}

/** What came of it. A refusal crosses as data, since an error that crosses keeps its message alone. */
export type Done = { readonly value: unknown } | { readonly refused: { readonly field: string; readonly description: string } };

/** Does a job. The buffer of a block's outcomes is handed over. */
export default async function work({ job, input }: Task): Promise<Done> {
  try {
    const value = await (jobs[job] as (input: unknown) => Promise<unknown>)(input);
    return job === "simulate" ? handedOver({ value }, (value as { outcomes: Float64Array }).outcomes.buffer) : { value };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { refused: { field: error.field, description: error.message } };
  }
}

function handedOver(done: Done, buffer: ArrayBufferLike): Done {
  return move({
    get [transferableSymbol]() {
      return [buffer];
    },
    get [valueSymbol]() {
      return done;
    },
  } as never) as unknown as Done;
}
