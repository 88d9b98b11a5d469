/** What calls come to: numbers, rates, failures, quantiles. */
import { quantile } from "./histogram.ts";
import { type CallRow, histogramOf } from "./window.ts";

/** Calls that ended in a stretch of time. */
export interface Traffic {
  readonly calls: number;
  /** Per second. */
  readonly rate: number;
  readonly errors: number;
  /** 0 to 1; undefined without calls, as what follows. */
  readonly errorShare: number | undefined;
  readonly outcomes: ReadonlyMap<string, number>;
  /** Seconds. */
  readonly p50: number | undefined;
  readonly p95: number | undefined;
  readonly p99: number | undefined;
  readonly mean: number | undefined;
}

/** Ends that are the service's fault: those that google.rpc.Code maps to an HTTP status of 500 and above, and those themselves. */
const faults = /^(UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS|5\d\d)$/;

/** The calls of `rows` together, which took `seconds` to come. */
export function trafficOf(rows: readonly CallRow[], seconds: number): Traffic {
  const outcomes = new Map<string, number>();
  let [calls, errors, sum] = [0, 0, 0];
  for (const row of rows) {
    sum += row.sum;
    for (const [outcome, count] of row.outcomes) {
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + count);
      calls += count;
      if (faults.test(outcome)) errors += count;
    }
  }
  const histograms = rows.map(histogramOf);
  const some = calls > 0;
  return {
    calls,
    rate: seconds > 0 ? calls / seconds : 0,
    errors,
    errorShare: some ? errors / calls : undefined,
    outcomes,
    p50: quantile(histograms, 0.5),
    p95: quantile(histograms, 0.95),
    p99: quantile(histograms, 0.99),
    mean: some ? sum / calls : undefined,
  };
}
