/** How late deliveries are: planned against expected and actual ends, in days and as a share of the plan. Pure. */
import { daysBetween, laterDay } from "#mesh/calendar-day.ts";

/** What slippage is made of; days as in 2027-03-31. */
export interface Dated {
  readonly plannedDate: string;
  readonly forecastDate: string;
  /** "" until it is done. */
  readonly actualDate: string;
  readonly weight: number;
  readonly progress: number;
  readonly state: "planned" | "in_progress" | "done" | "canceled";
  /** The day on which its delivery began. */
  readonly startDate: string;
}

/** See delivery.proto. */
export interface Slippage {
  readonly plannedEnd: string;
  readonly expectedEnd: string;
  readonly days: number;
  readonly share: number;
  readonly meanDays: number;
  readonly lateCount: number;
  readonly count: number;
}

/** The day on which something ended, or is expected to: what is open cannot end before `today`. */
export function expectedEnd({ state, actualDate, forecastDate }: Dated, today: string): string {
  return state === "done" ? actualDate : laterDay(forecastDate, today);
}

/** How late one milestone is. */
export function slippageOf(one: Dated, today: string): Slippage {
  return rollUp([{ ...one, state: one.state === "canceled" ? "planned" : one.state }], today);
}

/**
 * How late milestones are as a whole: the latest expected end behind the latest planned one. The share is of the days from the earliest
 * beginning to that planned end, at least one. What was cancelled does not count.
 */
export function rollUp(milestones: readonly Dated[], today: string): Slippage {
  const counted = milestones.filter(({ state }) => state !== "canceled");
  const [first] = counted;
  if (first === undefined) return { plannedEnd: "", expectedEnd: "", days: 0, share: 0, meanDays: 0, lateCount: 0, count: 0 };
  const plannedEnd = counted.map((one) => one.plannedDate).reduce(laterDay);
  const end = counted.map((one) => expectedEnd(one, today)).reduce(laterDay);
  const start = counted.map((one) => one.startDate).reduce((a, b) => (a < b ? a : b));
  const days = daysBetween(plannedEnd, end);
  const slips = counted.map((one) => ({ weight: one.weight, days: daysBetween(one.plannedDate, expectedEnd(one, today)) }));
  const weights = slips.reduce((sum, { weight }) => sum + weight, 0);
  return {
    plannedEnd,
    expectedEnd: end,
    days,
    share: days / Math.max(1, daysBetween(start, plannedEnd)),
    meanDays: slips.reduce((sum, slip) => sum + slip.weight * slip.days, 0) / weights,
    lateCount: slips.filter((slip) => slip.days > 0).length,
    count: counted.length,
  };
}

/** How much is done, from 0 to 1, by weight; what was cancelled does not count. */
export function progressOf(milestones: readonly Dated[]): number {
  const counted = milestones.filter(({ state }) => state !== "canceled");
  const weights = counted.reduce((sum, { weight }) => sum + weight, 0);
  return weights === 0 ? 0 : counted.reduce((sum, { weight, progress }) => sum + weight * progress, 0) / weights;
}
