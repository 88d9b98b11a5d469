/** Domain values to the contract's messages, and back. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Commitment as CommitmentMessage,
  type CommitmentSchema,
  TermKind as Kind,
  CommitmentState as State,
} from "#gen/value/v1/commitment_pb.ts";
import { checkedDay } from "#mesh/calendar-day.ts";
import { assertContent, type Commitment, type CommitmentContent, type CommitmentState, type TermKind } from "./commitment.ts";

const stateOf: Readonly<Record<CommitmentState, State>> = {
  draft: State.DRAFT,
  proposed: State.PROPOSED,
  approved: State.APPROVED,
  signed: State.SIGNED,
  rejected: State.REJECTED,
  withdrawn: State.WITHDRAWN,
};

const kindOf: Readonly<Record<TermKind, Kind>> = {
  payment: Kind.PAYMENT,
  service_level: Kind.SERVICE_LEVEL,
  penalty: Kind.PENALTY,
  bonus: Kind.BONUS,
  termination: Kind.TERMINATION,
  other: Kind.OTHER,
};

/** Our name of a state of the contract; what is unspecified or unknown has none. */
export function stateNameOf(state: State): CommitmentState | undefined {
  return (Object.keys(stateOf) as CommitmentState[]).find((name) => stateOf[name] === state);
}

export function toCommitmentMessage(commitment: Commitment): MessageInitShape<typeof CommitmentSchema> {
  const { amount, terms, deliverables, requiredApprovals, approvals, state, createTime, updateTime, signTime, ...same } =
    commitment;
  return {
    ...same,
    contract: { ...commitment.contract },
    amount: BigInt(amount),
    terms: terms.map((term) => ({ ...term, kind: kindOf[term.kind], amount: BigInt(term.amount) })),
    deliverables: deliverables.map((deliverable) => ({ ...deliverable })),
    requiredApprovals: requiredApprovals.map((one) => ({
      by: "userId" in one ? { case: "userId", value: one.userId } : { case: "role", value: one.role },
    })),
    approvals: approvals.map(({ time, ...approval }) => ({ ...approval, time: timestampFromMs(time) })),
    state: stateOf[state],
    createTime: timestampFromMs(createTime),
    updateTime: timestampFromMs(updateTime),
    ...(signTime === undefined ? {} : { signTime: timestampFromMs(signTime) }),
  };
}

/** What a request says of a commitment, checked; `path` is where it stands there. @throws INVALID_ARGUMENT. */
export function fromContentMessage(
  message: Pick<CommitmentMessage, "title" | "contract" | "amount" | "terms" | "deliverables" | "requiredApprovals">,
  path = "",
): CommitmentContent {
  const { reference = "", counterparty = "", startDate = "", endDate = "" } = message.contract ?? {};
  const content: CommitmentContent = {
    title: message.title.toWellFormed(),
    contract: {
      reference: reference.toWellFormed(),
      counterparty: counterparty.toWellFormed(),
      startDate: optionalDay(startDate, `${path}contract.start_date`),
      endDate: optionalDay(endDate, `${path}contract.end_date`),
    },
    amount: Number(message.amount),
    terms: message.terms.map(({ kind, title, text, amount, dueDate }, at) => ({
      kind: kindNameOf(kind),
      title: title.toWellFormed(),
      text: text.toWellFormed(),
      amount: Number(amount),
      dueDate: optionalDay(dueDate, `${path}terms[${at}].due_date`),
    })),
    deliverables: message.deliverables.map(({ title, ownerId, dueDate, weight }, at) => ({
      title: title.toWellFormed(),
      ownerId: ownerId.toLowerCase(),
      dueDate: checkedDay(dueDate, `${path}deliverables[${at}].due_date`),
      weight: weight === 0 ? 1 : weight,
    })),
    requiredApprovals: message.requiredApprovals.map(({ by }) =>
      by.case === "role" ? { role: by.value } : { userId: (by.value ?? "").toLowerCase() },
    ),
  };
  assertContent(content, path);
  return content;
}

function kindNameOf(kind: Kind): TermKind {
  return (Object.keys(kindOf) as TermKind[]).find((name) => kindOf[name] === kind) ?? "other";
}

function optionalDay(text: string, field: string): string {
  return text === "" ? "" : checkedDay(text, field);
}
