/** What the executor hears of others: the signatures of commitments, each of which makes a delivery. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Commitment, CommitmentSchema } from "#gen/value/v1/commitment_pb.ts";
import { dayOf } from "#mesh/calendar-day.ts";
import { eventMessage } from "#mesh/inbox/event-message.ts";
import type { InboxEvent } from "#mesh/inbox/inbox.ts";
import type { Outbox } from "#mesh/outbox/outbox.ts";
import type { Queryable } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { deliveryEventOf } from "./announce.ts";
import type { Delivery } from "./delivery.ts";
import { insertDelivery } from "./store.ts";

/** The types that the executor listens to. */
export const heardTypes = ["value.commitment.signed"];

/** Makes the delivery of the commitment that an event tells of, unless there is one. `clock` in milliseconds since the epoch. */
export function hearSignatures(outbox: Pick<Outbox, "put">, clock: () => number) {
  return async (tx: Queryable, event: InboxEvent): Promise<void> => {
    const commitment = eventMessage(CommitmentSchema, event, "commitment");
    const now = clock();
    const delivery = deliveryOf(commitment, event.at.getTime(), now);
    if (await insertDelivery(tx, delivery)) await outbox.put(tx, deliveryEventOf("created", delivery, dayOf(now)));
  };
}

/** The delivery of a signed commitment: a milestone for each deliverable. */
export function deliveryOf(commitment: Commitment, signedAt: number, now: number): Delivery {
  const { userId, modelId, title, deliverables, signTime } = commitment;
  const id = uuidv7(now);
  const startDate = dayOf(signTime === undefined ? signedAt : timestampMs(signTime));
  const fresh = { forecastDate: "", actualDate: "", progress: 0, state: "planned", reason: "", updateTime: now } as const;
  const milestones = deliverables.map((one) => ({
    ...fresh,
    ...{ id: uuidv7(now), deliveryId: id, title: one.title, ownerId: one.ownerId || userId, weight: one.weight || 1 },
    ...{ plannedDate: one.dueDate, forecastDate: one.dueDate, startDate },
  }));
  const made = { createTime: now, updateTime: now, milestones, startDate };
  return { id, userId, commitmentId: commitment.id, modelId, title, state: "planned", reason: "", ...made };
}
