/**
 * What changed between two readings of one instance: what its counters grew by, and the calls that ended.
 *
 * A counter that became less was begun anew, and grew by all that it shows. So did everything when the process is another one, by the
 * time of its start. What a text did not have before grew by all that it shows as well, when the text before was of the same process.
 */
import type { CallSeries } from "./call-series.ts";
import type { Reading } from "./exposition.ts";
import { FormatError } from "./sample-key.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** What is kept of an instance's last reading. */
export interface Known {
  readonly values: Float64Array;
  readonly startTime: number | undefined;
}

/** Takes what changed. */
export interface GrowthSink {
  /** `measure` is an index of Vocabulary.measures. */
  counter(measure: number, by: number): void;
  /**
   * Calls of a series that ended: `buckets` counts each bucket's own, one more than there are `bounds`. It is used again for the next
   * call of this method.
   */
  calls(series: CallSeries, bounds: readonly number[], buckets: Float64Array, sum: number): void;
}

/** Seconds by which two statements of one start may differ. */
const startSlack = 1;

/**
 * Tells `sink` what changed from `known` to `reading`.
 *
 * `known` undefined: nothing was read before. Then everything counts when `whole`, and nothing otherwise.
 *
 * @throws FormatError for a histogram that is none, before anything was told.
 */
export function tellGrowth(
  vocabulary: Vocabulary,
  known: Known | undefined,
  reading: Reading,
  whole: boolean,
  sink: GrowthSink,
): void {
  for (const series of vocabulary.callSeries) checkHistogram(series, reading.values);
  if (known === undefined && !whole) return;
  const same = known !== undefined && Math.abs((known.startTime ?? 0) - (reading.startTime ?? 0)) <= startSlack;
  const before = same ? known.values : nothing;
  for (const { index, measure } of vocabulary.counters) {
    const now = reading.values[index] ?? Number.NaN;
    const then = before[index] ?? Number.NaN;
    const by = now >= then ? now - then : now;
    if (by > 0 && Number.isFinite(by)) sink.counter(measure, by);
  }
  for (const series of vocabulary.callSeries) tellCalls(series, before, reading.values, sink);
}

const nothing = new Float64Array(0);

/** The calls of one reading; as long as the longest layout. */
let scratch = new Float64Array(64);

function tellCalls(series: CallSeries, before: Float64Array, values: Float64Array, sink: GrowthSink): void {
  const count = values[series.count] ?? Number.NaN;
  const countBefore = before[series.count] ?? Number.NaN;
  if (Number.isNaN(count) || count === 0 || count === countBefore) return;
  const sum = values[series.sum] ?? 0;
  const sumBefore = before[series.sum] ?? 0;
  const { bounds, indexes } = presentBuckets(series, values);
  if (scratch.length < bounds.length + 1) scratch = new Float64Array(bounds.length + 1);
  const began = count < countBefore || !fill(series.all, indexes, before, values);
  if (began) fill(series.all, indexes, nothing, values);
  const grew = began || Number.isNaN(sumBefore) ? sum : sum - sumBefore;
  sink.calls(series, bounds, scratch.subarray(0, bounds.length + 1), grew);
}

/** Puts what each bucket grew by into `scratch`; false when one became less. */
function fill(all: number, indexes: readonly number[], before: Float64Array, values: Float64Array): boolean {
  let [lower, lowerBefore] = [0, 0];
  for (let at = 0; at <= indexes.length; at++) {
    const index = indexes[at] ?? all;
    const upTo = values[index] ?? 0;
    const upToBefore = before[index] || 0;
    const grew = upTo - lower - (upToBefore - lowerBefore);
    if (grew < 0) return false;
    scratch[at] = grew;
    [lower, lowerBefore] = [upTo, upToBefore];
  }
  return true;
}

/** An instance may have fewer buckets than others of its service. */
function presentBuckets({ bounds, indexes }: CallSeries, values: Float64Array) {
  let missing = false;
  for (const index of indexes) if (Number.isNaN(values[index] ?? Number.NaN)) missing = true;
  if (!missing) return { bounds, indexes };
  const there = (_: number, at: number) => !Number.isNaN(values[indexes[at] ?? -1] ?? Number.NaN);
  return { bounds: bounds.filter(there), indexes: indexes.filter(there) };
}

/** Buckets that count what lies below, up to all; https://prometheus.io/docs/concepts/metric_types/#histogram. */
function checkHistogram({ method, outcome, count, all, indexes }: CallSeries, values: Float64Array): void {
  const calls = values[count] ?? Number.NaN;
  const inAll = values[all] ?? Number.NaN;
  if (Number.isNaN(calls) && Number.isNaN(inAll)) return;
  const name = `the histogram of calls of ${method} that ended ${outcome}`;
  if (Number.isNaN(inAll)) throw new FormatError(0, `${name} has no bucket with le="+Inf"`);
  if (Number.isNaN(calls)) throw new FormatError(0, `${name} has no _count`);
  if (calls !== inAll) throw new FormatError(0, `${name} has ${inAll} in the bucket of all, and a _count of ${calls}`);
  let below = 0;
  for (const index of indexes) {
    const upTo = values[index] ?? Number.NaN;
    if (upTo < below) throw new FormatError(0, `${name} has a bucket that counts less than the one before`);
    if (upTo > calls) throw new FormatError(0, `${name} has a bucket that counts more than all`);
    if (!Number.isNaN(upTo)) below = upTo;
  }
}
