/**
 * What a value model is, and what may be done with a version of it. Pure.
 *
 *     draft --submit--> in_review --approve, by all who must--> approved --supersede--> superseded
 *       ^-----return------'
 */
import { failedPrecondition, invalidArgument, permissionDenied } from "#mesh/errors.ts";

/** The life of a version; see model.proto. */
export type ModelState = "draft" | "in_review" | "approved" | "superseded";

/** A claim that a driver will move from a baseline to a target. */
export interface Hypothesis {
  readonly id: string;
  readonly driver: string;
  readonly rationale: string;
  readonly unit: string;
  readonly baseline: number;
  readonly target: number;
  /** A day, as in 2027-03-31. */
  readonly dueDate: string;
  /** Above 0, at most 1. */
  readonly confidence: number;
  /** Minor units of money for one unit of the way. */
  readonly valuePerUnit: number;
}

/** A version of a model. Amounts in minor units, times in milliseconds since the epoch. */
export interface Model {
  readonly id: string;
  readonly version: number;
  readonly userId: string;
  readonly title: string;
  readonly description: string;
  readonly currency: string;
  readonly investment: number;
  readonly reviewerIds: readonly string[];
  readonly approvedByIds: readonly string[];
  readonly state: ModelState;
  readonly returnReason: string;
  readonly hypotheses: readonly Hypothesis[];
  readonly createTime: number;
  readonly updateTime: number;
  readonly approveTime: number | undefined;
}

/** Hypotheses that a model has at most. */
export const maxHypotheses = 50;

/** Minor units that a hypothesis is worth at most: sums of 50 are still exact as numbers. */
const maxGain = 100_000_000_000_000;

/** What a hypothesis brings in full, to the nearest minor unit. */
export function fullGain({ baseline, target, valuePerUnit }: Pick<Hypothesis, "baseline" | "target" | "valuePerUnit">): number {
  return Math.round(Math.abs(target - baseline) * valuePerUnit);
}

/** The same, weighed with its confidence. */
export function expectedGain(hypothesis: Hypothesis): number {
  return Math.round(fullGain(hypothesis) * hypothesis.confidence);
}

/** @throws INVALID_ARGUMENT naming the field below `path` that makes no hypothesis. */
export function assertHypothesis(hypothesis: Omit<Hypothesis, "id">, path: string): void {
  if (hypothesis.target === hypothesis.baseline) {
    throw invalidArgument([{ field: `${path}.target`, description: "expected another value than the baseline" }]);
  }
  if (fullGain(hypothesis) > maxGain) {
    const description = `expected |target - baseline| * value_per_unit to be at most ${maxGain} minor units`;
    throw invalidArgument([{ field: `${path}.value_per_unit`, description }]);
  }
}

/** @throws FAILED_PRECONDITION (MODEL_NOT_IN_DRAFT). */
export function assertDraft({ id, version, state }: Pick<Model, "id" | "version" | "state">): void {
  if (state === "draft") return;
  throw failedPrecondition(
    "MODEL_NOT_IN_DRAFT",
    `version ${version} of model ${id} is ${wordsOf(state)}: only a draft can be changed`,
  );
}

/** Gives a draft to its reviewers. What has been submitted stays as it is. */
export function submit(model: Model, now: number): Model {
  if (model.state === "in_review") return model;
  assertDraft(model);
  if (model.hypotheses.length === 0) {
    throw failedPrecondition("NO_HYPOTHESES", `model ${model.id} has no hypothesis to review`);
  }
  return { ...model, state: "in_review", returnReason: "", approvedByIds: [], updateTime: now };
}

/**
 * Counts the approval of `userId`; the last one that is needed makes it approved. Who has approved already changes nothing.
 *
 * @throws PERMISSION_DENIED (NOT_A_REVIEWER), FAILED_PRECONDITION (MODEL_NOT_IN_REVIEW).
 */
export function approve(model: Model, userId: string | undefined, now: number): Model {
  if (userId === undefined || !approvers(model).includes(userId)) {
    throw permissionDenied(
      "NOT_A_REVIEWER",
      `only ${model.reviewerIds.length === 0 ? "its owner" : "its reviewers"} can approve this model`,
    );
  }
  if (model.state === "approved" && model.approvedByIds.includes(userId)) return model;
  assertInReview(model);
  if (model.approvedByIds.includes(userId)) return model;
  const approvedByIds = [...model.approvedByIds, userId];
  const complete = approvers(model).every((id) => approvedByIds.includes(id));
  return { ...model, approvedByIds, updateTime: now, ...(complete ? { state: "approved", approveTime: now } : {}) };
}

/** Puts it back to draft; its approvals are void. A draft that was returned for the same reason stays as it is. */
export function giveBack(model: Model, reason: string, now: number): Model {
  if (model.state === "draft" && model.returnReason === reason) return model;
  assertInReview(model);
  return { ...model, state: "draft", returnReason: reason, approvedByIds: [], updateTime: now };
}

/** The next version of an approved one: a draft of the same content. @throws FAILED_PRECONDITION (MODEL_NOT_APPROVED). */
export function nextVersion(model: Model, now: number): Model {
  if (model.state !== "approved") {
    throw failedPrecondition(
      "MODEL_NOT_APPROVED",
      `version ${model.version} of model ${model.id} is ${wordsOf(model.state)}, not approved`,
    );
  }
  const fresh = { state: "draft", approvedByIds: [], returnReason: "", approveTime: undefined } as const;
  return { ...model, ...fresh, version: model.version + 1, createTime: now, updateTime: now };
}

/** An approved version whose successor was approved. */
export function supersede(model: Model, now: number): Model {
  if (model.state !== "approved") throw new Error(`version ${model.version} of model ${model.id} is ${model.state}`);
  return { ...model, state: "superseded", updateTime: now };
}

/** Whose approval it needs. */
export function approvers({ reviewerIds, userId }: Pick<Model, "reviewerIds" | "userId">): readonly string[] {
  return reviewerIds.length === 0 ? [userId] : reviewerIds;
}

function assertInReview({ id, version, state }: Model): void {
  if (state === "in_review") return;
  throw failedPrecondition("MODEL_NOT_IN_REVIEW", `version ${version} of model ${id} is ${wordsOf(state)}, not in review`);
}

function wordsOf(state: ModelState): string {
  return state.replace("_", " ");
}
