/** What others are told of commitments: the events of topic `value`. Pure. */
import { create, toJson } from "@bufbuild/protobuf";
import { CommitmentSchema } from "#gen/value/v1/commitment_pb.ts";
import type { OutboxEvent } from "#mesh/outbox/outbox.ts";
import type { Commitment } from "./commitment.ts";
import { toCommitmentMessage } from "./messages.ts";

/** What may happen to a commitment. */
export type CommitmentEvent = "created" | "proposed" | "approved" | "rejected" | "revised" | "signed" | "withdrawn";

/** The event of a change: the commitment after it, in the contract's own form but without the terms, whose texts would not fit. */
export function eventOf(happened: CommitmentEvent, commitment: Commitment): OutboxEvent {
  const told = create(CommitmentSchema, { ...toCommitmentMessage(commitment), terms: [] });
  const data = { commitment: toJson(CommitmentSchema, told) };
  return { topic: "value", key: commitment.modelId, type: `value.commitment.${happened}`, data };
}
