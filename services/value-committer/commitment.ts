/**
 * What a commitment is, and what may be done with it. Pure.
 *
 *     draft --propose--> proposed --approve, by all who must--> approved --sign--> signed
 *       ^                   |--reject--> rejected --revise--> draft
 *       '-- withdraw: from draft, proposed, approved and rejected to withdrawn
 */
import { failedPrecondition, invalidArgument, permissionDenied } from "#mesh/errors.ts";

/** The life of a commitment; see commitment.proto. */
export type CommitmentState = "draft" | "proposed" | "approved" | "signed" | "rejected" | "withdrawn";

/** What a term of a deal is about. */
export type TermKind = "payment" | "service_level" | "penalty" | "bonus" | "termination" | "other";

/** A term of a deal; the amount in minor units, "" for no day. */
export interface DealTerm {
  readonly kind: TermKind;
  readonly title: string;
  readonly text: string;
  readonly amount: number;
  readonly dueDate: string;
}

/** Something to deliver. */
export interface Deliverable {
  readonly title: string;
  /** "" for the commitment's owner. */
  readonly ownerId: string;
  readonly dueDate: string;
  readonly weight: number;
}

/** An approval that is needed: a user's, or that of anybody with a role. */
export type RequiredApproval = { readonly userId: string } | { readonly role: string };

/** An approval that was given. */
export interface Approval {
  readonly userId: string;
  /** The index of the required one that it is. */
  readonly requirement: number;
  readonly note: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
}

/** What can be changed of a draft. */
export interface CommitmentContent {
  readonly title: string;
  readonly contract: {
    readonly reference: string;
    readonly counterparty: string;
    readonly startDate: string;
    readonly endDate: string;
  };
  /** In minor units. */
  readonly amount: number;
  readonly terms: readonly DealTerm[];
  readonly deliverables: readonly Deliverable[];
  readonly requiredApprovals: readonly RequiredApproval[];
}

/** A commitment. Times in milliseconds since the epoch. */
export interface Commitment extends CommitmentContent {
  readonly id: string;
  readonly userId: string;
  readonly modelId: string;
  readonly modelVersion: number;
  readonly currency: string;
  readonly approvals: readonly Approval[];
  readonly state: CommitmentState;
  readonly reason: string;
  readonly signatory: string;
  readonly createTime: number;
  readonly updateTime: number;
  readonly signTime: number | undefined;
}

/** Somebody who approves or rejects. */
export interface Person {
  readonly id: string;
  readonly roles: readonly string[];
}

/** @throws INVALID_ARGUMENT naming what does not go together, below `path`. */
export function assertContent({ contract, terms }: CommitmentContent, path = ""): void {
  const { startDate, endDate } = contract;
  if (startDate !== "" && endDate !== "" && endDate < startDate) {
    throw invalidArgument([{ field: `${path}contract.end_date`, description: `expected ${startDate} or a later day` }]);
  }
  const free = terms.findIndex(({ kind, amount }) => kind === "payment" && amount === 0);
  if (free >= 0) throw invalidArgument([{ field: `${path}terms[${free}].amount`, description: "expected a payment above 0" }]);
}

/** @throws FAILED_PRECONDITION (COMMITMENT_NOT_IN_DRAFT). */
export function assertDraft(commitment: Commitment): void {
  assertState(commitment, "draft");
}

/**
 * Asks for the approvals; where none is needed it has them all.
 *
 * @throws FAILED_PRECONDITION (COMMITMENT_NOT_IN_DRAFT, PAYMENTS_DO_NOT_ADD_UP, MODEL_SUPERSEDED). `standing` is the model's approved version.
 */
export function propose(commitment: Commitment, standing: number, now: number): Commitment {
  // Where none was needed, or all have come meanwhile, a repeat finds it further on.
  if (commitment.state === "proposed" || commitment.state === "approved") return commitment;
  assertDraft(commitment);
  assertStands(commitment, standing);
  const payments = commitment.terms.filter(({ kind }) => kind === "payment");
  const sum = payments.reduce((total, { amount }) => total + amount, 0);
  if (payments.length > 0 && sum !== commitment.amount) {
    throw failedPrecondition(
      "PAYMENTS_DO_NOT_ADD_UP",
      `the payments come to ${sum}, the amount is ${commitment.amount}, in minor units`,
    );
  }
  const state = commitment.requiredApprovals.length === 0 ? "approved" : "proposed";
  return { ...commitment, state, approvals: [], updateTime: now };
}

/**
 * Counts a person's approval: for what they are named in, else for the first open role that they have. The owner counts where they are named,
 * never by a role, and nobody counts twice.
 *
 * @throws PERMISSION_DENIED (NOT_AN_APPROVER), FAILED_PRECONDITION (COMMITMENT_NOT_IN_PROPOSED).
 */
export function approve(commitment: Commitment, person: Person | undefined, note: string, now: number): Commitment {
  const given = commitment.approvals.some(({ userId }) => userId === person?.id);
  if (given && (commitment.state === "proposed" || commitment.state === "approved")) return commitment;
  const requirement = requirementOf(commitment, person);
  if (person === undefined || requirement === undefined) throw notAnApprover();
  assertState(commitment, "proposed");
  const approvals = [...commitment.approvals, { userId: person.id, requirement, note, time: now }];
  const state = approvals.length === commitment.requiredApprovals.length ? "approved" : "proposed";
  return { ...commitment, approvals, state, updateTime: now };
}

/** Somebody who could approve it, or has, refuses. */
export function reject(commitment: Commitment, person: Person | undefined, reason: string, now: number): Commitment {
  const given = commitment.approvals.some(({ userId }) => userId === person?.id);
  if (!given && requirementOf(commitment, person) === undefined) throw notAnApprover();
  if (commitment.state === "rejected") return commitment;
  assertState(commitment, "proposed");
  return { ...commitment, state: "rejected", reason, updateTime: now };
}

/** Makes a draft of what was rejected. */
export function revise(commitment: Commitment, now: number): Commitment {
  if (commitment.state === "draft") return commitment;
  assertState(commitment, "rejected");
  return { ...commitment, state: "draft", reason: "", approvals: [], updateTime: now };
}

/** Signs what is approved: it binds. */
export function sign(commitment: Commitment, signatory: string, standing: number, now: number): Commitment {
  if (commitment.state === "signed" && commitment.signatory === signatory) return commitment;
  assertState(commitment, "approved");
  assertStands(commitment, standing);
  return { ...commitment, state: "signed", signatory, signTime: now, updateTime: now };
}

/** Gives up what does not bind yet. */
export function withdraw(commitment: Commitment, reason: string, now: number): Commitment {
  if (commitment.state === "withdrawn") return commitment;
  if (commitment.state === "signed") {
    throw failedPrecondition("COMMITMENT_SIGNED", `commitment ${commitment.id} is signed: it binds`);
  }
  return { ...commitment, state: "withdrawn", reason, updateTime: now };
}

/** The required approvals that are open, with their places. */
export function openApprovals({
  state,
  requiredApprovals,
  approvals,
}: Commitment): (RequiredApproval & { readonly at: number })[] {
  if (state !== "proposed") return [];
  const given = new Set(approvals.map(({ requirement }) => requirement));
  return requiredApprovals.map((required, at) => ({ ...required, at })).filter(({ at }) => !given.has(at));
}

/** Whether a person is one of those whose approval it names. */
export function isApprover({ requiredApprovals, userId }: Commitment, person: Person): boolean {
  return requiredApprovals.some((one) =>
    "userId" in one ? one.userId === person.id : person.id !== userId && person.roles.includes(one.role),
  );
}

/** The place of the required approval that is the person's to give: an open one while it is proposed, else any, so that the state is what is refused. */
function requirementOf(commitment: Commitment, person: Person | undefined): number | undefined {
  if (person === undefined) return undefined;
  const all = commitment.requiredApprovals.map((required, at) => ({ ...required, at }));
  const candidates = commitment.state === "proposed" ? openApprovals(commitment) : all;
  const named = candidates.find((one) => "userId" in one && one.userId === person.id);
  const owner = person.id === commitment.userId;
  return (named ?? candidates.find((one) => "role" in one && !owner && person.roles.includes(one.role)))?.at;
}

function notAnApprover(): Error {
  return permissionDenied("NOT_AN_APPROVER", "no open approval of this commitment is yours to give");
}

function assertStands({ modelId, modelVersion }: Commitment, standing: number): void {
  if (standing <= modelVersion) return;
  throw failedPrecondition(
    "MODEL_SUPERSEDED",
    `it was made against version ${modelVersion} of model ${modelId}, and version ${standing} is approved`,
  );
}

function assertState({ id, state }: Commitment, expected: CommitmentState): void {
  if (state === expected) return;
  throw failedPrecondition(`COMMITMENT_NOT_IN_${expected.toUpperCase()}`, `commitment ${id} is ${state}, not ${expected}`);
}
