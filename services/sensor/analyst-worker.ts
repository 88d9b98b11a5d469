/** What runs in the worker threads: each task is a function from data to data, which keeps nothing between tasks. */
import { move, transferableSymbol, valueSymbol } from "piscina";
import { addSamples, emptySums, findingsOf, type Limits, type Sums } from "./analysis.ts";
import type { Findings } from "./sensor-test.ts";

/** The next samples of a test, and what is known of those before. */
export interface Task {
  /** Undefined before the first samples. */
  readonly sums: Sums | undefined;
  readonly samples: Float64Array<ArrayBuffer>;
  readonly limits: Limits;
  /** Samples per second, with the last samples: asks for the findings. */
  readonly rate: number | undefined;
}

/** The sums with the samples in them, the buffer that the samples came in, and the findings when they were asked for. */
export interface Done {
  readonly sums: Sums;
  readonly samples: Float64Array<ArrayBuffer>;
  readonly findings: Findings | undefined;
}

/** Takes in samples. All buffers go back to where they came from, so that a long upload makes no garbage of them. */
export default function analyse({ sums = emptySums(), samples, limits, rate }: Task): Done {
  addSamples(sums, samples, limits);
  const done: Done = { sums, samples, findings: rate === undefined ? undefined : findingsOf(sums, limits, rate) };
  const { welch, envelope } = sums;
  const buffers = [samples.buffer, welch.window.buffer, welch.power.buffer, envelope.bounds.buffer];
  return move({
    get [transferableSymbol]() {
      return buffers;
    },
    get [valueSymbol]() {
      return done;
    },
  }) as unknown as Done;
}
