/** What others are told of deliveries: the events of topic `value`. Pure. */
import { create, toJson } from "@bufbuild/protobuf";
import { DeliverySchema, MilestoneSchema } from "#gen/value/v1/delivery_pb.ts";
import type { OutboxEvent } from "#mesh/outbox/outbox.ts";
import type { Delivery, Milestone } from "./delivery.ts";
import { toDeliveryMessage, toMilestoneMessage } from "./messages.ts";

/** What may happen to a delivery as a whole, and to a milestone. */
export type DeliveryEvent = "created" | "completed" | "canceled";
export type MilestoneEvent = "added" | "started" | "moved" | "completed" | "reopened" | "canceled";

/** The event of a change of a delivery: as it is after it, in the contract's own form. */
export function deliveryEventOf(happened: DeliveryEvent, delivery: Delivery, today: string): OutboxEvent {
  const json = toJson(DeliverySchema, create(DeliverySchema, toDeliveryMessage(delivery, today)));
  return { topic: "value", key: delivery.modelId, type: `value.delivery.${happened}`, data: { delivery: json } };
}

/** The event of a change of a milestone. */
export function milestoneEventOf(happened: MilestoneEvent, delivery: Delivery, milestone: Milestone, today: string): OutboxEvent {
  const json = toJson(MilestoneSchema, create(MilestoneSchema, toMilestoneMessage(milestone, today)));
  const { id: deliveryId, modelId, userId } = delivery;
  const data = { modelId, deliveryId, userId, milestone: json };
  return { topic: "value", key: modelId, type: `value.milestone.${happened}`, data };
}
