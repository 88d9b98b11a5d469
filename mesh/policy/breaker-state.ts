/** The states of a circuit breaker and the one function that moves between them. It counts nothing but probes. */
import type { BreakerOutcome, BreakerSettings } from "./breaker.ts";

/** A breaker's state. `round` is how often it opened since it was last closed, from 1; times are milliseconds. */
export type BreakerState =
  | { readonly name: "CLOSED" }
  | { readonly name: "OPEN"; readonly round: number; readonly openUntil: number }
  | {
      readonly name: "HALF_OPEN";
      readonly round: number;
      readonly since: number;
      /** Probes that were let through, and of those: ended, failed, slow. */
      readonly started: number;
      readonly ended: number;
      readonly failures: number;
      readonly slow: number;
    }
  | { readonly name: "FORCED_OPEN" }
  | { readonly name: "DISABLED" };

/** What can happen to a breaker. `random` is uniform in [0, 1). */
export type BreakerEvent =
  /** The counts have reached a threshold. */
  | { readonly kind: "trip"; readonly now: number; readonly random: number }
  /** Time has passed. */
  | { readonly kind: "tick"; readonly now: number; readonly random: number }
  | { readonly kind: "probe-started" }
  | { readonly kind: "probe-ended"; readonly outcome: BreakerOutcome; readonly now: number; readonly random: number }
  | { readonly kind: "reset" | "force" | "disable" };

/** The state of a new or reset breaker. */
export const closed: BreakerState = { name: "CLOSED" };

/** The next state; the same object when the event changes nothing. */
export function transition(state: BreakerState, event: BreakerEvent, settings: BreakerSettings): BreakerState {
  if (event.kind === "reset") return closed;
  if (event.kind === "force") return { name: "FORCED_OPEN" };
  if (event.kind === "disable") return { name: "DISABLED" };
  switch (state.name) {
    case "CLOSED":
      return event.kind === "trip" ? open(1, event, settings) : state;
    case "OPEN":
      if (event.kind !== "tick" || event.now < state.openUntil) return state;
      return { name: "HALF_OPEN", round: state.round, since: event.now, started: 0, ended: 0, failures: 0, slow: 0 };
    case "HALF_OPEN":
      return fromHalfOpen(state, event, settings);
    case "FORCED_OPEN":
    case "DISABLED":
      return state;
  }
}

type HalfOpen = Extract<BreakerState, { name: "HALF_OPEN" }>;
type Timed = { readonly now: number; readonly random: number };

function fromHalfOpen(state: HalfOpen, event: BreakerEvent, settings: BreakerSettings): BreakerState {
  switch (event.kind) {
    case "tick":
      // A probe that never ends would hold the breaker for good.
      return event.now >= state.since + settings.probeTimeoutMs ? open(state.round + 1, event, settings) : state;
    case "probe-started":
      return { ...state, started: state.started + 1 };
    case "probe-ended":
      return event.outcome === "ignored" ? { ...state, started: state.started - 1 } : judge(state, event, settings);
    default:
      return state;
  }
}

/** Opens as soon as the probes cannot go well any more, closes when all have ended. */
function judge(state: HalfOpen, event: Timed & { readonly outcome: BreakerOutcome }, settings: BreakerSettings): BreakerState {
  const ended = state.ended + 1;
  const failures = state.failures + (isFailure(event.outcome) ? 1 : 0);
  const slow = state.slow + (isSlow(event.outcome) ? 1 : 0);
  const bad = failures / settings.probes >= settings.failureRate || slow / settings.probes >= settings.slowRate;
  if (bad) return open(state.round + 1, event, settings);
  return ended >= settings.probes ? closed : { ...state, ended, failures, slow };
}

/** Whether an outcome counts as a failure. */
export function isFailure(outcome: BreakerOutcome): boolean {
  return outcome === "failure" || outcome === "slow-failure";
}

/** Whether an outcome counts as slow. */
export function isSlow(outcome: BreakerOutcome): boolean {
  return outcome === "slow" || outcome === "slow-failure";
}

function open(round: number, { now, random }: Timed, settings: BreakerSettings): BreakerState {
  const base = Math.min(settings.openMs * settings.openGrowth ** (round - 1), settings.maxOpenMs);
  const jitter = 1 + settings.openJitter * (2 * random - 1);
  return { name: "OPEN", round, openUntil: now + base * jitter };
}
