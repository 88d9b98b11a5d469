/**
 * The states of one supervised process.
 *
 *     waiting --spawned--> starting --answered ok--> ready <--answered--> unready
 *                             |                        |                     |
 *                             +--------- exited -------+---------------------+--> backoff --spawned--> starting
 *     any that runs --stop--> stopping --exited--> stopped;   waiting, backoff --stop--> stopped
 */
export type InstanceState =
  | { readonly kind: "waiting" }
  | { readonly kind: "starting"; readonly pid: number; readonly startedAt: number }
  | { readonly kind: "ready"; readonly pid: number; readonly startedAt: number; readonly readyAt: number }
  | { readonly kind: "unready"; readonly pid: number; readonly startedAt: number; readonly readyAt: number; readonly why: string }
  | { readonly kind: "backoff"; readonly until: number; readonly why: string }
  | { readonly kind: "stopping"; readonly pid: number }
  | { readonly kind: "stopped" };

/** A process's state and what its past means for its future. */
export interface InstanceLife {
  readonly state: InstanceState;
  /** How often it was started again after it had ended by itself. */
  readonly restarts: number;
  /** How often it ended in a row without having been ready for a minute. */
  readonly failures: number;
}

/** What happens to a process. Times are milliseconds since the epoch. */
export type InstanceEvent =
  | { readonly kind: "spawned"; readonly pid: number }
  | { readonly kind: "answered"; readonly ok: boolean; readonly why: string }
  | { readonly kind: "exited"; readonly why: string }
  | { readonly kind: "stop" };

/** A process that has not been started. */
export const unborn: InstanceLife = { state: { kind: "waiting" }, restarts: 0, failures: 0 };

/** A process that was ready for so long, in milliseconds, has left its earlier failures behind. */
export const stableMs = 60_000;

/** What an event makes of a process. An event that does not fit the state changes nothing: it came too late. */
export function next(life: InstanceLife, event: InstanceEvent, now: number): InstanceLife {
  const { state } = life;
  switch (event.kind) {
    case "spawned":
      if (state.kind !== "waiting" && state.kind !== "backoff") return life;
      return {
        ...life,
        restarts: life.restarts + (state.kind === "backoff" ? 1 : 0),
        state: { kind: "starting", pid: event.pid, startedAt: now },
      };
    case "answered":
      return { ...life, state: answered(state, event.ok, event.why, now) };
    case "exited":
      if (state.kind === "stopping") return { ...life, state: { kind: "stopped" } };
      return state.kind === "stopped" ? life : failed(life, event.why, now);
    case "stop":
      if (state.kind === "waiting" || state.kind === "backoff") return { ...life, state: { kind: "stopped" } };
      return "startedAt" in state ? { ...life, state: { kind: "stopping", pid: state.pid } } : life;
  }
}

/**
 * Milliseconds to wait before the start that follows the n-th failure in a row: none after the first, since most ends are not
 * repeated; then half a second, doubled up to half a minute.
 */
export function restartDelayMs(failures: number): number {
  return failures <= 1 ? 0 : Math.min(500 * 2 ** (failures - 2), 30_000);
}

function answered(state: InstanceState, ok: boolean, why: string, now: number): InstanceState {
  if (state.kind === "starting") return ok ? { ...state, kind: "ready", readyAt: now } : state;
  if (state.kind === "unready" && ok) {
    const { pid, startedAt, readyAt } = state;
    return { kind: "ready", pid, startedAt, readyAt };
  }
  if (state.kind === "ready" && !ok) return { ...state, kind: "unready", why };
  return state;
}

function failed(life: InstanceLife, why: string, now: number): InstanceLife {
  const { state } = life;
  const stable = "readyAt" in state && now - state.readyAt >= stableMs;
  const failures = stable ? 1 : life.failures + 1;
  return { ...life, failures, state: { kind: "backoff", until: now + restartDelayMs(failures), why } };
}
