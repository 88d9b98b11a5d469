/** What the architect hears of others: what was measured of its hypotheses. */
import { RealisationSchema } from "#gen/value/v1/realisation_pb.ts";
import { eventMessage } from "#mesh/inbox/event-message.ts";
import type { InboxEvent } from "#mesh/inbox/inbox.ts";
import type { Queryable } from "#mesh/storage/database.ts";
import { putFinding } from "./finding-store.ts";

/** The types that the architect listens to. */
export const heardTypes = ["value.realisation.recorded"];

/** Keeps the finding that an event tells of. @throws INVALID_ARGUMENT for one that carries no realisation. */
export async function hear(tx: Queryable, event: InboxEvent): Promise<void> {
  const { modelId, hypothesisId, actual, realisedShare, measureDate } = eventMessage(RealisationSchema, event, "realisation");
  await putFinding(tx, modelId, { hypothesisId, actual, realisedShare, measureDate });
}
