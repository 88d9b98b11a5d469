/** The changes of deliveries: each decided by the rules, stored, and told of, in one transaction. */
import { dayOf } from "#mesh/calendar-day.ts";
import { alreadyExists, notFound, notYours, permissionDenied, resourceExhausted } from "#mesh/errors.ts";
import type { Outbox } from "#mesh/outbox/outbox.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { deliveryEventOf, type MilestoneEvent, milestoneEventOf } from "./announce.ts";
import {
  assertOpen,
  cancelDelivery,
  completeDelivery,
  type Delivery,
  type Milestone,
  type MilestoneStep,
  maxMilestones,
  stateAfter,
  stepMilestone,
} from "./delivery.ts";
import { addMilestone, findMilestone, updateMilestone } from "./milestone-store.ts";
import { mayActFor, type Who } from "./ownership.ts";
import { lockDelivery, updateDelivery } from "./store.ts";

/** What changes work with. */
export interface ChangeParts {
  readonly db: Database;
  readonly outbox: Pick<Outbox, "put">;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

/** Whether the call may see the delivery: its owner, and those who see to a milestone. */
export function mayRead(who: Who, { userId, milestones }: Delivery): boolean {
  return mayActFor(who, userId) || milestones.some(({ ownerId }) => ownerId === who.principal?.id);
}

/** Ends a delivery, or gives it up for a reason. What has been done already changes nothing. */
export function end(parts: ChangeParts, who: Who, id: string, reason: string | undefined): Promise<Delivery> {
  const { db, outbox, clock } = parts;
  return db.transaction(async (tx) => {
    const [before, now] = [await held(tx, who, id, "delivery", id), clock()];
    if (!mayActFor(who, before.userId)) throw notTheOwner();
    const after = reason === undefined ? completeDelivery(before, now) : cancelDelivery(before, reason, now);
    if (after === before) return before;
    await updateDelivery(tx, after);
    const changed = after.milestones.filter((one, at) => one !== before.milestones[at]);
    for (const one of changed) await updateMilestone(tx, one);
    await outbox.put(tx, deliveryEventOf(reason === undefined ? "completed" : "canceled", after, dayOf(now)));
    return after;
  });
}

/** A milestone to add, but for what its delivery decides. */
export type NewMilestone = Pick<Milestone, "id" | "title" | "ownerId" | "plannedDate" | "weight">;

/** Adds a milestone; or answers with the one that the same request added before. @throws RESOURCE_EXHAUSTED above the limit. */
export function add(
  parts: ChangeParts,
  who: Who,
  deliveryId: string,
  fresh: NewMilestone,
  request: { readonly requestId: string; readonly contentHash: string },
): Promise<Milestone> {
  const { db, outbox, clock } = parts;
  return db.transaction(async (tx) => {
    const [delivery, now] = [await held(tx, who, deliveryId, "delivery", deliveryId), clock()];
    if (!mayActFor(who, delivery.userId)) throw notTheOwner();
    const { startDate } = delivery;
    const begun = { forecastDate: fresh.plannedDate, actualDate: "", progress: 0, state: "planned", reason: "" } as const;
    const ownerId = fresh.ownerId || delivery.userId;
    const milestone = { ...fresh, ...begun, ownerId, deliveryId: delivery.id, startDate, updateTime: now };
    const before = await addMilestone(tx, milestone, request);
    if (before !== undefined) {
      if (before.contentHash !== request.contentHash) {
        throw alreadyExists(`request_id ${JSON.stringify(request.requestId)} came before with other content`);
      }
      return before.milestone;
    }
    assertOpen(delivery);
    if (delivery.milestones.length >= maxMilestones) {
      throw resourceExhausted(`a delivery has at most ${maxMilestones} milestones`, 60_000);
    }
    await outbox.put(tx, milestoneEventOf("added", delivery, milestone, dayOf(now)));
    return milestone;
  });
}

/** Takes a step of a milestone. What has been done already changes nothing. */
export async function take(parts: ChangeParts, who: Who, id: string, step: MilestoneStep): Promise<Milestone> {
  const { db, outbox, clock } = parts;
  const found = await findMilestone(db, id);
  if (found === undefined) throw notFound("milestone", id);
  return db.transaction(async (tx) => {
    const [delivery, now] = [await held(tx, who, found.deliveryId, "milestone", id), clock()];
    const before = delivery.milestones.find((one) => one.id === found.id);
    if (before === undefined) throw notFound("milestone", id);
    assertMayStep(who, delivery, before, step);
    const after = stepMilestone(delivery, before, step, dayOf(now), now);
    if (after === before) return before;
    await updateMilestone(tx, after);
    const state = stateAfter(delivery, after);
    if (state !== delivery.state) await updateDelivery(tx, { ...delivery, state, updateTime: now });
    await outbox.put(tx, milestoneEventOf(eventOf[step.kind], delivery, after, dayOf(now)));
    return after;
  });
}

const eventOf = {
  start: "started",
  complete: "completed",
  reopen: "reopened",
  cancel: "canceled",
  update: "moved",
} as const satisfies Record<MilestoneStep["kind"], MilestoneEvent>;

/** Its owner moves a milestone on; what changes the plan is the delivery's owner's. */
function assertMayStep(who: Who, delivery: Delivery, milestone: Milestone, step: MilestoneStep): void {
  if (mayActFor(who, delivery.userId)) return;
  const plans =
    step.kind === "cancel" || (step.kind === "update" && (step.patch.ownerId !== undefined || step.patch.title !== undefined));
  if (milestone.ownerId !== who.principal?.id || plans) throw notTheOwner();
}

/** A delivery, held until the transaction ends. @throws NOT_FOUND of what was asked for. */
async function held(tx: Queryable, who: Who, deliveryId: string, what: string, id: string): Promise<Delivery> {
  const delivery = await lockDelivery(tx, deliveryId);
  if (delivery === undefined) throw notFound(what, id);
  if (!mayRead(who, delivery)) throw notYours(what, id);
  return delivery;
}

function notTheOwner(): Error {
  return permissionDenied("NOT_THE_OWNER", "only the owner can do this");
}
