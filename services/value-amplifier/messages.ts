/** Domain values to the contract's messages. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type HypothesisProgressSchema,
  HypothesisVerdict,
  type ModelProgressSchema,
  type ProgressChangeSchema,
  type RealisationSchema,
  StrategyState as State,
  type StrategySchema,
  ValueStage,
} from "#gen/value/v1/realisation_pb.ts";
import type { Change, KnownModel, Totals } from "./model-store.ts";
import { type Hypothesis, realisedGain, realisedShare, type Stage, stageOf, type Verdict, verdictOf } from "./progress.ts";
import type { Realisation } from "./realisation-store.ts";
import type { Ranked, StrategyState } from "./strategy.ts";

const stateOf: Readonly<Record<StrategyState, State>> = {
  proposed: State.PROPOSED,
  running: State.RUNNING,
  completed: State.COMPLETED,
  dropped: State.DROPPED,
};

const stageNumberOf: Readonly<Record<Stage, ValueStage>> = {
  modelled: ValueStage.MODELLED,
  approved: ValueStage.APPROVED,
  committed: ValueStage.COMMITTED,
  delivered: ValueStage.DELIVERED,
  realised: ValueStage.REALISED,
  amplified: ValueStage.AMPLIFIED,
};

const verdictNumberOf: Readonly<Record<Verdict, HypothesisVerdict>> = {
  unmeasured: HypothesisVerdict.UNMEASURED,
  underway: HypothesisVerdict.UNDERWAY,
  confirmed: HypothesisVerdict.CONFIRMED,
  missed: HypothesisVerdict.MISSED,
  refuted: HypothesisVerdict.REFUTED,
};

/** Our name of a state of the contract; what is unspecified or unknown has none. */
export function stateNameOf(state: State): StrategyState | undefined {
  return (Object.keys(stateOf) as StrategyState[]).find((name) => stateOf[name] === state);
}

export function toRealisationMessage(one: Realisation): MessageInitShape<typeof RealisationSchema> {
  return { ...one, realisedGain: BigInt(one.realisedGain), createTime: timestampFromMs(one.createTime) };
}

export function toStrategyMessage({ strategy, expectedGain, ...place }: Ranked): MessageInitShape<typeof StrategySchema> {
  const { state, achievedEffect, createTime, updateTime, ...same } = strategy;
  return {
    ...same,
    ...place,
    state: stateOf[state],
    expectedGain: BigInt(expectedGain),
    createTime: timestampFromMs(createTime),
    updateTime: timestampFromMs(updateTime),
    ...(achievedEffect === undefined ? {} : { achievedEffect }),
  };
}

/** A model's progress on the day `today`, by what was measured last of each hypothesis. */
export function toProgressMessage(
  model: KnownModel,
  totals: Totals,
  actuals: ReadonlyMap<string, number>,
  today: string,
): MessageInitShape<typeof ModelProgressSchema> {
  const { hypotheses, id, version, userId, title, currency, investment, changes } = model;
  const sum = (amount: (one: Hypothesis) => number) => hypotheses.reduce((total, one) => total + amount(one), 0);
  const [full, realised] = [sum(({ fullGain }) => fullGain), sum((one) => gainOf(one, actuals.get(one.id)))];
  return {
    ...{ modelId: id, version, userId, title, currency, investment: BigInt(investment) },
    stage: stageNumberOf[stageOf({ ...totals, version })],
    fullGain: BigInt(full),
    expectedGain: BigInt(sum(({ expectedGain }) => expectedGain)),
    realisedGain: BigInt(realised),
    realisedShare: full === 0 ? 0 : realised / full,
    signedCommitments: totals.signedCommitments,
    signedAmount: totals.signedAmount,
    deliveries: totals.deliveries,
    completedDeliveries: totals.completedDeliveries,
    hypotheses: hypotheses.map((one) => toHypothesisMessage(one, actuals.get(one.id), today)),
    lastNumber: BigInt(changes),
  };
}

export function toChangeMessage({ number, stage, time, ...same }: Change): MessageInitShape<typeof ProgressChangeSchema> {
  return { ...same, number: BigInt(number), stage: stageNumberOf[stage], time: timestampFromMs(time) };
}

function toHypothesisMessage(
  hypothesis: Hypothesis,
  actual: number | undefined,
  today: string,
): MessageInitShape<typeof HypothesisProgressSchema> {
  const { id, driver, unit, baseline, target, dueDate, fullGain } = hypothesis;
  const share = actual === undefined ? undefined : realisedShare(hypothesis, actual);
  return {
    ...{ hypothesisId: id, driver, unit, baseline, target, dueDate, fullGain: BigInt(fullGain) },
    realisedGain: BigInt(gainOf(hypothesis, actual)),
    verdict: verdictNumberOf[verdictOf(hypothesis, share, today)],
    ...(actual === undefined || share === undefined ? {} : { actual, realisedShare: share }),
  };
}

/** A later version may have brought baseline and target so close that no number holds what was realised; the sum must be one. */
function gainOf(hypothesis: Hypothesis, actual: number | undefined): number {
  if (actual === undefined) return 0;
  return Math.max(-maxRealised, Math.min(maxRealised, realisedGain(hypothesis, actual)));
}

/** Minor units that a realisation is worth at most, either way: sums of 50 are still exact as numbers. */
export const maxRealised = 100_000_000_000_000;
