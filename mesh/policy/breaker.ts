/**
 * A circuit breaker. States and what moves between them:
 *
 *     CLOSED --counts reach a threshold--> OPEN --open time over--> HALF_OPEN --all probes well--> CLOSED
 *                                            ^------probes fail or never end-------|
 *     any --force--> FORCED_OPEN, any --disable--> DISABLED, any --reset--> CLOSED
 */
import { type BreakerState, closed, isFailure, isSlow, transition } from "./breaker-state.ts";
import { createWindow, type Window, type WindowSettings } from "./window.ts";

/** How a breaker decides. */
export interface BreakerSettings {
  /** False: starts DISABLED, admits everything, counts nothing. Default true. */
  readonly enabled: boolean;
  /** Opens after so many failures in a row, whatever the window says; 0 turns this off. Default 5. */
  readonly consecutiveFailures: number;
  /** Opens when this share of the window's calls failed, `>=`; in (0, 1]. Default 0.5. */
  readonly failureRate: number;
  /** Opens when this share of the window's calls was slow, `>=`; in (0, 1]. Default 1. */
  readonly slowRate: number;
  /** Milliseconds from which on a call is slow, `>=`. Default Infinity: none is, but those settled as slow. */
  readonly slowMs: number;
  /** Calls in the window below which no rate is computed. Default 20. */
  readonly minimumCalls: number;
  /** What is counted: the last so many calls, or those of the last so many milliseconds. Default the last 20 calls. */
  readonly window: WindowSettings;
  /** Calls that HALF_OPEN lets through, exactly. Default 3. */
  readonly probes: number;
  /** Milliseconds that the first OPEN lasts, before jitter. Default 5000. */
  readonly openMs: number;
  /** What the open time is multiplied with each time that the probes fail. Default 2. */
  readonly openGrowth: number;
  /** Milliseconds that no OPEN exceeds, before jitter. Default 60,000. */
  readonly maxOpenMs: number;
  /** The open time is spread over 1 - jitter to 1 + jitter of itself, so that clients do not probe in step. Default 0.2. */
  readonly openJitter: number;
  /** Milliseconds after which HALF_OPEN goes back to OPEN although probes have not ended. Default 60,000. */
  readonly probeTimeoutMs: number;
}

/** The default: opens at 5 failures in a row or at 50 % of 20 calls. */
export const defaultBreaker: BreakerSettings = {
  enabled: true,
  consecutiveFailures: 5,
  failureRate: 0.5,
  slowRate: 1,
  slowMs: Number.POSITIVE_INFINITY,
  minimumCalls: 20,
  window: { kind: "count", calls: 20 },
  probes: 3,
  openMs: 5_000,
  openGrowth: 2,
  maxOpenMs: 60_000,
  openJitter: 0.2,
  probeTimeoutMs: 60_000,
};

/** The names of the states, as shown to people. */
export type BreakerStateName = "CLOSED" | "OPEN" | "HALF_OPEN" | "FORCED_OPEN" | "DISABLED";

/** How a call that was admitted ended; `ignored` counts nowhere and gives a probe back. */
export type BreakerOutcome = "success" | "failure" | "slow" | "slow-failure" | "ignored";

/** Leave to make one call. Must be settled exactly once; later settlements do nothing. */
export interface Permit {
  readonly admitted: true;
  /** Whether this call is one of HALF_OPEN's probes. */
  readonly probe: boolean;
  /** Tells how the call ended. A success or failure that took `slowMs` or longer since admit() counts as slow by itself. */
  settle(outcome: BreakerOutcome, now: number): void;
}

/** No leave. `openUntil` is when to ask again, in milliseconds of admit()'s clock; Infinity when the breaker is forced open. */
export interface Refusal {
  readonly admitted: false;
  readonly state: BreakerStateName;
  readonly openUntil: number;
}

/** What a breaker shows of itself. Rates are shares from 0 to 1 of the `calls` in the window; 0 for none. */
export interface BreakerSnapshot {
  readonly state: BreakerStateName;
  readonly calls: number;
  readonly failureRate: number;
  readonly slowRate: number;
  /** Milliseconds of admit()'s clock; undefined unless the state is OPEN. */
  readonly openUntil: number | undefined;
}

/** One breaker: a state and its counts. Read and changed by the functions of this file alone. */
export interface Breaker {
  settings: BreakerSettings;
  state: BreakerState;
  /** Goes up at every change between states, so that calls admitted before it count nowhere. */
  generation: number;
  window: Window;
  failuresInARow: number;
  readonly random: () => number;
}

/** A breaker in CLOSED (DISABLED when not enabled). `random` gives numbers uniform in [0, 1) for the jitter. */
export function createBreaker(settings: BreakerSettings = defaultBreaker, random: () => number = Math.random): Breaker {
  const state: BreakerState = settings.enabled ? closed : { name: "DISABLED" };
  return { settings, state, generation: 0, window: createWindow(settings.window), failuresInARow: 0, random };
}

/** Asks to make a call at `now`; moves OPEN to HALF_OPEN when its time is over. */
export function admit(breaker: Breaker, now: number): Permit | Refusal {
  tick(breaker, now);
  const { state } = breaker;
  switch (state.name) {
    case "CLOSED":
    case "DISABLED":
      return new Admitted(breaker, now, false);
    case "HALF_OPEN":
      if (state.started >= breaker.settings.probes) return { admitted: false, state: state.name, openUntil: now };
      move(breaker, transition(state, { kind: "probe-started" }, breaker.settings));
      return new Admitted(breaker, now, true);
    case "OPEN":
      return { admitted: false, state: state.name, openUntil: state.openUntil };
    case "FORCED_OPEN":
      return { admitted: false, state: state.name, openUntil: Number.POSITIVE_INFINITY };
  }
}

/** Whether admit() would grant at `now`; changes nothing. */
export function admits(breaker: Breaker, now: number): boolean {
  const state = stateAt(breaker, now);
  switch (state.name) {
    case "CLOSED":
    case "DISABLED":
      return true;
    case "HALF_OPEN":
      return state.started < breaker.settings.probes;
    case "OPEN":
    case "FORCED_OPEN":
      return false;
  }
}

/** Back to CLOSED with nothing counted (DISABLED when the settings say so). Calls that are on their way count nowhere. */
export function resetBreaker(breaker: Breaker): void {
  const next = breaker.settings.enabled ? ({ kind: "reset" } as const) : ({ kind: "disable" } as const);
  enter(breaker, transition(breaker.state, next, breaker.settings));
}

/** FORCED_OPEN until reset. */
export function forceOpen(breaker: Breaker): void {
  enter(breaker, transition(breaker.state, { kind: "force" }, breaker.settings));
}

/** DISABLED until reset: admits everything, counts nothing. */
export function disableBreaker(breaker: Breaker): void {
  enter(breaker, transition(breaker.state, { kind: "disable" }, breaker.settings));
}

/** New settings: the state stays, but for `enabled`, which closes or disables; the counts stay unless the window changes. */
export function reconfigureBreaker(breaker: Breaker, settings: BreakerSettings): void {
  const before = breaker.settings;
  breaker.settings = settings;
  if (before.enabled !== settings.enabled) resetBreaker(breaker);
  else if (!sameWindow(before.window, settings.window)) clearCounts(breaker);
}

/** The breaker at `now`, for metrics and the admin API; changes nothing. */
export function viewBreaker(breaker: Breaker, now: number): BreakerSnapshot {
  const state = stateAt(breaker, now);
  const { calls, failures, slow } = breaker.window.totals(now);
  return {
    state: state.name,
    calls,
    failureRate: calls === 0 ? 0 : failures / calls,
    slowRate: calls === 0 ? 0 : slow / calls,
    openUntil: state.name === "OPEN" ? state.openUntil : undefined,
  };
}

class Admitted implements Permit {
  readonly admitted = true;
  readonly probe: boolean;
  readonly #breaker: Breaker;
  readonly #generation: number;
  readonly #at: number;
  #settled = false;

  constructor(breaker: Breaker, now: number, probe: boolean) {
    this.probe = probe;
    this.#breaker = breaker;
    this.#generation = breaker.generation;
    this.#at = now;
  }

  settle(outcome: BreakerOutcome, now: number): void {
    if (this.#settled) return;
    this.#settled = true;
    if (this.#generation !== this.#breaker.generation) return;
    const took = now - this.#at >= this.#breaker.settings.slowMs;
    record(this.#breaker, took ? slowed[outcome] : outcome, now);
  }
}

const slowed: Readonly<Record<BreakerOutcome, BreakerOutcome>> = {
  success: "slow",
  failure: "slow-failure",
  slow: "slow",
  "slow-failure": "slow-failure",
  ignored: "ignored",
};

/** Counts, then asks for a transition: the one place where an outcome enters. */
function record(breaker: Breaker, outcome: BreakerOutcome, now: number): void {
  const { state, settings } = breaker;
  if (state.name === "HALF_OPEN") {
    move(breaker, transition(state, { kind: "probe-ended", outcome, now, random: breaker.random() }, settings));
  } else if (state.name === "CLOSED" && outcome !== "ignored") {
    const failed = isFailure(outcome);
    breaker.failuresInARow = failed ? breaker.failuresInARow + 1 : 0;
    breaker.window.add(failed, isSlow(outcome), now);
    if (!reached(breaker, now)) return;
    move(breaker, transition(state, { kind: "trip", now, random: breaker.random() }, settings));
  }
}

function reached(breaker: Breaker, now: number): boolean {
  const { settings, failuresInARow } = breaker;
  if (settings.consecutiveFailures > 0 && failuresInARow >= settings.consecutiveFailures) return true;
  const { calls, failures, slow } = breaker.window.totals(now);
  // A minimum above what the window holds could never be met.
  const minimum =
    settings.window.kind === "count" ? Math.min(settings.minimumCalls, settings.window.calls) : settings.minimumCalls;
  if (calls === 0 || calls < minimum) return false;
  return failures / calls >= settings.failureRate || slow / calls >= settings.slowRate;
}

function tick(breaker: Breaker, now: number): void {
  const { name } = breaker.state;
  if (name !== "OPEN" && name !== "HALF_OPEN") return;
  move(breaker, transition(breaker.state, { kind: "tick", now, random: breaker.random() }, breaker.settings));
}

/** The state that a tick at `now` would give; without jitter, since nobody is to rely on it. */
function stateAt(breaker: Breaker, now: number): BreakerState {
  return transition(breaker.state, { kind: "tick", now, random: 0.5 }, breaker.settings);
}

function move(breaker: Breaker, next: BreakerState): void {
  if (next.name === breaker.state.name) breaker.state = next;
  else enter(breaker, next);
}

function enter(breaker: Breaker, next: BreakerState): void {
  breaker.state = next;
  breaker.generation++;
  // The counts that opened a breaker stay to be seen until it closes.
  if (next.name === "CLOSED" || next.name === "DISABLED") clearCounts(breaker);
}

function sameWindow(one: WindowSettings, other: WindowSettings): boolean {
  if (one.kind === "count") return other.kind === "count" && one.calls === other.calls;
  return other.kind === "time" && one.ms === other.ms;
}

function clearCounts(breaker: Breaker): void {
  breaker.failuresInARow = 0;
  breaker.window = createWindow(breaker.settings.window);
}
