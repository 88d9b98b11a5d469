/**
 * What a watcher decides between two blocking queries, apart from any I/O. The rules are those of Consul's "Blocking
 * Queries" page (https://developer.hashicorp.com/consul/api-docs/features/blocking).
 */

/** Milliseconds that an index-less query, which answers at once, may take; the same as for plain calls. */
export const plainTimeoutMs = 10_000;

/** Milliseconds on top of a blocking query's longest time, for the way there and back. */
const graceMs = 1000;

/** The longest pause between two tries, in milliseconds: a registry that comes back is found within this time. */
const maxBackoffMs = 4000;

/**
 * The index to wait on next, after an answer with `header` as its X-Consul-Index to a query with index `previous`. An index
 * that is missing, no number, below 1 or going backwards (the servers were restored, or it is another agent) means 0: ask
 * without waiting, and learn the index anew.
 */
export function nextIndex(previous: number, header: string | undefined): number {
  const index = header !== undefined && /^\d+$/.test(header) ? Number(header) : 0;
  return index < 1 || index < previous ? 0 : index;
}

/**
 * How long to wait for an answer in milliseconds. Consul adds up to a sixteenth of `waitMs` to what was asked for, so a
 * client that gives up earlier would never see an answer in a quiet time.
 */
export function queryTimeoutMs(index: number, waitMs: number): number {
  return index === 0 ? plainTimeoutMs : waitMs + waitMs / 16 + graceMs;
}

/**
 * The pause after the `failures`th failure in a row (from 1), in milliseconds: 100 ms doubling up to 4 s, of which `random`
 * (0 to 1) takes away up to a half, so that many processes do not return in step.
 */
export function backoffMs(failures: number, random: number): number {
  const whole = Math.min(maxBackoffMs, 100 * 2 ** (Math.min(failures, 20) - 1));
  return whole * (1 - random / 2);
}

/** A token bucket for queries: bursts of changes pass at once, a registry that never blocks is not hammered. */
export interface QueryRate {
  readonly tokens: number;
  /** When `tokens` was right, in milliseconds. */
  readonly at: number;
}

/** Queries that may follow each other without a pause: a rolling restart changes a service several times in a second. */
const burst = 20;
/** Milliseconds in which one query is earned back. */
const earnMs = 250;

/** The bucket of a new watcher at time `now`. */
export function fullRate(now: number): QueryRate {
  return { tokens: burst, at: now };
}

/** Takes one query from the bucket at time `now`, and says how many milliseconds to wait before making it. */
export function takeQuery(rate: QueryRate, now: number): { readonly rate: QueryRate; readonly delayMs: number } {
  const tokens = Math.min(burst, rate.tokens + Math.max(0, now - rate.at) / earnMs) - 1;
  return { rate: { tokens, at: now }, delayMs: tokens >= 0 ? 0 : -tokens * earnMs };
}
