/** What calls come to: numbers, rates, failures, quantiles. */
import { quantile, totalOf } from "./histogram.ts";
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

const none: ReadonlySet<string> = new Set();

/** Ends that are the service's fault: those that google.rpc.Code maps to an HTTP status of 500 and above, and those themselves. */
const faults = /^(UNKNOWN|DEADLINE_EXCEEDED|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS|5\d\d)$/;

/**
 * The calls of `rows` together, which took `seconds` to come. The times are those of calls that are no streams; of streams, named in
 * `streams`, when there is nothing else.
 */
export function trafficOf(rows: readonly CallRow[], seconds: number, streams: ReadonlySet<string> = none): Traffic {
  const outcomes = new Map<string, number>();
  let [calls, errors] = [0, 0];
  for (const row of rows) {
    for (const [outcome, count] of row.outcomes) {
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + count);
      calls += count;
      if (faults.test(outcome)) errors += count;
    }
  }
  const brief = rows.filter(({ method }) => !streams.has(method));
  const timed = brief.length > 0 ? brief : rows;
  const histograms = timed.map(histogramOf);
  const timedCalls = histograms.reduce((sum, { buckets }) => sum + totalOf(buckets), 0);
  return {
    calls,
    rate: seconds > 0 ? calls / seconds : 0,
    errors,
    errorShare: calls > 0 ? errors / calls : undefined,
    outcomes,
    p50: quantile(histograms, 0.5),
    p95: quantile(histograms, 0.95),
    p99: quantile(histograms, 0.99),
    mean: timedCalls > 0 ? timed.reduce((sum, row) => sum + row.sum, 0) / timedCalls : undefined,
  };
}
