/** The environment that the metrics service reads, beside what every process does. */
import { duration, integer, list } from "#mesh/config.ts";

/** By the names that the code uses. */
export const settings = {
  /** How often each instance is asked, and how long a window is; it divides a minute. */
  intervalMs: duration("METRICS_INTERVAL", "10s"),
  /** How long an instance may take to answer; less than the interval. */
  timeoutMs: duration("METRICS_TIMEOUT", "3s"),
  /** Instances at most; those beyond are named in the summary as left out. */
  maxInstances: integer("METRICS_MAX_INSTANCES", 1, 5000, 500),
  /** Bytes of one answer at most, in KiB. */
  maxKib: integer("METRICS_MAX_KIB", 16, 65_536, 4096),
  /** Samples of one answer at most. */
  maxSamples: integer("METRICS_MAX_SAMPLES", 100, 1_000_000, 20_000),
  /** How long windows are kept as collected. */
  collectedMs: duration("METRICS_KEEP_COLLECTED", "6h"),
  /** How long windows of a minute are kept. */
  minutesMs: duration("METRICS_KEEP_MINUTES", "7d"),
  /** How long windows of an hour are kept. */
  hoursMs: duration("METRICS_KEEP_HOURS", "400d"),
  /** Rows that wait for the database at most, some 1 KB each; each method that was called makes one in a window. */
  maxPendingRows: integer("METRICS_MAX_PENDING", 100, 10_000_000, 50_000),
  /** Admin listeners that no registry knows, as `gateway=127.0.0.1:9080`. */
  targets: list("METRICS_TARGETS"),
};

/** @throws Error when the interval does not divide a minute, or an answer may take longer than it. */
export function checkTiming({ intervalMs, timeoutMs }: { readonly intervalMs: number; readonly timeoutMs: number }): void {
  const whole = Number.isInteger(intervalMs / 100) && intervalMs > 0 && 60_000 % intervalMs === 0;
  if (!whole) throw new Error(`METRICS_INTERVAL: expected a part of a minute, such as 10s, got ${intervalMs} ms`);
  if (timeoutMs > 0.9 * intervalMs) {
    throw new Error(`METRICS_TIMEOUT: expected at most nine tenths of the interval, got ${timeoutMs} ms`);
  }
}
