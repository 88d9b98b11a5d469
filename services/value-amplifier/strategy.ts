/**
 * What a strategy is, what may be done with it, and how strategies are ranked. Pure.
 *
 *     proposed --start--> running --complete--> completed
 *         '------drop--------'----> dropped
 */
import { failedPrecondition } from "#mesh/errors.ts";

/** The life of a strategy; see realisation.proto. */
export type StrategyState = "proposed" | "running" | "completed" | "dropped";

/** Something that would bring more of what a hypothesis promised. Times in milliseconds since the epoch. */
export interface Strategy {
  readonly id: string;
  readonly userId: string;
  readonly modelId: string;
  readonly hypothesisId: string;
  readonly title: string;
  readonly description: string;
  readonly effect: number;
  readonly confidence: number;
  readonly reach: number;
  readonly effortDays: number;
  readonly state: StrategyState;
  readonly reason: string;
  readonly achievedEffect: number | undefined;
  readonly createTime: number;
  readonly updateTime: number;
}

/** What a rank goes by: of the strategy's hypothesis. */
export interface Ground {
  /** In minor units; 0 for a hypothesis that is in the approved version no more. */
  readonly fullGain: number;
  /** undefined until something was measured. */
  readonly realisedShare: number | undefined;
}

/** A strategy at its place. */
export interface Ranked {
  readonly strategy: Strategy;
  /** From 1; 0 for what is completed or dropped. */
  readonly rank: number;
  /** Minor units of money expected per day of work. */
  readonly score: number;
  readonly confidenceUsed: number;
  /** In minor units. */
  readonly expectedGain: number;
}

/** Strategies that a model has at most. */
export const maxStrategies = 200;

/**
 * The strategies by rank: open ones by score, those of one score by age; then the others by age.
 *
 * score = effect * full gain of the hypothesis * confidence used * reach / effort days. The confidence used is the stated one until the
 * hypothesis was measured, and then the mean of it and the realised share, the share taken as at least 0 and at most 1: what has worked so far
 * is worth more of the same.
 */
export function rankAll(strategies: readonly Strategy[], groundOf: (hypothesisId: string) => Ground): Ranked[] {
  const scored = strategies.map((strategy) => scoreOf(strategy, groundOf(strategy.hypothesisId)));
  const byAge = (a: Ranked, b: Ranked) => (a.strategy.id < b.strategy.id ? -1 : 1);
  const open = scored.filter(({ strategy }) => isOpen(strategy)).sort((a, b) => b.score - a.score || byAge(a, b));
  const closed = scored.filter(({ strategy }) => !isOpen(strategy)).sort(byAge);
  return [...open.map((one, at) => ({ ...one, rank: at + 1 })), ...closed];
}

/** The confidence that a score uses. */
export function confidenceUsed(stated: number, share: number | undefined): number {
  return share === undefined ? stated : (stated + Math.min(1, Math.max(0, share))) / 2;
}

/** Whether it is proposed or running. */
export function isOpen({ state }: Pick<Strategy, "state">): boolean {
  return state === "proposed" || state === "running";
}

/** Begins to carry it out. What is running stays as it is. @throws FAILED_PRECONDITION (STRATEGY_NOT_PROPOSED). */
export function start(strategy: Strategy, now: number): Strategy {
  if (strategy.state === "running") return strategy;
  assertState(strategy, "proposed");
  return { ...strategy, state: "running", updateTime: now };
}

/** It is carried out. @throws FAILED_PRECONDITION (STRATEGY_NOT_RUNNING). */
export function complete(strategy: Strategy, achievedEffect: number, now: number): Strategy {
  if (strategy.state === "completed" && strategy.achievedEffect === achievedEffect) return strategy;
  assertState(strategy, "running");
  return { ...strategy, state: "completed", achievedEffect, updateTime: now };
}

/** Gives it up. @throws FAILED_PRECONDITION (STRATEGY_CLOSED). */
export function drop(strategy: Strategy, reason: string, now: number): Strategy {
  if (strategy.state === "dropped") return strategy;
  assertOpen(strategy);
  return { ...strategy, state: "dropped", reason, updateTime: now };
}

/** @throws FAILED_PRECONDITION (STRATEGY_CLOSED). */
export function assertOpen(strategy: Strategy): void {
  if (!isOpen(strategy)) throw failedPrecondition("STRATEGY_CLOSED", `strategy ${strategy.id} is ${strategy.state}`);
}

function scoreOf(strategy: Strategy, { fullGain, realisedShare }: Ground): Ranked {
  const used = confidenceUsed(strategy.confidence, realisedShare);
  const gain = strategy.effect * fullGain * used * strategy.reach;
  return { strategy, rank: 0, score: gain / strategy.effortDays, confidenceUsed: used, expectedGain: Math.round(gain) };
}

function assertState({ id, state }: Strategy, expected: StrategyState): void {
  if (state === expected) return;
  throw failedPrecondition(`STRATEGY_NOT_${expected.toUpperCase()}`, `strategy ${id} is ${state}, not ${expected}`);
}
