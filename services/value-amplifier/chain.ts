/** What the amplifier hears of the others, and of itself: every event of the chain moves a model's progress and stands in its history. */
import { CommitmentSchema } from "#gen/value/v1/commitment_pb.ts";
import { DeliverySchema, MilestoneSchema } from "#gen/value/v1/delivery_pb.ts";
import { type Model, ModelSchema } from "#gen/value/v1/model_pb.ts";
import { RealisationSchema, StrategySchema } from "#gen/value/v1/realisation_pb.ts";
import { invalidArgument } from "#mesh/errors.ts";
import { eventMessage } from "#mesh/inbox/event-message.ts";
import type { InboxEvent } from "#mesh/inbox/inbox.ts";
import type { Queryable } from "#mesh/storage/database.ts";
import { addChange, findModel, meetModel, putApproved, putCommitment, putDelivery, totalsOf } from "./model-store.ts";
import { type Hypothesis, stageOf } from "./progress.ts";

/** The types that the amplifier listens to. */
export const heardTypes = ["value.*"];

/** What an event says of its model, in words, and what it changes. */
interface Heard {
  readonly modelId: string;
  readonly userId: string;
  /** The model's title; "" where the event does not tell it. */
  readonly title: string;
  readonly summary: string;
  readonly effect?: (tx: Queryable) => Promise<void>;
}

/** Moves a model's progress by an event. Those of other kinds are passed over. @throws INVALID_ARGUMENT for one that is not what it says. */
export async function hear(tx: Queryable, event: InboxEvent): Promise<void> {
  const { type } = event;
  const [, kind = "", happened = ""] = type.split(".");
  const heard = readers[kind]?.(event, happened.replace("_", " "));
  if (heard === undefined) return;
  const { modelId, userId, title, summary, effect } = heard;
  // Holds the model: changes of one model take turns, and so have numbers without gaps.
  await meetModel(tx, modelId, userId, title);
  await effect?.(tx);
  const version = (await findModel(tx, modelId))?.version ?? 0;
  const stage = stageOf({ ...(await totalsOf(tx, modelId)), version });
  await addChange(tx, modelId, { type, summary, stage, time: event.at.getTime() });
}

const readers: Readonly<Record<string, (event: InboxEvent, happened: string) => Heard>> = {
  model(event, happened) {
    const model = eventMessage(ModelSchema, event, "model");
    const { id: modelId, userId, title, version } = model;
    const summary = `version ${version} of "${title}" was ${happened}`;
    const effect = happened === "approved" ? (tx: Queryable) => putApproved(tx, approvedOf(model)) : undefined;
    return { modelId, userId, title, summary, ...(effect === undefined ? {} : { effect }) };
  },

  commitment(event, happened) {
    const { id, modelId, userId, title, amount, currency } = eventMessage(CommitmentSchema, event, "commitment");
    const worth = happened === "signed" ? `, worth ${amount} ${currency} in minor units` : "";
    const effect = (tx: Queryable) => (happened === "signed" ? putCommitment(tx, id, modelId, amount) : Promise.resolve());
    return { modelId, userId, title: "", summary: `commitment "${title}" was ${happened}${worth}`, effect };
  },

  delivery(event, happened) {
    const { id, modelId, userId, title, slippage } = eventMessage(DeliverySchema, event, "delivery");
    const state = happened === "completed" || happened === "canceled" ? happened : "open";
    const lateness = happened === "completed" ? `, ${latenessOf(slippage?.days ?? 0)}` : "";
    const summary = `delivery "${title}" was ${happened}${lateness}`;
    return { modelId, userId, title: "", summary, effect: (tx) => putDelivery(tx, id, modelId, state) };
  },

  milestone(event, happened) {
    const { title, slippage } = eventMessage(MilestoneSchema, event, "milestone");
    const { modelId, userId } = event.data;
    if (typeof modelId !== "string" || typeof userId !== "string") {
      throw invalidArgument([{ field: "data.model_id", description: "expected the ids of a model and a user" }]);
    }
    const lateness = slippage === undefined ? "" : `, ${latenessOf(slippage.days)}`;
    return { modelId, userId, title: "", summary: `milestone "${title}" was ${happened}${lateness}` };
  },

  realisation(event) {
    const { modelId, userId, actual, realisedShare } = eventMessage(RealisationSchema, event, "realisation");
    const summary = `${actual} was measured: ${Math.round(realisedShare * 100)} % of the way`;
    return { modelId, userId, title: "", summary };
  },

  strategy(event, happened) {
    const { modelId, userId, title } = eventMessage(StrategySchema, event, "strategy");
    return { modelId, userId, title: "", summary: `strategy "${title}" was ${happened}` };
  },
};

function approvedOf(model: Model) {
  const { id, title, version, currency, investment } = model;
  const hypotheses: Hypothesis[] = model.hypotheses.map((one) => ({
    ...{ id: one.id, driver: one.driver, unit: one.unit, baseline: one.baseline, target: one.target, dueDate: one.dueDate },
    ...{ fullGain: Number(one.fullGain), expectedGain: Number(one.expectedGain) },
  }));
  return { id, title, version, currency, investment: Number(investment), hypotheses };
}

function latenessOf(days: number): string {
  if (days === 0) return "on time";
  return `${Math.abs(days)} ${Math.abs(days) === 1 ? "day" : "days"} ${days > 0 ? "late" : "early"}`;
}
