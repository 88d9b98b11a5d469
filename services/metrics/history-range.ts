/** What a question about the past asks for: where it begins and ends, what it is cut into, and which levels answer it. */
import { invalidArgument } from "#mesh/errors.ts";
import type { Level, Retention } from "./levels.ts";

/** A stretch of whole steps, in milliseconds since the epoch. */
export interface Range {
  readonly from: number;
  readonly to: number;
  readonly step: number;
  /** Before this nothing is kept at this step. */
  readonly keptFrom: number;
}

/** A stretch of one level. */
export interface LevelRange {
  readonly level: Level;
  readonly from: number;
  readonly to: number;
}

/** Points at most, and as many as are chosen when no step is asked for. */
const most = { points: 2000, chosen: 360 };

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** The steps that are chosen among. */
const niceSteps = [10 * second, 30 * second, minute, 5 * minute, 15 * minute, hour, 6 * hour, day, 7 * day];

/** How far back a question without a start goes. */
const defaultSpan = hour;

/**
 * The stretch that is asked for.
 *
 * @throws INVALID_ARGUMENT naming from, to or step.
 */
export function rangeOf(
  asked: { readonly from: number | undefined; readonly to: number | undefined; readonly step: number | undefined },
  { intervalMs, retention, now }: { readonly intervalMs: number; readonly retention: Retention; readonly now: number },
): Range {
  const end = asked.to ?? now;
  const start = asked.from ?? end - defaultSpan;
  if (start >= end)
    throw invalidArgument([{ field: "from", description: "expected a time before `to`, which is now when absent" }]);
  const step = asked.step ?? chosenStep(start, end, intervalMs, retention, now);
  if (step % intervalMs !== 0) {
    throw invalidArgument([
      { field: "step", description: `expected a multiple of ${intervalMs / 1000} s, got ${step / 1000} s` },
    ]);
  }
  const from = Math.floor(start / step) * step;
  const to = Math.ceil(end / step) * step;
  const points = (to - from) / step;
  if (points > most.points) {
    const description = `expected a step that makes at most ${most.points} points, got ${step / 1000} s which makes ${points}`;
    throw invalidArgument([{ field: "step", description }]);
  }
  return { from, to, step, keptFrom: now - keptMs(step, retention) };
}

/**
 * The levels that have the range, each for a part of it: the coarsest that fits into the step, and, for what is not added up yet, the
 * finer ones. `until` says up to when each level is written.
 */
export function levelRanges({ from, to, step }: Range, until: ReadonlyMap<Level, number>): LevelRange[] {
  const levels = ([3600, 60, 0] as const).filter((level) => level === 0 || step % (level * 1000) === 0);
  let at = from;
  return levels.flatMap((level) => {
    const end = Math.min(to, until.get(level) ?? 0);
    if (end <= at) return [];
    const range = { level, from: at, to: end };
    at = end;
    return [range];
  });
}

function chosenStep(from: number, to: number, intervalMs: number, retention: Retention, now: number): number {
  const fits = niceSteps.filter((step) => step % intervalMs === 0 && (to - from) / step <= most.chosen);
  const kept = fits.find((step) => now - keptMs(step, retention) <= from);
  return kept ?? fits.at(-1) ?? Math.ceil((to - from) / most.chosen / day) * day;
}

function keptMs(step: number, { collectedMs, minutesMs, hoursMs }: Retention): number {
  if (step % hour === 0) return Math.max(hoursMs, minutesMs, collectedMs);
  return step % minute === 0 ? Math.max(minutesMs, collectedMs) : collectedMs;
}
