/** The contract's methods: messages to domain values, rules, store, and back. */
import { createHash } from "node:crypto";
import { ExecutorService } from "#gen/value/v1/executor_pb.ts";
import { checkedDay, dayOf } from "#mesh/calendar-day.ts";
import { currentContext } from "#mesh/context.ts";
import { invalidArgument, notFound, notYours } from "#mesh/errors.ts";
import { maskedFields } from "#mesh/field-mask.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import { badPageToken, decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { add, type ChangeParts, end, mayRead, take } from "./changes.ts";
import type { Delivery, MilestoneStep } from "./delivery.ts";
import { deliveryStateNameOf, deliveryStateOf, milestoneStateNameOf, toDeliveryMessage, toMilestoneMessage } from "./messages.ts";
import { findMilestone, listMilestones } from "./milestone-store.ts";
import { mayActFor, ownerOf, type Who } from "./ownership.ts";
import { progressOf, rollUp } from "./slippage.ts";
import { deliveriesOfModel, findDelivery, listDeliveries } from "./store.ts";

/** The contract and its methods. */
export function executorHandlers(parts: ChangeParts): Implementation {
  const { db, clock } = parts;
  const today = () => dayOf(clock());

  const step = async (id: string, taken: MilestoneStep) => ({
    milestone: toMilestoneMessage(await take(parts, currentWho(), id, taken), today()),
  });

  /** @throws NOT_FOUND of what was asked for, when there is none, or it is another's. */
  const visible = async (deliveryId: string, what: string, id: string): Promise<Delivery> => {
    const delivery = await findDelivery(db, deliveryId);
    if (delivery === undefined) throw notFound(what, id);
    if (!mayRead(currentWho(), delivery)) throw notYours(what, id);
    return delivery;
  };

  return implement(ExecutorService, {
    async getDelivery({ deliveryId }) {
      return { delivery: toDeliveryMessage(await visible(deliveryId, "delivery", deliveryId), today()) };
    },

    async listDeliveries({ userId, modelId, commitmentId, state, pageSize, pageToken }) {
      const size = pageSize || defaultPageSize;
      const found = await listDeliveries(db, {
        ...{ userId: ownerOf(currentWho(), userId), state: deliveryStateNameOf(state), size: size + 1 },
        modelId: modelId === "" ? undefined : modelId,
        commitmentId: commitmentId === "" ? undefined : commitmentId,
        after: idOf(pageToken),
      });
      const page = found.slice(0, size);
      const last = page.at(-1);
      const nextPageToken = found.length > size && last !== undefined ? encodePageToken([last.id]) : "";
      return { deliveries: page.map((one) => toDeliveryMessage(one, today())), nextPageToken };
    },

    async completeDelivery({ deliveryId }) {
      return { delivery: toDeliveryMessage(await end(parts, currentWho(), deliveryId, undefined), today()) };
    },

    async cancelDelivery({ deliveryId, reason }) {
      return { delivery: toDeliveryMessage(await end(parts, currentWho(), deliveryId, reason.toWellFormed()), today()) };
    },

    async addMilestone({ requestId, deliveryId, title, ownerId, plannedDate, weight }) {
      const content = {
        title: title.toWellFormed(),
        ownerId: ownerId.toLowerCase(),
        plannedDate: checkedDay(plannedDate, "planned_date"),
        weight: weight || 1,
      };
      const request = { requestId, contentHash: fingerprint(content) };
      const milestone = await add(parts, currentWho(), deliveryId, { ...content, id: uuidv7(clock()) }, request);
      return { milestone: toMilestoneMessage(milestone, today()) };
    },

    async getMilestone({ milestoneId }) {
      const milestone = await findMilestone(db, milestoneId);
      if (milestone === undefined) throw notFound("milestone", milestoneId);
      await visible(milestone.deliveryId, "milestone", milestoneId);
      return { milestone: toMilestoneMessage(milestone, today()) };
    },

    async listMilestones({ userId, state, late, pageSize, pageToken }) {
      const size = pageSize || defaultPageSize;
      const found = await listMilestones(db, {
        ...{ ownerId: ownerOf(currentWho(), userId), state: milestoneStateNameOf(state), size: size + 1 },
        lateOn: late ? today() : undefined,
        after: placeOf(pageToken),
      });
      const page = found.slice(0, size);
      const last = page.at(-1);
      const nextPageToken = found.length > size && last !== undefined ? encodePageToken([last.plannedDate, last.id]) : "";
      return { milestones: page.map((one) => toMilestoneMessage(one, today())), nextPageToken };
    },

    async updateMilestone({ milestone, updateMask }) {
      if (milestone === undefined || !uuid.test(milestone.id)) {
        throw invalidArgument([{ field: "milestone.id", description: "expected a UUID" }]);
      }
      const { id, title, ownerId, forecastDate, progress } = milestone;
      const fields = maskedFields(updateMask, ["title", "owner_id", "forecast_date", "progress"], outputOnly);
      if (fields.has("title") && title === "")
        throw invalidArgument([{ field: "milestone.title", description: "expected a title" }]);
      if (fields.has("owner_id") && ownerId === "") {
        throw invalidArgument([{ field: "milestone.owner_id", description: "expected a user's id" }]);
      }
      const patch = {
        ...(fields.has("title") ? { title: title.toWellFormed() } : {}),
        ...(fields.has("owner_id") ? { ownerId: ownerId.toLowerCase() } : {}),
        ...(fields.has("forecast_date") ? { forecastDate: checkedDay(forecastDate, "milestone.forecast_date") } : {}),
        ...(fields.has("progress") ? { progress } : {}),
      };
      return step(id, { kind: "update", patch });
    },

    startMilestone: ({ milestoneId }) => step(milestoneId, { kind: "start" }),
    completeMilestone: ({ milestoneId, actualDate }) =>
      step(milestoneId, { kind: "complete", actualDate: actualDate === "" ? today() : checkedDay(actualDate, "actual_date") }),
    reopenMilestone: ({ milestoneId }) => step(milestoneId, { kind: "reopen" }),
    cancelMilestone: ({ milestoneId, reason }) => step(milestoneId, { kind: "cancel", reason: reason.toWellFormed() }),

    async getModelSlippage({ modelId }) {
      const who = currentWho();
      const found = await deliveriesOfModel(db, modelId, mayActFor(who, "") ? undefined : who.principal?.id);
      if (found.length === 0) throw notFound("model", modelId);
      const counted = found.filter(({ state }) => state !== "canceled");
      const all = counted.flatMap(({ milestones }) => milestones);
      const deliveries = counted.map(({ id, title, state, milestones }) => ({
        ...{ deliveryId: id, title, state: deliveryStateOf[state] },
        ...{ progress: progressOf(milestones), slippage: rollUp(milestones, today()) },
      }));
      return { slippage: rollUp(all, today()), progress: progressOf(all), deliveries };
    },
  });
}

/** What the service sets of a milestone, and a client that sends back what it got may name. */
const outputOnly = [
  ...["id", "delivery_id", "weight", "planned_date", "actual_date", "state", "reason", "slippage", "update_time"],
];

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function currentWho(): Who {
  return currentContext() ?? { principal: undefined, caller: undefined };
}

function idOf(token: string): string | undefined {
  const position = decodePageToken(token);
  if (position !== undefined && (position.length !== 1 || !uuid.test(position[0] ?? ""))) throw badPageToken();
  return position?.[0];
}

function placeOf(token: string): readonly [string, string] | undefined {
  const position = decodePageToken(token);
  if (position === undefined) return undefined;
  const [day = "", id = ""] = position;
  if (position.length !== 2 || !uuid.test(id)) throw badPageToken();
  return [day, id];
}

/** SHA-256 in hex of a JSON value. */
function fingerprint(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}
