/** May a call be tried again, and after how long (gRFC A6). Pure: the random number and every limit come in as values. */
import type { Outcome } from "./classify.ts";

/** A retryPolicy of the service config, checked. */
export interface RetryPolicy {
  /** Attempts in all, the first included: 2 to 5 (a config that says more means 5). */
  readonly maxAttempts: number;
  /** Milliseconds before the first retry, before jitter. */
  readonly initialBackoffMs: number;
  /** Milliseconds that no backoff exceeds, before jitter. */
  readonly maxBackoffMs: number;
  /** What each backoff is multiplied with to give the next; above 0. */
  readonly backoffMultiplier: number;
  /** gRPC status codes, by number, that may be retried. Never empty, never OK. */
  readonly retryableCodes: ReadonlySet<number>;
  /** Milliseconds that one attempt may take until its first response; undefined for no limit but the deadline. */
  readonly perAttemptTimeoutMs: number | undefined;
}

/**
 * What methods without a retryPolicy get when their `idempotency_level` is NO_SIDE_EFFECTS or IDEMPOTENT: three attempts 50 and
 * 100 ms apart, on UNAVAILABLE alone, since that is the code of a server that is starting, stopping or gone.
 */
export const idempotentRetryPolicy: RetryPolicy = {
  maxAttempts: 3,
  initialBackoffMs: 50,
  maxBackoffMs: 1000,
  backoffMultiplier: 2,
  retryableCodes: new Set([14]),
  perAttemptTimeoutMs: undefined,
};

/** The policy that holds for a method: the configured one, else the idempotent default, else none. */
export function retryPolicyOf(configured: RetryPolicy | undefined, idempotent: boolean): RetryPolicy | undefined {
  return configured ?? (idempotent ? idempotentRetryPolicy : undefined);
}

/** How far a call's retrying has come. Start with `firstAttempt`; each decision to retry carries the next state. */
export interface RetryState {
  /** Attempts that count, the one that is running or has just ended included. */
  readonly attempts: number;
  /** Backoffs since the start or since the last pushback; the next one is number `backoffs + 1`. */
  readonly backoffs: number;
  /** Whether the one free retry after REFUSED_STREAM or GOAWAY was used. */
  readonly freeUsed: boolean;
}

/** The state while the first attempt runs. */
export const firstAttempt: RetryState = { attempts: 1, backoffs: 0, freeUsed: false };

/** `grpc-retry-pushback-ms` of an attempt's trailers: absent, an exact delay in milliseconds, or "do not retry". */
export type Pushback = { readonly kind: "none" } | { readonly kind: "delay"; readonly ms: number } | { readonly kind: "stop" };

/** Everything that the decision depends on. */
export interface RetryQuestion {
  readonly policy: RetryPolicy | undefined;
  readonly state: RetryState;
  /** The row of the table for the attempt that ended; see classify. */
  readonly outcome: Outcome;
  /** gRPC status code of the attempt that ended; UNAVAILABLE (14) when no status came from a server. */
  readonly code: number;
  readonly pushback: Pushback;
  /**
   * True when nothing may be sent again: response headers were passed on, the replay buffer overflowed, or the request is
   * a stream that cannot be repeated. A request that never left the client may be sent for all that.
   */
  readonly committed: boolean;
  /** Whether the retry throttle allows it, asked after this attempt's own failure was counted (RetryThrottle.allows). */
  readonly throttleAllows: boolean;
  /** Whether the overall budget has a retry left (RetryBudget.allows); take it only when the answer is yes. */
  readonly budgetAllows: boolean;
  /** Milliseconds until the call's deadline; Infinity for none. */
  readonly remainingMs: number;
  /** Uniform in [0, 1). */
  readonly random: number;
  /** Whether an endpoint exists that this call has not tried yet; asked after connect failures alone. Default false. */
  readonly untried?: boolean;
  /** The method's waitForReady: connect failures are then repeated until the deadline. Default false. */
  readonly waitForReady?: boolean;
}

/** Why there is no further attempt, for the decision trail in the log. */
export type StopReason =
  | "not-retryable"
  | "no-policy"
  | "committed"
  | "attempts-exhausted"
  | "pushback"
  | "throttled"
  | "budget"
  | "deadline";

/**
 * The answer. `counts` is false for transparent retries and connect failures: they take nothing from the budget, send no higher
 * `grpc-previous-rpc-attempts`, and do not approach maxAttempts. `otherEndpoint` asks for one not yet tried.
 */
export type RetryDecision =
  | {
      readonly retry: true;
      readonly delayMs: number;
      readonly counts: boolean;
      readonly otherEndpoint: boolean;
      readonly state: RetryState;
    }
  | { readonly retry: false; readonly reason: StopReason };

/** Decides over one ended attempt. */
export function decideRetry(q: RetryQuestion): RetryDecision {
  const { outcome, state } = q;
  switch (outcome.retry) {
    case "never":
      return stop("not-retryable");
    case "free":
      return again(q, 0, false, state);
    case "free-once":
      // The second refusal goes on as a plain UNAVAILABLE under the policy, as A6 asks.
      if (!state.freeUsed && !q.committed) return again(q, 0, false, { ...state, freeUsed: true });
      return byPolicy(q);
    case "next-endpoint":
      return afterConnectFailure(q);
    case "if-told":
      return q.pushback.kind === "delay" ? byPolicy(q, true) : stop(q.pushback.kind === "stop" ? "pushback" : "not-retryable");
    case "listed":
      return byPolicy(q);
    case "policy":
      return byPolicy(q, true);
  }
}

/** Reads `grpc-retry-pushback-ms`: a whole number of milliseconds is a delay; negative or unparseable means stop (A6). */
export function parsePushback(header: string | null | undefined): Pushback {
  if (header === null || header === undefined) return { kind: "none" };
  if (!/^\d{1,10}$/.test(header)) return { kind: "stop" };
  return { kind: "delay", ms: Number(header) };
}

/** Milliseconds of backoff number `n` (from 1): min(initial * multiplier^(n-1), max) x uniform(0.8, 1.2); `random` in [0, 1). */
export function backoffMs(policy: BackoffPolicy, n: number, random: number): number {
  const base = Math.min(policy.initialBackoffMs * policy.backoffMultiplier ** (n - 1), policy.maxBackoffMs);
  return base * (0.8 + 0.4 * random);
}

/** The part of a RetryPolicy that sets the delays. */
export type BackoffPolicy = Pick<RetryPolicy, "initialBackoffMs" | "maxBackoffMs" | "backoffMultiplier">;

function stop(reason: StopReason): RetryDecision {
  return { retry: false, reason };
}

function again(q: RetryQuestion, delayMs: number, counts: boolean, state: RetryState, otherEndpoint = false): RetryDecision {
  if (q.remainingMs <= delayMs) return stop("deadline");
  return { retry: true, delayMs, counts, otherEndpoint, state };
}

/**
 * Nothing was sent, so another endpoint costs no attempt and no wait. When all were tried it is UNAVAILABLE like any other,
 * unless the method waits for a ready endpoint: then with a growing delay, or a dead service would be dialled in a busy loop.
 */
function afterConnectFailure(q: RetryQuestion): RetryDecision {
  if (q.untried === true) return again(q, 0, false, q.state, true);
  if (q.waitForReady !== true) return byPolicy(q);
  const backoffs = q.state.backoffs + 1;
  return again(q, backoffMs(q.policy ?? idempotentRetryPolicy, backoffs, q.random), false, { ...q.state, backoffs }, true);
}

/** gRFC A6, in its order. `anyCode` is for outcomes that the table lets through whatever the policy lists. */
function byPolicy(q: RetryQuestion, anyCode = false): RetryDecision {
  const { policy, state, pushback } = q;
  if (policy === undefined) return stop("no-policy");
  if (!anyCode && !policy.retryableCodes.has(q.code)) return stop("not-retryable");
  if (q.committed) return stop("committed");
  if (pushback.kind === "stop") return stop("pushback");
  if (state.attempts >= policy.maxAttempts) return stop("attempts-exhausted");
  if (!q.throttleAllows) return stop("throttled");
  if (!q.budgetAllows) return stop("budget");
  const attempts = state.attempts + 1;
  // After a pushback the backoff starts anew (A6).
  if (pushback.kind === "delay") return again(q, pushback.ms, true, { ...state, attempts, backoffs: 0 }, anyCode);
  const backoffs = state.backoffs + 1;
  return again(q, backoffMs(policy, backoffs, q.random), true, { ...state, attempts, backoffs }, anyCode);
}
