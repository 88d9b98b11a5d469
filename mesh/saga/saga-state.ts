/**
 * A saga's state machine. Pure: what happened, the clock and the random number come in as values.
 *
 *     RUNNING --ok, more steps--> RUNNING --ok, last step--> DONE
 *        |--failed, attempts left--> RUNNING, later
 *        `--refused, or no attempts left--> COMPENSATING, or COMPENSATED when nothing is to be undone
 *     COMPENSATING --ok, more to undo--> COMPENSATING --ok, all undone--> COMPENSATED
 *        `--failed or refused--> COMPENSATING, later; STUCK from maxAttempts on
 *     STUCK --ok--> as COMPENSATING;  --failed or refused--> STUCK, later;  --a person's retry--> COMPENSATING, now
 */
import { Code } from "@connectrpc/connect";

/** Where a saga is. STUCK is a compensation that fails and fails: it is still tried, but a person should look. */
export type SagaStatus = "RUNNING" | "COMPENSATING" | "STUCK" | "DONE" | "COMPENSATED";

/** Every status, in the order of a saga's life. */
export const sagaStatuses: readonly SagaStatus[] = ["RUNNING", "COMPENSATING", "STUCK", "DONE", "COMPENSATED"];

/** What the machine knows of a step. */
export interface StepShape {
  readonly name: string;
  /** Whether there is something to undo it with. */
  readonly compensable: boolean;
  /** Attempts that may fail before the saga turns back, or, of a compensation, before it counts as stuck. */
  readonly maxAttempts: number;
}

/** How far a saga has come. */
export interface Progress {
  readonly status: SagaStatus;
  /** The step that runs or is compensated next; of an ended saga the last one. */
  readonly step: string;
  /** The steps that may have had an effect and were not compensated, in the order in which they ran. */
  readonly effects: readonly string[];
  /** Attempts at the present step that began; a process that died leaves one that never ended. */
  readonly attempts: number;
  /** Attempts at the present step that failed. */
  readonly failures: number;
  /** Why it is compensated; undefined while RUNNING and when DONE. */
  readonly failure: SagaFailure | undefined;
  /** Milliseconds since the epoch; undefined when it has ended. */
  readonly nextAttemptTime: number | undefined;
}

/** An error of a step, as it is kept. */
export interface SagaFailure {
  /** gRPC's status code. */
  readonly code: number;
  readonly message: string;
  /** The reason of its ErrorInfo, in UPPER_SNAKE_CASE; "" when it had none. */
  readonly reason: string;
}

/** How an attempt ended. `failed` may go better next time; `refused` will not. */
export type AttemptOutcome =
  | { readonly kind: "ok" }
  | ({ readonly kind: "failed"; readonly retryAfterMs: number | undefined } & SagaFailure)
  | ({ readonly kind: "refused" } & SagaFailure);

/** When it is, and the dice: uniform in [0, 1). */
export interface Moment {
  readonly now: number;
  readonly random: number;
}

/** Milliseconds after the first failure, and at most, before jitter of +-20 %. */
export const sagaBackoff = { initialMs: 200, maxMs: 30_000 } as const;

/** A new saga of these steps, due now. @throws RangeError when there are none. */
export function begun(steps: readonly StepShape[], now: number): Progress {
  const [first] = steps;
  if (first === undefined) throw new RangeError("a saga has at least one step");
  return { status: "RUNNING", ...fresh(first.name, now), effects: [], failure: undefined };
}

/** The progress when an attempt begins; it must be on record before the attempt has an effect. */
export function attemptBegun(progress: Progress): Progress {
  return { ...progress, attempts: progress.attempts + 1 };
}

/** The progress after an attempt ended. @throws RangeError when the saga has ended or its step is not among `steps`. */
export function attemptEnded(steps: readonly StepShape[], progress: Progress, outcome: AttemptOutcome, at: Moment): Progress {
  const index = steps.findIndex(({ name }) => name === progress.step);
  const step = steps[index];
  if (step === undefined) throw new RangeError(`the saga has no step ${JSON.stringify(progress.step)}`);
  if (isEnded(progress)) throw new RangeError(`the saga has ended: ${progress.status}`);
  return progress.status === "RUNNING"
    ? afterRun(steps, index, step, progress, outcome, at)
    : afterCompensation(steps, step, progress, outcome, at);
}

/** The progress after a person asked for another attempt now; undefined when the saga has ended. */
export function retried(progress: Progress, now: number): Progress | undefined {
  if (isEnded(progress)) return undefined;
  if (progress.status !== "STUCK") return { ...progress, nextAttemptTime: now };
  return { ...progress, status: "COMPENSATING", failures: 0, nextAttemptTime: now };
}

/** True when nothing more will happen. */
export function isEnded({ status }: Pick<Progress, "status">): boolean {
  return status === "DONE" || status === "COMPENSATED";
}

/** True for the codes that may go better next time: where a step's error has another, the saga turns back at once. */
export function isTransient(code: number): boolean {
  return transientCodes.has(code);
}

function afterRun(
  steps: readonly StepShape[],
  index: number,
  step: StepShape,
  progress: Progress,
  outcome: AttemptOutcome,
  at: Moment,
): Progress {
  if (outcome.kind === "ok") {
    const effects = [...progress.effects, step.name];
    const next = steps[index + 1];
    if (next === undefined) return { ...progress, status: "DONE", effects, nextAttemptTime: undefined };
    return { ...progress, ...fresh(next.name, at.now), effects };
  }
  const failures = progress.failures + 1;
  if (outcome.kind === "failed" && failures < step.maxAttempts) return later(progress, failures, outcome.retryAfterMs, at);
  // A refusal of the first attempt says that there was no effect. Any other end leaves that open: the answer of an attempt that failed,
  // or whose process died, may have been lost.
  const certain = outcome.kind === "refused" && progress.attempts <= 1;
  const effects = certain ? progress.effects : [...progress.effects, step.name];
  const { code, message, reason } = outcome;
  const failure = { code, message, reason };
  return undoing(steps, { ...progress, effects, failure }, at.now);
}

function afterCompensation(
  steps: readonly StepShape[],
  step: StepShape,
  progress: Progress,
  outcome: AttemptOutcome,
  at: Moment,
): Progress {
  if (outcome.kind === "ok") return undoing(steps, { ...progress, effects: progress.effects.slice(0, -1) }, at.now);
  const failures = progress.failures + 1;
  const status = failures >= step.maxAttempts ? "STUCK" : progress.status;
  return later({ ...progress, status }, failures, outcome.kind === "failed" ? outcome.retryAfterMs : undefined, at);
}

/** On to the last effect that can be undone; those that cannot are passed over. */
function undoing(steps: readonly StepShape[], progress: Progress, now: number): Progress {
  const compensable = new Set(steps.filter((step) => step.compensable).map(({ name }) => name));
  const last = progress.effects.findLastIndex((name) => compensable.has(name));
  const effects = progress.effects.slice(0, last + 1);
  const step = effects.at(-1);
  if (step === undefined) return { ...progress, status: "COMPENSATED", effects, nextAttemptTime: undefined };
  return { ...progress, status: "COMPENSATING", effects, ...fresh(step, now) };
}

function fresh(step: string, now: number) {
  return { step, attempts: 0, failures: 0, nextAttemptTime: now };
}

function later(progress: Progress, failures: number, retryAfterMs: number | undefined, { now, random }: Moment): Progress {
  const waitMs = Math.min(sagaBackoff.initialMs * 2 ** Math.min(failures - 1, 30), sagaBackoff.maxMs) * (0.8 + 0.4 * random);
  return { ...progress, failures, nextAttemptTime: now + Math.ceil(Math.max(waitMs, retryAfterMs ?? 0)) };
}

const transientCodes: ReadonlySet<number> = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Aborted,
  Code.ResourceExhausted,
  Code.Unknown,
  Code.Internal,
]);
