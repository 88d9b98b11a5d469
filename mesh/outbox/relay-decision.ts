/** What the relay does after an attempt to publish. Pure: the clock and the random number come in as values. */
import { Code, type ConnectError } from "@connectrpc/connect";

/** What becomes of an event after an attempt that failed. */
export type Fate =
  | {
      /** It stays the first of its key, and its key waits with it. */
      readonly kind: "later";
      /** Milliseconds since the epoch. */
      readonly nextAttemptTime: number;
      /** True when it says something of the receiver as a whole, not of this event. */
      readonly receiverAway: boolean;
    }
  /** It is put aside; its key goes on. */
  | { readonly kind: "park" };

/** An attempt that failed. */
export interface Failure {
  readonly code: ConnectError["code"];
  /** How many attempts failed, this one included. */
  readonly attempts: number;
  /** Milliseconds that the receiver asks us to wait (RetryInfo), if it does. */
  readonly retryAfterMs: number | undefined;
  readonly now: number;
  /** Uniform in [0, 1). */
  readonly random: number;
}

/** Milliseconds before the second attempt, and at most between two, before jitter of +-20 %. */
export const backoff = { initialMs: 200, maxMs: 5000 } as const;

/** Attempts at an event whose refusal points at the deployment rather than at the event; some ten minutes. */
export const deploymentAttempts = 120;

/**
 * | code | fate |
 * |---|---|
 * | INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION, OUT_OF_RANGE, DATA_LOSS | parked at once: the same again would be refused again |
 * | PERMISSION_DENIED, UNAUTHENTICATED, UNIMPLEMENTED | later, parked after 120 attempts: a mistake in the deployment, which a person may be mending |
 * | all others | later, for as long as it takes |
 */
export function afterFailure({ code, attempts, retryAfterMs, now, random }: Failure): Fate {
  if (refusals.has(code)) return { kind: "park" };
  if (deploymentCodes.has(code) && attempts >= deploymentAttempts) return { kind: "park" };
  const waitMs = Math.min(backoff.initialMs * 2 ** Math.min(attempts - 1, 30), backoff.maxMs) * (0.8 + 0.4 * random);
  return {
    kind: "later",
    nextAttemptTime: now + Math.ceil(Math.max(waitMs, retryAfterMs ?? 0)),
    receiverAway: awayCodes.has(code),
  };
}

/**
 * How many keys may be published at once: all that there is room for while the receiver answers, one at a time to probe it after three
 * failures in a row that say that it is away, and none in the pause before that probe.
 */
export interface Gate {
  readonly failuresInRow: number;
  /** Milliseconds since the epoch. */
  readonly closedUntil: number;
}

/** The gate at the start. */
export const openGate: Gate = { failuresInRow: 0, closedUntil: 0 };

const gateAfter = 3;

/** The gate after an attempt: any answer of the receiver opens it, a refusal too. */
export function gateAfterAttempt(gate: Gate, receiverAway: boolean, now: number): Gate {
  if (!receiverAway) return openGate;
  const failuresInRow = gate.failuresInRow + 1;
  const pauses = failuresInRow - gateAfter;
  if (pauses < 0) return { failuresInRow, closedUntil: 0 };
  return { failuresInRow, closedUntil: now + Math.min(backoff.initialMs * 2 ** Math.min(pauses, 30), backoff.maxMs) };
}

/** How many more keys may begin now, when `running` are under way and at most `concurrency` may be. */
export function roomFor(gate: Gate, running: number, concurrency: number, now: number): number {
  if (gate.failuresInRow < gateAfter) return Math.max(0, concurrency - running);
  return now < gate.closedUntil || running > 0 ? 0 : 1;
}

const refusals: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.NotFound,
  Code.AlreadyExists,
  Code.FailedPrecondition,
  Code.OutOfRange,
  Code.DataLoss,
]);

const deploymentCodes: ReadonlySet<Code> = new Set([Code.PermissionDenied, Code.Unauthenticated, Code.Unimplemented]);

const awayCodes: ReadonlySet<Code> = new Set([Code.Unavailable, Code.DeadlineExceeded, Code.ResourceExhausted]);
