/** When a check's status follows its probes, and when a service that stays critical is forgotten. Pure. */
import type { CheckPlan, CheckRecord, CheckStatus } from "./model.ts";

/** Results of the same kind in a row. */
export interface Streak {
  readonly successes: number;
  readonly failures: number;
}

/** Before any result. */
export const noStreak: Streak = { successes: 0, failures: 0 };

/**
 * The status after a probe found `found`, by Consul's success_before_passing, failures_before_warning and
 * failures_before_critical; with their default 0 it is what the probe found.
 */
export function nextStatus(
  plan: CheckPlan,
  status: CheckStatus,
  streak: Streak,
  found: CheckStatus,
): { readonly status: CheckStatus; readonly streak: Streak } {
  if (found !== "critical") {
    const next = { successes: streak.successes + 1, failures: 0 };
    return { status: next.successes >= plan.successBeforePassing ? found : status, streak: next };
  }
  const next = { successes: 0, failures: streak.failures + 1 };
  if (next.failures >= plan.failuresBeforeCritical) return { status: "critical", streak: next };
  return { status: next.failures >= plan.failuresBeforeWarning ? "warning" : status, streak: next };
}

/** Consul's least DeregisterCriticalServiceAfter, in milliseconds. */
const minDeregisterMs = 60_000;

/** Whether a check that is critical since `criticalSince` has its service forgotten at `now`. */
export function mustForget(check: CheckRecord, criticalSince: number | undefined, now: number): boolean {
  const after = check.plan.deregisterAfterMs;
  if (after === 0 || check.serviceId === "" || criticalSince === undefined) return false;
  return now - criticalSince >= Math.max(minDeregisterMs, after);
}
