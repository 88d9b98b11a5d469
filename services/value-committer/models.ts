/** The models that commitments are made against: known by the architect's events, and asked for where those are not here yet. */
import { Code } from "@connectrpc/connect";
import { ArchitectService } from "#gen/value/v1/architect_pb.ts";
import { ModelSchema, ModelState } from "#gen/value/v1/model_pb.ts";
import type { MeshClient } from "#mesh/client/client.ts";
import { failedPrecondition, from, notFound, notYours } from "#mesh/errors.ts";
import { eventMessage } from "#mesh/inbox/event-message.ts";
import type { InboxEvent } from "#mesh/inbox/inbox.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { type ApprovedModel, findModel, putModel } from "./model-store.ts";
import { mayActFor, type Who } from "./ownership.ts";

/** The types that the committer listens to. */
export const heardTypes = ["value.model.approved"];

/** Keeps the version that an event tells of. @throws INVALID_ARGUMENT for one that carries no model. */
export async function hear(tx: Queryable, event: InboxEvent): Promise<void> {
  const { id, version, userId, currency } = eventMessage(ModelSchema, event, "model");
  await putModel(tx, { id, version, userId, currency });
}

/**
 * The approved version of a model, for somebody who may make commitments against it.
 *
 * @throws NOT_FOUND when it is not theirs, FAILED_PRECONDITION (MODEL_NOT_APPROVED), UNAVAILABLE while neither is known and the architect away.
 */
export async function approvedModel(
  { db, mesh }: { readonly db: Database; readonly mesh: MeshClient },
  who: Who,
  id: string,
): Promise<ApprovedModel> {
  const known = (await findModel(db, id)) ?? (await askArchitect(mesh, id));
  // Its reviewers may read it, and make no commitments for its owner.
  if (!mayActFor(who, known.userId)) throw notYours("model", id);
  return known;
}

async function askArchitect(mesh: MeshClient, id: string): Promise<ApprovedModel> {
  const architect = mesh.client(ArchitectService);
  try {
    for (let version = 0; ; ) {
      const { model } = await architect.getModel({ modelId: id, version });
      if (model === undefined) throw notFound("model", id);
      if (model.state === ModelState.APPROVED) return model;
      // While the next version is in the making the one before it stands.
      if (model.version === 1) throw failedPrecondition("MODEL_NOT_APPROVED", `model ${id} is not approved`);
      version = model.version - 1;
    }
  } catch (error) {
    throw from(error).code === Code.NotFound ? notFound("model", id) : error;
  }
}
