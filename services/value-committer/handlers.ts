/** The contract's methods: messages to domain values, rules, store, and back. */
import { createHash } from "node:crypto";
import { CommitterService } from "#gen/value/v1/committer_pb.ts";
import type { MeshClient } from "#mesh/client/client.ts";
import { currentContext } from "#mesh/context.ts";
import { failedPrecondition, invalidArgument, notFound, notYours } from "#mesh/errors.ts";
import { maskedFields } from "#mesh/field-mask.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import { badPageToken, decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { begin, type ChangeParts, edit, mayRead, repeated, type Step, take } from "./changes.ts";
import type { Commitment } from "./commitment.ts";
import { fromContentMessage, stateNameOf, toCommitmentMessage } from "./messages.ts";
import { approvedModel } from "./models.ts";
import { callerKey, ownerOf, type Who } from "./ownership.ts";
import { findCommitment, listCommitments } from "./store.ts";

/** What the handlers work with. */
export interface HandlerParts extends ChangeParts {
  readonly mesh: MeshClient;
}

/** The contract and its methods. */
export function committerHandlers(parts: HandlerParts): Implementation {
  const { db, clock } = parts;

  const step = async (id: string, taken: Step) => ({
    commitment: toCommitmentMessage(await take(parts, currentWho(), id, taken)),
  });

  return implement(CommitterService, {
    async createCommitment(message) {
      const who = currentWho();
      const { requestId, currency } = message;
      const modelId = message.modelId.toLowerCase();
      const content = fromContentMessage(message);
      const request = { caller: callerKey(who), requestId, contentHash: fingerprint([modelId, currency, content]) };
      const before = await repeated(db, request);
      if (before !== undefined) return { commitment: toCommitmentMessage(before) };
      const model = await approvedModel(parts, who, modelId);
      if (currency !== "" && currency !== model.currency) {
        throw failedPrecondition("CURRENCY_MISMATCH", `the model is in ${model.currency}, not ${currency}`);
      }
      const now = clock();
      const commitment: Commitment = {
        ...content,
        ...{ id: uuidv7(now), userId: model.userId, modelId, modelVersion: model.version, currency: model.currency },
        ...{ approvals: [], state: "draft", reason: "", signatory: "", createTime: now, updateTime: now, signTime: undefined },
      };
      return { commitment: toCommitmentMessage(await begin(parts, commitment, request)) };
    },

    async getCommitment({ commitmentId }) {
      const commitment = await findCommitment(db, commitmentId);
      if (commitment === undefined) throw notFound("commitment", commitmentId);
      if (!mayRead(currentWho(), commitment)) throw notYours("commitment", commitmentId);
      return { commitment: toCommitmentMessage(commitment) };
    },

    async listCommitments({ userId: requested, toApprove, modelId, state, pageSize, pageToken }) {
      const who = currentWho();
      const userId = ownerOf(who, requested);
      const size = pageSize || defaultPageSize;
      const roles = who.principal?.id === userId ? who.principal.roles : [];
      const found = await listCommitments(db, {
        ...{ userId, size: size + 1, after: idOf(pageToken), state: stateNameOf(state) },
        toApprove: toApprove ? { roles } : undefined,
        modelId: modelId === "" ? undefined : modelId,
      });
      const page = found.slice(0, size);
      const last = page.at(-1);
      const nextPageToken = found.length > size && last !== undefined ? encodePageToken([last.id]) : "";
      return { commitments: page.map(toCommitmentMessage), nextPageToken };
    },

    async updateCommitment({ commitment: message, updateMask }) {
      if (message === undefined || !uuid.test(message.id)) {
        throw invalidArgument([{ field: "commitment.id", description: "expected a UUID" }]);
      }
      const fields = maskedFields(updateMask, changeable, outputOnly);
      const content = fromContentMessage(message, "commitment.");
      if (fields.has("title") && content.title === "") {
        throw invalidArgument([{ field: "commitment.title", description: "expected a title" }]);
      }
      const after = await edit(parts, currentWho(), message.id, (draft) => ({
        ...draft,
        ...(fields.has("title") ? { title: content.title } : {}),
        ...(fields.has("contract") ? { contract: content.contract } : {}),
        ...(fields.has("amount") ? { amount: content.amount } : {}),
        ...(fields.has("terms") ? { terms: content.terms } : {}),
        ...(fields.has("deliverables") ? { deliverables: content.deliverables } : {}),
        ...(fields.has("required_approvals") ? { requiredApprovals: content.requiredApprovals } : {}),
      }));
      return { commitment: toCommitmentMessage(after) };
    },

    proposeCommitment: ({ commitmentId }) => step(commitmentId, { kind: "propose" }),
    approveCommitment: ({ commitmentId, note }) => step(commitmentId, { kind: "approve", note: note.toWellFormed() }),
    rejectCommitment: ({ commitmentId, reason }) => step(commitmentId, { kind: "reject", reason: reason.toWellFormed() }),
    reviseCommitment: ({ commitmentId }) => step(commitmentId, { kind: "revise" }),
    signCommitment: ({ commitmentId, signatory }) => step(commitmentId, { kind: "sign", signatory: signatory.toWellFormed() }),
    withdrawCommitment: ({ commitmentId, reason }) => step(commitmentId, { kind: "withdraw", reason: reason.toWellFormed() }),
  });
}

const changeable = ["title", "contract", "amount", "terms", "deliverables", "required_approvals"] as const;

/** What the service sets of a commitment, and a client that sends back what it got may name. */
const outputOnly = [
  ...["id", "user_id", "model_id", "model_version", "currency", "approvals", "state", "reason", "signatory"],
  ...["create_time", "update_time", "sign_time"],
];

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function currentWho(): Who {
  return currentContext() ?? { principal: undefined, caller: undefined };
}

function idOf(token: string): string | undefined {
  const position = decodePageToken(token);
  if (position !== undefined && (position.length !== 1 || !uuid.test(position[0] ?? ""))) throw badPageToken();
  return position?.[0];
}

/** SHA-256 in hex of a JSON value. */
function fingerprint(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}
