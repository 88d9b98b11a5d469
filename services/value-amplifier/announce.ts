/** What others are told of realisations and strategies: the events of topic `value`. Pure. */
import { create, toJson } from "@bufbuild/protobuf";
import { RealisationSchema, StrategySchema } from "#gen/value/v1/realisation_pb.ts";
import type { OutboxEvent } from "#mesh/outbox/outbox.ts";
import { toRealisationMessage, toStrategyMessage } from "./messages.ts";
import type { Realisation } from "./realisation-store.ts";
import type { Ranked } from "./strategy.ts";

/** What may happen to a strategy. */
export type StrategyEvent = "proposed" | "started" | "completed" | "dropped";

/** The event of a measurement, in the contract's own form. */
export function realisationEventOf(realisation: Realisation): OutboxEvent {
  const json = toJson(RealisationSchema, create(RealisationSchema, toRealisationMessage(realisation)));
  return { topic: "value", key: realisation.modelId, type: "value.realisation.recorded", data: { realisation: json } };
}

/** The event of a change of a strategy, at the place that it has then. */
export function strategyEventOf(happened: StrategyEvent, ranked: Ranked): OutboxEvent {
  const json = toJson(StrategySchema, create(StrategySchema, toStrategyMessage(ranked)));
  return { topic: "value", key: ranked.strategy.modelId, type: `value.strategy.${happened}`, data: { strategy: json } };
}
