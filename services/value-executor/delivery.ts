/**
 * What a delivery and its milestones are, and what may be done with them. Pure.
 *
 *     delivery:   planned --a milestone starts--> in_progress --complete--> completed
 *                    '-----------------cancel---------'----> canceled
 *     milestone:  planned --start--> in_progress --complete--> done --reopen--> in_progress
 *                    '-----------------cancel---------'----> canceled
 */
import { failedPrecondition, invalidArgument } from "#mesh/errors.ts";
import type { Dated } from "./slippage.ts";

/** The life of a delivery; see delivery.proto. */
export type DeliveryState = "planned" | "in_progress" | "completed" | "canceled";

/** The life of a milestone. */
export type MilestoneState = "planned" | "in_progress" | "done" | "canceled";

/** A step of a delivery. Days as in 2027-03-31, times in milliseconds since the epoch. */
export interface Milestone extends Dated {
  readonly id: string;
  readonly deliveryId: string;
  readonly title: string;
  readonly ownerId: string;
  readonly state: MilestoneState;
  readonly reason: string;
  readonly updateTime: number;
}

/** The delivery of a commitment. */
export interface Delivery {
  readonly id: string;
  readonly userId: string;
  readonly commitmentId: string;
  readonly modelId: string;
  readonly title: string;
  readonly state: DeliveryState;
  readonly reason: string;
  readonly startDate: string;
  /** By planned day. */
  readonly milestones: readonly Milestone[];
  readonly createTime: number;
  readonly updateTime: number;
}

/** Milestones that a delivery has at most. */
export const maxMilestones = 200;

/** A step of a milestone; "" keeps a text of an update as it is, undefined a number. */
export type MilestoneStep =
  | { readonly kind: "start" | "reopen" }
  | { readonly kind: "complete"; readonly actualDate: string }
  | { readonly kind: "cancel"; readonly reason: string }
  | { readonly kind: "update"; readonly patch: Partial<Pick<Milestone, "title" | "ownerId" | "forecastDate" | "progress">> };

/** Takes a step of a milestone. What has been done already changes nothing. @throws FAILED_PRECONDITION, INVALID_ARGUMENT. */
export function stepMilestone(
  delivery: Delivery,
  milestone: Milestone,
  step: MilestoneStep,
  today: string,
  now: number,
): Milestone {
  if (isRepeat(milestone, step)) return milestone;
  assertOpen(delivery);
  const { state } = milestone;
  switch (step.kind) {
    case "start":
      assertState(milestone, "planned");
      return { ...milestone, state: "in_progress", updateTime: now };
    case "complete":
      assertState(milestone, "in_progress");
      if (step.actualDate > today) {
        throw invalidArgument([{ field: "actual_date", description: `expected ${today} or an earlier day` }]);
      }
      return { ...milestone, state: "done", progress: 1, actualDate: step.actualDate, updateTime: now };
    case "reopen":
      assertState(milestone, "done");
      return { ...milestone, state: "in_progress", actualDate: "", updateTime: now };
    case "cancel":
      if (state === "done") throw failedPrecondition("MILESTONE_DONE", `milestone ${milestone.id} is done: reopen it first`);
      return { ...milestone, state: "canceled", reason: step.reason, updateTime: now };
    case "update":
      if (state === "done" || state === "canceled") {
        throw failedPrecondition("MILESTONE_CLOSED", `milestone ${milestone.id} is ${wordsOf(state)}`);
      }
      if (step.patch.progress !== undefined && step.patch.progress !== milestone.progress) assertState(milestone, "in_progress");
      return { ...milestone, ...step.patch, updateTime: now };
  }
}

/** The delivery's state once a milestone has changed: it is in progress from the first start on. */
export function stateAfter({ state }: Delivery, milestone: Pick<Milestone, "state">): DeliveryState {
  return state === "planned" && milestone.state === "in_progress" ? "in_progress" : state;
}

/** Ends a delivery. @throws FAILED_PRECONDITION (MILESTONES_OPEN, NOTHING_DELIVERED, DELIVERY_CLOSED). */
export function completeDelivery(delivery: Delivery, now: number): Delivery {
  if (delivery.state === "completed") return delivery;
  assertOpen(delivery);
  const open = delivery.milestones.filter(({ state }) => state === "planned" || state === "in_progress").length;
  if (open > 0) throw failedPrecondition("MILESTONES_OPEN", `${open} milestones of delivery ${delivery.id} are open`);
  if (!delivery.milestones.some(({ state }) => state === "done")) {
    throw failedPrecondition("NOTHING_DELIVERED", `no milestone of delivery ${delivery.id} is done`);
  }
  return { ...delivery, state: "completed", updateTime: now };
}

/** Gives a delivery up, and its open milestones with it. @throws FAILED_PRECONDITION (DELIVERY_CLOSED). */
export function cancelDelivery(delivery: Delivery, reason: string, now: number): Delivery {
  if (delivery.state === "canceled") return delivery;
  assertOpen(delivery);
  const milestones = delivery.milestones.map((one) =>
    one.state === "done" || one.state === "canceled" ? one : { ...one, state: "canceled" as const, reason, updateTime: now },
  );
  return { ...delivery, milestones, state: "canceled", reason, updateTime: now };
}

/** @throws FAILED_PRECONDITION (DELIVERY_CLOSED). */
export function assertOpen({ id, state }: Pick<Delivery, "id" | "state">): void {
  if (state === "planned" || state === "in_progress") return;
  throw failedPrecondition("DELIVERY_CLOSED", `delivery ${id} is ${state}`);
}

function isRepeat({ state, actualDate }: Milestone, step: MilestoneStep): boolean {
  if (step.kind === "start" || step.kind === "reopen") return state === "in_progress";
  if (step.kind === "complete") return state === "done" && actualDate === step.actualDate;
  return step.kind === "cancel" && state === "canceled";
}

function assertState({ id, state }: Milestone, expected: MilestoneState): void {
  if (state === expected) return;
  throw failedPrecondition(
    `MILESTONE_NOT_${expected.toUpperCase()}`,
    `milestone ${id} is ${wordsOf(state)}, not ${wordsOf(expected)}`,
  );
}

function wordsOf(state: MilestoneState): string {
  return state.replace("_", " ");
}
