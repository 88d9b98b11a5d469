/** What runs in the worker threads: each task is a function from data to data, which keeps nothing between tasks. */
import { addSamples, emptySums, findingsOf, type Limits, type Sums } from "./analysis.ts";
import type { Findings } from "./sensor-test.ts";

/** The next samples of a test, and what is known of those before. */
export interface Task {
  /** Undefined before the first samples. */
  readonly sums: Sums | undefined;
  readonly samples: Float64Array;
  readonly limits: Limits;
  /** Samples per second, with the last samples: asks for the findings. */
  readonly rate: number | undefined;
}

/** The sums with the samples in them, and the findings when they were asked for. */
export interface Done {
  readonly sums: Sums;
  readonly findings: Findings | undefined;
}

/** Takes in samples. */
export default function analyse({ sums = emptySums(), samples, limits, rate }: Task): Done {
  addSamples(sums, samples, limits);
  return { sums, findings: rate === undefined ? undefined : findingsOf(sums, limits, rate) };
}
