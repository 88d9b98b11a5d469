/** Domain values to the contract's messages, and back. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Hypothesis as HypothesisMessage,
  type HypothesisSchema,
  type ModelSchema,
  ModelState as State,
} from "#gen/value/v1/model_pb.ts";
import { checkedDay } from "#mesh/calendar-day.ts";
import type { Finding } from "./finding-store.ts";
import { assertHypothesis, expectedGain, fullGain, type Hypothesis, type Model, type ModelState } from "./model.ts";

const stateOf: Readonly<Record<ModelState, State>> = {
  draft: State.DRAFT,
  in_review: State.IN_REVIEW,
  approved: State.APPROVED,
  superseded: State.SUPERSEDED,
};

/** Our name of a state of the contract; what is unspecified or unknown has none. */
export function stateNameOf(state: State): ModelState | undefined {
  return (Object.keys(stateOf) as ModelState[]).find((name) => stateOf[name] === state);
}

export function toModelMessage(model: Model, findings: ReadonlyMap<string, Finding>): MessageInitShape<typeof ModelSchema> {
  const { approveTime, createTime, updateTime, hypotheses, investment, state, reviewerIds, approvedByIds, ...same } = model;
  return {
    ...same,
    reviewerIds: [...reviewerIds],
    approvedByIds: [...approvedByIds],
    investment: BigInt(investment),
    state: stateOf[state],
    hypotheses: hypotheses.map((one) => toHypothesisMessage(one, findings.get(one.id))),
    fullGain: BigInt(sumOf(hypotheses, fullGain)),
    expectedGain: BigInt(sumOf(hypotheses, expectedGain)),
    createTime: timestampFromMs(createTime),
    updateTime: timestampFromMs(updateTime),
    ...(approveTime === undefined ? {} : { approveTime: timestampFromMs(approveTime) }),
  };
}

export function toHypothesisMessage(
  hypothesis: Hypothesis,
  finding: Finding | undefined,
): MessageInitShape<typeof HypothesisSchema> {
  const { actual, realisedShare, measureDate } = finding ?? {};
  return {
    ...hypothesis,
    fullGain: BigInt(fullGain(hypothesis)),
    expectedGain: BigInt(expectedGain(hypothesis)),
    ...(actual === undefined || realisedShare === undefined || measureDate === undefined
      ? {}
      : { finding: { actual, realisedShare, measureDate } }),
  };
}

/** A hypothesis of a request, checked; `path` is where it stands there. @throws INVALID_ARGUMENT. */
export function fromHypothesisMessage(message: HypothesisMessage | undefined, id: string, path: string): Hypothesis {
  const { driver = "", rationale = "", unit = "", baseline = 0, target = 0, dueDate = "" } = message ?? {};
  const { confidence = 0, valuePerUnit = 0 } = message ?? {};
  const texts = { driver: driver.toWellFormed(), rationale: rationale.toWellFormed(), unit: unit.toWellFormed() };
  const hypothesis = {
    id,
    ...texts,
    baseline,
    target,
    confidence,
    valuePerUnit,
    dueDate: checkedDay(dueDate, `${path}.due_date`),
  };
  assertHypothesis(hypothesis, path);
  return hypothesis;
}

function sumOf(hypotheses: readonly Hypothesis[], amount: (hypothesis: Hypothesis) => number): number {
  return hypotheses.reduce((sum, hypothesis) => sum + amount(hypothesis), 0);
}
