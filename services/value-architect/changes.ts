/** The changes of models: each decided by the rules, stored, and told of, in one transaction. */
import { alreadyExists, failedPrecondition, notFound, notYours, permissionDenied, resourceExhausted } from "#mesh/errors.ts";
import type { Outbox } from "#mesh/outbox/outbox.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { eventOf, type ModelEventType } from "./announce.ts";
import {
  approve,
  assertDraft,
  giveBack,
  type Hypothesis,
  type Model,
  maxHypotheses,
  nextVersion,
  submit,
  supersede,
} from "./model.ts";
import { mayActFor, type Who } from "./ownership.ts";
import { findApproved, findByRequest, insertModel, lockModel, noteAddition, putVersion, type Request } from "./store.ts";

/** What changes work with. */
export interface ChangeParts {
  readonly db: Database;
  readonly outbox: Pick<Outbox, "put">;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

/** Whether the call may see the version: see architect.proto. */
export function mayRead(who: Who, model: Model): boolean {
  if (mayActFor(who, model.userId)) return true;
  // A draft with a reason was submitted, and returned.
  const submitted = model.state !== "draft" || model.returnReason !== "";
  return submitted && who.principal !== undefined && model.reviewerIds.includes(who.principal.id);
}

/** Stores a model; or answers with the one that the same request made before. @throws ALREADY_EXISTS when that asked for something else. */
export function begin({ db, outbox }: ChangeParts, model: Model, request: Request): Promise<Model> {
  return db.transaction(async (tx) => {
    if (await insertModel(tx, model, request)) {
      await outbox.put(tx, eventOf("value.model.created", model));
      return model;
    }
    const before = await findByRequest(tx, request.caller, request.requestId);
    if (before?.contentHash !== request.contentHash) throw takenRequestId(request.requestId);
    return before.model;
  });
}

/** Changes a draft as `change` says. */
export function edit(parts: ChangeParts, who: Who, id: string, change: (draft: Model) => Model): Promise<Model> {
  return parts.db.transaction(async (tx) => {
    const draft = await held(tx, who, id, "owner");
    assertDraft(draft);
    const after = { ...change(draft), updateTime: parts.clock() };
    await putVersion(tx, after);
    return after;
  });
}

/** Adds a hypothesis to a draft; or answers with the one that the same request added before. */
export function addHypothesis(
  parts: ChangeParts,
  who: Who,
  id: string,
  request: { readonly requestId: string; readonly contentHash: string; readonly hypothesis: Hypothesis },
): Promise<Hypothesis> {
  const { hypothesis, requestId, contentHash } = request;
  return parts.db.transaction(async (tx) => {
    const draft = await held(tx, who, id, "owner");
    const before = await noteAddition(tx, id, { requestId, contentHash, hypothesisId: hypothesis.id });
    if (before !== undefined) {
      if (before.contentHash !== contentHash) throw takenRequestId(requestId);
      const added = draft.hypotheses.find((one) => one.id === before.hypothesisId);
      if (added === undefined) throw failedPrecondition("HYPOTHESIS_REMOVED", "the hypothesis was added, and removed since");
      return added;
    }
    assertDraft(draft);
    if (draft.hypotheses.length >= maxHypotheses) {
      throw resourceExhausted(`a model has at most ${maxHypotheses} hypotheses`, 60_000);
    }
    await putVersion(tx, { ...draft, hypotheses: [...draft.hypotheses, hypothesis], updateTime: parts.clock() });
    return hypothesis;
  });
}

/** A step of a model's latest version. */
export type Step =
  | { readonly kind: "submit" }
  | { readonly kind: "approve" /** 0: whichever it is. */; readonly version: number }
  | { readonly kind: "return"; readonly reason: string }
  | { readonly kind: "revise" };

/** Takes a step. What has been done already changes nothing. */
export function take({ db, outbox, clock }: ChangeParts, who: Who, id: string, step: Step): Promise<Model> {
  return db.transaction(async (tx) => {
    const now = clock();
    const before = await held(tx, who, id, step.kind === "approve" || step.kind === "return" ? "reader" : "owner");
    // A revision under way is what a repeat of :revise asks for.
    if (step.kind === "revise" && before.version > 1 && before.state === "draft") return before;
    const { after, type } = decide(before, who, step, now);
    if (after === before) return before;
    const told = type === undefined ? [] : [eventOf(type, after)];
    if (after.state === "approved") {
      const stood = await findApproved(tx, id);
      if (stood !== undefined) {
        const gone = supersede(stood, now);
        await putVersion(tx, gone);
        told.unshift(eventOf("value.model.superseded", gone));
      }
    }
    await putVersion(tx, after);
    for (const event of told) await outbox.put(tx, event);
    return after;
  });
}

function decide(before: Model, who: Who, step: Step, now: number): { after: Model; type: ModelEventType | undefined } {
  switch (step.kind) {
    case "submit":
      return { after: submit(before, now), type: "value.model.submitted" };
    case "return":
      return { after: giveBack(before, step.reason, now), type: "value.model.returned" };
    case "revise":
      return { after: nextVersion(before, now), type: undefined };
    case "approve": {
      if (step.version !== 0 && step.version !== before.version) {
        throw failedPrecondition("OTHER_VERSION", `the latest version is ${before.version}, not ${step.version}`);
      }
      const after = approve(before, who.principal?.id, now);
      return { after, type: after.state === "approved" ? "value.model.approved" : undefined };
    }
  }
}

/** The latest version, held until the transaction ends. @throws NOT_FOUND, or PERMISSION_DENIED for a reviewer who is to be the owner. */
async function held(tx: Queryable, who: Who, id: string, as: "owner" | "reader"): Promise<Model> {
  const model = await lockModel(tx, id);
  if (model === undefined) throw notFound("model", id);
  if (!mayRead(who, model)) throw notYours("model", id);
  if (as === "owner" && !mayActFor(who, model.userId)) throw permissionDenied("NOT_THE_OWNER", "only its owner can do this");
  return model;
}

function takenRequestId(requestId: string): Error {
  return alreadyExists(`request_id ${JSON.stringify(requestId)} came before with other content`);
}
