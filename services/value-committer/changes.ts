/** The changes of commitments: each decided by the rules, stored, and told of, in one transaction. */
import { alreadyExists, notFound, notYours, permissionDenied } from "#mesh/errors.ts";
import type { Outbox } from "#mesh/outbox/outbox.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { type CommitmentEvent, eventOf } from "./announce.ts";
import { approve, assertDraft, type Commitment, isApprover, propose, reject, revise, sign, withdraw } from "./commitment.ts";
import { findModel } from "./model-store.ts";
import { mayActFor, type Who } from "./ownership.ts";
import { findByRequest, insertCommitment, lockCommitment, type Request, updateCommitment } from "./store.ts";

/** What changes work with. */
export interface ChangeParts {
  readonly db: Database;
  readonly outbox: Pick<Outbox, "put">;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

/** A step of a commitment. */
export type Step =
  | { readonly kind: "propose" | "revise" }
  | { readonly kind: "approve"; readonly note: string }
  | { readonly kind: "reject" | "withdraw"; readonly reason: string }
  | { readonly kind: "sign"; readonly signatory: string };

/** Whether the call may see the commitment: see committer.proto. */
export function mayRead(who: Who, commitment: Commitment): boolean {
  if (mayActFor(who, commitment.userId)) return true;
  return commitment.state !== "draft" && who.principal !== undefined && isApprover(commitment, who.principal);
}

/** Stores a commitment; or answers with the one that the same request made before. */
export function begin({ db, outbox }: ChangeParts, commitment: Commitment, request: Request): Promise<Commitment> {
  return db.transaction(async (tx) => {
    if (await insertCommitment(tx, commitment, request)) {
      await outbox.put(tx, eventOf("created", commitment));
      return commitment;
    }
    return (await repeated(tx, request)) ?? Promise.reject(takenRequestId(request.requestId));
  });
}

/** The commitment of a request that came before. @throws ALREADY_EXISTS when that asked for something else. */
export async function repeated(db: Queryable, { caller, requestId, contentHash }: Request): Promise<Commitment | undefined> {
  const before = await findByRequest(db, caller, requestId);
  if (before !== undefined && before.contentHash !== contentHash) throw takenRequestId(requestId);
  return before?.commitment;
}

/** Changes a draft as `change` says. */
export function edit(parts: ChangeParts, who: Who, id: string, change: (draft: Commitment) => Commitment): Promise<Commitment> {
  return parts.db.transaction(async (tx) => {
    const draft = await held(tx, who, id, "owner");
    assertDraft(draft);
    const after = { ...change(draft), updateTime: parts.clock() };
    await updateCommitment(tx, after);
    return after;
  });
}

/** Takes a step. What has been done already changes nothing. */
export function take({ db, outbox, clock }: ChangeParts, who: Who, id: string, step: Step): Promise<Commitment> {
  return db.transaction(async (tx) => {
    const before = await held(tx, who, id, step.kind === "approve" || step.kind === "reject" ? "reader" : "owner");
    // Without an event of the model yet it stands as it did when the architect was asked.
    const standing = (await findModel(tx, before.modelId))?.version ?? before.modelVersion;
    const after = decide(before, who, step, standing, clock());
    if (after === before) return before;
    await updateCommitment(tx, after);
    for (const happened of eventsOf(step, after)) await outbox.put(tx, eventOf(happened, after));
    return after;
  });
}

function decide(before: Commitment, { principal }: Who, step: Step, standing: number, now: number): Commitment {
  switch (step.kind) {
    case "propose":
      return propose(before, standing, now);
    case "approve":
      return approve(before, principal, step.note, now);
    case "reject":
      return reject(before, principal, step.reason, now);
    case "revise":
      return revise(before, now);
    case "sign":
      return sign(before, step.signatory, standing, now);
    case "withdraw":
      return withdraw(before, step.reason, now);
  }
}

/** What is told of a step; an approval that is not the last one is nobody else's business. */
function eventsOf({ kind }: Step, { state }: Commitment): readonly CommitmentEvent[] {
  const told = {
    approve: [],
    propose: ["proposed"],
    reject: ["rejected"],
    revise: ["revised"],
    sign: ["signed"],
    withdraw: ["withdrawn"],
  } as const;
  return state === "approved" ? [...told[kind], "approved"] : told[kind];
}

/** A commitment, held until the transaction ends. @throws NOT_FOUND, or PERMISSION_DENIED for an approver who is to be the owner. */
async function held(tx: Queryable, who: Who, id: string, as: "owner" | "reader"): Promise<Commitment> {
  const commitment = await lockCommitment(tx, id);
  if (commitment === undefined) throw notFound("commitment", id);
  if (!mayRead(who, commitment)) throw notYours("commitment", id);
  if (as === "owner" && !mayActFor(who, commitment.userId)) throw permissionDenied("NOT_THE_OWNER", "only its owner can do this");
  return commitment;
}

function takenRequestId(requestId: string): Error {
  return alreadyExists(`request_id ${JSON.stringify(requestId)} came before with other content`);
}
