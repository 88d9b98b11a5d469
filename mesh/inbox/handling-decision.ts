/** What the inbox does after an attempt to handle an event. Pure: the random number comes in as a value. */
import { Code, type ConnectError } from "@connectrpc/connect";

/** What becomes of an event after an attempt that failed. */
export type Fate =
  /** It is tried again, and those behind it wait. */
  | { readonly kind: "later"; readonly waitMs: number }
  /** It is put aside; those behind it go on. */
  | { readonly kind: "park" };

/** An attempt that failed. */
export interface Failure {
  readonly code: ConnectError["code"];
  /** How many attempts failed, this one included. */
  readonly attempts: number;
  /** Uniform in [0, 1). */
  readonly random: number;
}

/** Milliseconds before the second attempt, and at most between two, before jitter of +-20 %. */
export const backoff = { initialMs: 50, maxMs: 5000 } as const;

/** Attempts at an event that fails for no reason that would pass by itself: a defect, which a repeat may be lucky with. */
export const defectAttempts = 5;

/**
 * | code | fate |
 * |---|---|
 * | INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION, OUT_OF_RANGE, DATA_LOSS | parked at once: the same again would be refused again |
 * | UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED, CANCELLED, RESOURCE_EXHAUSTED | later, for as long as it takes |
 * | all others | later, parked after 5 attempts |
 */
export function afterFailure({ code, attempts, random }: Failure): Fate {
  if (refusals.has(code)) return { kind: "park" };
  if (!passing.has(code) && attempts >= defectAttempts) return { kind: "park" };
  return { kind: "later", waitMs: waitAfter(attempts, random) };
}

/** Milliseconds to wait after that many failures in a row. */
export function waitAfter(failures: number, random: number): number {
  return Math.min(backoff.initialMs * 2 ** Math.min(failures - 1, 30), backoff.maxMs) * (0.8 + 0.4 * random);
}

const refusals: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.NotFound,
  Code.AlreadyExists,
  Code.FailedPrecondition,
  Code.OutOfRange,
  Code.DataLoss,
]);

const passing: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Aborted,
  Code.Canceled,
  Code.ResourceExhausted,
]);
