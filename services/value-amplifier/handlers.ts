/** The contract's methods: messages to domain values, rules, store, and back. */
import { createHash } from "node:crypto";
import { AmplifierService } from "#gen/value/v1/amplifier_pb.ts";
import { checkedDay, dayOf } from "#mesh/calendar-day.ts";
import { currentContext } from "#mesh/context.ts";
import { invalidArgument, notFound, notYours } from "#mesh/errors.ts";
import { maskedFields } from "#mesh/field-mask.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import { badPageToken, decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import type { StrategyEvent } from "./announce.ts";
import { type ChangeParts, change, edited, ownModel, placeOf, propose, rankedOf, record } from "./changes.ts";
import type { Feed } from "./feed.ts";
import { stateNameOf, toChangeMessage, toProgressMessage, toRealisationMessage, toStrategyMessage } from "./messages.ts";
import { totalsOf } from "./model-store.ts";
import { callerKey, mayActFor, type Who } from "./ownership.ts";
import { findRealisation, latestActuals, listRealisations } from "./realisation-store.ts";
import { complete, drop, type Strategy, start } from "./strategy.ts";
import { findStrategy } from "./strategy-store.ts";

/** What the handlers work with. */
export interface HandlerParts extends ChangeParts {
  readonly feed: Feed;
}

/** The contract and its methods. */
export function amplifierHandlers(parts: HandlerParts): Implementation {
  const { db, feed, clock } = parts;

  const step = async (id: string, decide: (strategy: Strategy, now: number) => Strategy, happened?: StrategyEvent) => ({
    strategy: toStrategyMessage(await change(parts, currentWho(), id, decide, happened)),
  });

  return implement(AmplifierService, {
    async recordRealisation(request) {
      const who = currentWho();
      const { requestId, modelId, hypothesisId, actual, measureDate, note } = request;
      const asked = {
        modelId: modelId.toLowerCase(),
        hypothesisId: hypothesisId.toLowerCase(),
        actual,
        note: note.toWellFormed(),
      };
      const contentHash = fingerprint([asked, measureDate]);
      const day = measureDate === "" ? dayOf(clock()) : checkedDay(measureDate, "measure_date");
      const by = { caller: callerKey(who), requestId, contentHash };
      return { realisation: toRealisationMessage(await record(parts, who, { ...asked, measureDate: day }, by)) };
    },

    async getRealisation({ realisationId }) {
      const realisation = await findRealisation(db, realisationId);
      if (realisation === undefined) throw notFound("realisation", realisationId);
      if (!mayActFor(currentWho(), realisation.userId)) throw notYours("realisation", realisationId);
      return { realisation: toRealisationMessage(realisation) };
    },

    async listRealisations({ modelId, hypothesisId, pageSize, pageToken }) {
      await ownModel(db, currentWho(), modelId);
      const size = pageSize || defaultPageSize;
      const found = await listRealisations(db, {
        ...{ modelId, size: size + 1, after: placeOfToken(pageToken) },
        hypothesisId: hypothesisId === "" ? undefined : hypothesisId,
      });
      const page = found.slice(0, size);
      const last = page.at(-1);
      const nextPageToken = found.length > size && last !== undefined ? encodePageToken([last.measureDate, last.id]) : "";
      return { realisations: page.map(toRealisationMessage), nextPageToken };
    },

    async createStrategy(request) {
      const who = currentWho();
      const { requestId, effect, confidence, reach, effortDays } = request;
      const asked = {
        modelId: request.modelId.toLowerCase(),
        hypothesisId: request.hypothesisId.toLowerCase(),
        ...{ title: request.title.toWellFormed(), description: request.description.toWellFormed() },
        ...{ effect, confidence, reach, effortDays },
      };
      const by = { caller: callerKey(who), requestId, contentHash: fingerprint(asked) };
      return { strategy: toStrategyMessage(await propose(parts, who, asked, by)) };
    },

    async getStrategy({ strategyId }) {
      const strategy = await findStrategy(db, strategyId);
      if (strategy === undefined) throw notFound("strategy", strategyId);
      if (!mayActFor(currentWho(), strategy.userId)) throw notYours("strategy", strategyId);
      return { strategy: toStrategyMessage(await placeOf(db, strategy)) };
    },

    async listStrategies({ modelId, state: wanted, pageSize, pageToken }) {
      const model = await ownModel(db, currentWho(), modelId);
      const state = stateNameOf(wanted);
      const all = (await rankedOf(db, model)).filter(({ strategy }) => state === undefined || strategy.state === state);
      const [from, size] = [numberOf(pageToken), pageSize || defaultPageSize];
      const nextPageToken = from + size < all.length ? encodePageToken([from + size]) : "";
      return { strategies: all.slice(from, from + size).map(toStrategyMessage), nextPageToken };
    },

    async updateStrategy({ strategy, updateMask }) {
      if (strategy === undefined || !uuid.test(strategy.id)) {
        throw invalidArgument([{ field: "strategy.id", description: "expected a UUID" }]);
      }
      const { id, title, description, effect, confidence, reach, effortDays } = strategy;
      const fields = maskedFields(updateMask, changeable, outputOnly);
      if (fields.has("title") && title === "")
        throw invalidArgument([{ field: "strategy.title", description: "expected a title" }]);
      const patch = {
        ...(fields.has("title") ? { title: title.toWellFormed() } : {}),
        ...(fields.has("description") ? { description: description.toWellFormed() } : {}),
        ...(fields.has("effect") ? { effect: positive(effect, "effect") } : {}),
        ...(fields.has("confidence") ? { confidence: positive(confidence, "confidence") } : {}),
        ...(fields.has("reach") ? { reach: positive(reach, "reach") } : {}),
        ...(fields.has("effort_days") ? { effortDays: positive(effortDays, "effort_days") } : {}),
      };
      return step(id, edited(patch));
    },

    startStrategy: ({ strategyId }) => step(strategyId, start, "started"),
    completeStrategy: ({ strategyId, achievedEffect }) =>
      step(strategyId, (strategy, now) => complete(strategy, achievedEffect, now), "completed"),
    dropStrategy: ({ strategyId, reason }) =>
      step(strategyId, (strategy, now) => drop(strategy, reason.toWellFormed(), now), "dropped"),

    async getModelProgress({ modelId }) {
      const model = await ownModel(db, currentWho(), modelId);
      const [totals, actuals] = await Promise.all([totalsOf(db, modelId), latestActuals(db, modelId)]);
      return { progress: toProgressMessage(model, totals, actuals, dayOf(clock())) };
    },

    async *watchModelProgress({ modelId, afterNumber }, { requestHeader, responseHeader, signal }) {
      const { id } = await ownModel(db, currentWho(), modelId);
      const seen = requestHeader.get("last-event-id");
      const after = seen !== null && /^\d{1,15}$/.test(seen) ? Number(seen) : Number(afterNumber);
      if (seen === String(after)) responseHeader.set("last-event-id", seen);
      for await (const one of feed.watch(id, after, signal)) yield { change: toChangeMessage(one) };
    },
  });
}

const changeable = ["title", "description", "effect", "confidence", "reach", "effort_days"] as const;

/** What the service sets of a strategy, and a client that sends back what it got may name. */
const outputOnly = [
  ...["id", "user_id", "model_id", "hypothesis_id", "state", "reason", "achieved_effect", "rank", "score", "confidence_used"],
  ...["expected_gain", "create_time", "update_time"],
];

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function currentWho(): Who {
  return currentContext() ?? { principal: undefined, caller: undefined };
}

/** A field that the contract lets be 0 where it is not to be changed. */
function positive(value: number, field: string): number {
  if (value > 0) return value;
  throw invalidArgument([{ field: `strategy.${field}`, description: "expected more than 0" }]);
}

function placeOfToken(token: string): readonly [string, string] | undefined {
  const position = decodePageToken(token);
  if (position === undefined) return undefined;
  const [day = "", id = ""] = position;
  if (position.length !== 2 || !uuid.test(id)) throw badPageToken();
  return [day, id];
}

function numberOf(token: string): number {
  const position = decodePageToken(token);
  if (position !== undefined && (position.length !== 1 || !/^\d{1,9}$/.test(position[0] ?? ""))) throw badPageToken();
  return Number(position?.[0] ?? 0);
}

/** SHA-256 in hex of a JSON value. */
function fingerprint(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}
