/** The contract's methods: messages to domain values, rules, store, and back. */
import { createHash } from "node:crypto";
import { ArchitectService } from "#gen/value/v1/architect_pb.ts";
import type { MeshClient } from "#mesh/client/client.ts";
import { currentContext } from "#mesh/context.ts";
import { invalidArgument, notFound, notYours } from "#mesh/errors.ts";
import { maskedFields } from "#mesh/field-mask.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import { badPageToken, decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { addHypothesis, begin, type ChangeParts, edit, mayRead, type Step, take } from "./changes.ts";
import { findingsOf } from "./finding-store.ts";
import { fromHypothesisMessage, stateNameOf, toHypothesisMessage, toModelMessage } from "./messages.ts";
import type { Model } from "./model.ts";
import { callerKey, ownerOf, type Who } from "./ownership.ts";
import { type RoiCase, roiOf } from "./roi.ts";
import { findModel, listModels, listVersions } from "./store.ts";

/** What the handlers work with. */
export interface HandlerParts extends ChangeParts {
  readonly mesh: MeshClient;
}

/** The contract and its methods. */
export function architectHandlers(parts: HandlerParts): Implementation {
  const { db, mesh, clock } = parts;

  const step = async (modelId: string, taken: Step) => ({ model: await shown(await take(parts, currentWho(), modelId, taken)) });

  return implement(ArchitectService, {
    async createModel(request) {
      const who = currentWho();
      const now = clock();
      const { requestId, currency } = request;
      if (!Intl.supportedValuesOf("currency").includes(currency)) {
        throw invalidArgument([{ field: "currency", description: "expected an ISO 4217 code" }]);
      }
      const hypotheses = request.hypotheses.map((one, at) => fromHypothesisMessage(one, uuidv7(now), `hypotheses[${at}]`));
      const content = {
        userId: ownerOf(who, request.userId),
        title: request.title.toWellFormed(),
        description: request.description.toWellFormed(),
        currency,
        investment: Number(request.investment),
        reviewerIds: lowered(request.reviewerIds),
      };
      const contentHash = fingerprint([content, hypotheses.map(({ id: _, ...rest }) => rest)]);
      const fresh = { version: 1, state: "draft", approvedByIds: [], returnReason: "", approveTime: undefined } as const;
      const model = { ...content, ...fresh, id: uuidv7(now), hypotheses, createTime: now, updateTime: now };
      return { model: await shown(await begin(parts, model, { caller: callerKey(who), requestId, contentHash })) };
    },

    async getModel({ modelId, version }) {
      return { model: await shown(await visible(modelId, version)) };
    },

    async listModels({ userId, toReview, state, pageSize, pageToken }) {
      const size = pageSize || defaultPageSize;
      const query = { userId: ownerOf(currentWho(), userId), toReview, state: stateNameOf(state), after: idOf(pageToken) };
      const found = await listModels(db, { ...query, size: size + 1 });
      return pageOf(found, size, ({ id }) => id);
    },

    async listModelVersions({ modelId, pageSize, pageToken }) {
      const who = currentWho();
      await visible(modelId, 0);
      const size = pageSize || defaultPageSize;
      const found = await listVersions(db, modelId, numberOf(pageToken) ?? 2 ** 31 - 1, size + 1);
      return pageOf(
        found,
        size,
        ({ version }) => String(version),
        (model) => mayRead(who, model),
      );
    },

    async updateModel({ model, updateMask }) {
      const fields = maskedFields(updateMask, ["title", "description", "investment", "reviewer_ids"], outputOnly);
      const { id = "", title = "", description = "", investment = 0n, reviewerIds = [] } = model ?? {};
      if (fields.has("title") && title === "") throw invalidArgument([{ field: "model.title", description: "expected a title" }]);
      const after = await edit(parts, currentWho(), checkedId(id, "model.id"), (draft) => ({
        ...draft,
        ...(fields.has("title") ? { title: title.toWellFormed() } : {}),
        ...(fields.has("description") ? { description: description.toWellFormed() } : {}),
        ...(fields.has("investment") ? { investment: Number(investment) } : {}),
        ...(fields.has("reviewer_ids") ? { reviewerIds: lowered(reviewerIds) } : {}),
      }));
      return { model: await shown(after) };
    },

    async addHypothesis({ requestId, modelId, hypothesis: message }) {
      const hypothesis = fromHypothesisMessage(message, uuidv7(clock()), "hypothesis");
      const { id: _, ...content } = hypothesis;
      const request = { requestId, contentHash: fingerprint(content), hypothesis };
      return { hypothesis: toHypothesisMessage(await addHypothesis(parts, currentWho(), modelId, request), undefined) };
    },

    async listHypotheses({ modelId, version, pageSize, pageToken }) {
      const { hypotheses } = await visible(modelId, version);
      const findings = await findingsOf(db, [modelId]);
      const [from, size] = [numberOf(pageToken) ?? 0, pageSize || defaultPageSize];
      const page = hypotheses.slice(from, from + size);
      const nextPageToken = from + size < hypotheses.length ? encodePageToken([from + size]) : "";
      return { hypotheses: page.map((one) => toHypothesisMessage(one, findings.get(one.id))), nextPageToken };
    },

    async replaceHypothesis({ modelId, hypothesisId, hypothesis: message }) {
      const hypothesis = fromHypothesisMessage(message, hypothesisId.toLowerCase(), "hypothesis");
      await edit(parts, currentWho(), modelId, (draft) => {
        if (!draft.hypotheses.some(({ id }) => id === hypothesis.id)) throw notFound("hypothesis", hypothesisId);
        return { ...draft, hypotheses: draft.hypotheses.map((one) => (one.id === hypothesis.id ? hypothesis : one)) };
      });
      return { hypothesis: toHypothesisMessage(hypothesis, (await findingsOf(db, [modelId])).get(hypothesis.id)) };
    },

    async removeHypothesis({ modelId, hypothesisId }) {
      const gone = hypothesisId.toLowerCase();
      await edit(parts, currentWho(), modelId, (draft) => ({
        ...draft,
        hypotheses: draft.hypotheses.filter(({ id }) => id !== gone),
      }));
      return {};
    },

    submitModel: ({ modelId }) => step(modelId, { kind: "submit" }),
    approveModel: ({ modelId, version }) => step(modelId, { kind: "approve", version }),
    returnModel: ({ modelId, reason }) => step(modelId, { kind: "return", reason: reason.toWellFormed() }),
    reviseModel: ({ modelId }) => step(modelId, { kind: "revise" }),

    async getModelRoi({ modelId, version }) {
      const model = await visible(modelId, version);
      const { months, expected, full } = await roiOf(mesh, model);
      const { currency } = model;
      return { investment: BigInt(model.investment), currency, months, expected: toCase(expected), full: toCase(full) };
    },
  });

  /** A version, the latest that the caller may see for 0. @throws NOT_FOUND when there is none. */
  async function visible(id: string, version: number): Promise<Model> {
    const who = currentWho();
    const model = await findModel(db, id, version);
    if (model === undefined) throw notFound("model", id);
    if (mayRead(who, model)) return model;
    // A reviewer of the version that stands does not see the draft of the next one.
    const [before] = version === 0 ? await listVersions(db, id, model.version, 1) : [];
    if (before !== undefined && mayRead(who, before)) return before;
    throw notYours("model", id);
  }

  async function shown(model: Model) {
    return toModelMessage(model, await findingsOf(db, [model.id]));
  }

  async function pageOf(found: readonly Model[], size: number, positionOf: (model: Model) => string, shows = (_: Model) => true) {
    const page = found.slice(0, size);
    const findings = await findingsOf(
      db,
      page.map(({ id }) => id),
    );
    const last = page.at(-1);
    const nextPageToken = found.length > size && last !== undefined ? encodePageToken([positionOf(last)]) : "";
    return { models: page.filter(shows).map((model) => toModelMessage(model, findings)), nextPageToken };
  }
}

/** What the service sets of a model, and a client that sends back what it got may name. */
const outputOnly = [
  ...["id", "version", "user_id", "currency", "approved_by_ids", "state", "return_reason", "hypotheses", "full_gain"],
  ...["expected_gain", "create_time", "update_time", "approve_time"],
];

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function currentWho(): Who {
  return currentContext() ?? { principal: undefined, caller: undefined };
}

/** An id within a message that has one in other places, where it may be empty. */
function checkedId(id: string, field: string): string {
  if (!uuid.test(id)) throw invalidArgument([{ field, description: "expected a UUID" }]);
  return id;
}

function idOf(token: string): string | undefined {
  const position = decodePageToken(token);
  if (position !== undefined && (position.length !== 1 || !uuid.test(position[0] ?? ""))) throw badPageToken();
  return position?.[0];
}

function numberOf(token: string): number | undefined {
  const position = decodePageToken(token);
  if (position !== undefined && (position.length !== 1 || !/^\d{1,9}$/.test(position[0] ?? ""))) throw badPageToken();
  return position === undefined ? undefined : Number(position[0]);
}

function lowered(ids: readonly string[]): string[] {
  return [...new Set(ids.map((id) => id.toLowerCase()))];
}

/** SHA-256 in hex of a JSON value. */
function fingerprint(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

function toCase({ gain, netGain, roi, annualRoi, paybackMonths }: RoiCase) {
  return {
    ...{ gain: BigInt(gain), netGain: BigInt(netGain), roi },
    ...(annualRoi === undefined ? {} : { annualRoi }),
    ...(paybackMonths === undefined ? {} : { paybackMonths }),
  };
}
