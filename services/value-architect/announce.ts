/** What others are told of models: the events of topic `value`. Pure. */
import { create, toJson } from "@bufbuild/protobuf";
import { ModelSchema } from "#gen/value/v1/model_pb.ts";
import type { OutboxEvent } from "#mesh/outbox/outbox.ts";
import { toModelMessage } from "./messages.ts";
import type { Model } from "./model.ts";

/** The types of the architect's events. */
export type ModelEventType =
  | "value.model.created"
  | "value.model.submitted"
  | "value.model.returned"
  | "value.model.approved"
  | "value.model.superseded";

/** The event of a change: the model after it, in the contract's own form. The hypotheses come with the approval alone. */
export function eventOf(type: ModelEventType, model: Model): OutboxEvent {
  const told = type === "value.model.approved" ? model : { ...model, hypotheses: [] };
  const json = toJson(ModelSchema, create(ModelSchema, toModelMessage(told, new Map())));
  return { topic: "value", key: model.id, type, data: { model: json } };
}
