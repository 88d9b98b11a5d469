/** From requests to stored payments and operations, each with the saga that carries it out, in one transaction. */
import { createHash } from "node:crypto";
import { alreadyExists, notFound, notYours } from "#mesh/errors.ts";
import type { Sagas } from "#mesh/saga/saga.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { isUniqueViolation } from "#mesh/storage/sql-error.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { insertOperation, operationOfRequest } from "./operation-store.ts";
import { mayActFor, type Who } from "./ownership.ts";
import type { Operation, PaymentStatus } from "./payment.ts";
import type { PaymentSagaName, PaymentState } from "./payment-changes.ts";
import { findByRequest, insertPayment, lockPayment, type NewPayment, type StoredPayment } from "./store.ts";

/** What requests work with. */
export interface RequestParts {
  readonly db: Database;
  readonly sagas: Sagas;
  readonly clock: () => number;
  /** Notes a change of a payment, and tells of it. */
  readonly note: (tx: Queryable, id: string, patch: { status?: PaymentStatus }, type: string) => Promise<StoredPayment>;
}

/** A request for an operation, in whose name it is. */
export interface OperationRequest extends Pick<Operation, "paymentId" | "kind" | "reason"> {
  readonly caller: string;
  readonly requestId: string;
  /** What was asked for, which a repeat must ask for again: 0 is all. */
  readonly requested: number;
  /** The amount that it comes to. @throws The refusal when the payment does not allow it. */
  readonly amountOf: (payment: StoredPayment) => number;
  /** Who asks; undefined: the service itself. */
  readonly who: Who | undefined;
}

const sagaOf: Readonly<Record<Operation["kind"], PaymentSagaName>> = {
  capture: "payment-capture",
  cancel: "payment-cancel",
  refund: "payment-refund",
};

const firstChange = {
  capture: { type: "payment.capturing", patch: { status: "capturing" } },
  cancel: { type: "payment.canceling", patch: { status: "canceling" } },
  refund: { type: "payment.refunding", patch: {} },
} as const;

/** The payment of a request that came before. @throws ALREADY_EXISTS when it asked for something else. */
export async function repeatedPayment(db: Queryable, request: Pick<NewPayment, "caller" | "requestId" | "contentHash">) {
  const before = await findByRequest(db, request.caller, request.requestId);
  if (before !== undefined && before.contentHash !== request.contentHash) throw takenRequestId(request.requestId);
  return before;
}

/** Stores a payment and begins it; or answers with the one that the same request made before. */
export function beginPayment({ db, sagas, note }: RequestParts, payment: NewPayment): Promise<StoredPayment> {
  return db.transaction(async (tx) => {
    if (await insertPayment(tx, payment)) {
      const stored = await note(tx, payment.id, {}, "payment.created");
      await sagas.begin<PaymentState>(tx, "payment", payment.id, { paymentId: payment.id, done: [] });
      return stored;
    }
    return (await repeatedPayment(tx, payment)) ?? (await Promise.reject(takenRequestId(payment.requestId)));
  });
}

/** Stores an operation and begins it; or answers with what the same request made before. */
export async function beginOperation(
  { db, sagas, clock, note }: RequestParts,
  request: OperationRequest,
): Promise<{ payment: StoredPayment; operationId: string }> {
  const { paymentId, kind, caller, requestId, reason, requested, amountOf, who } = request;
  const contentHash = fingerprint([paymentId, kind, requested, reason]);
  try {
    return await db.transaction(async (tx) => {
      const payment = await lockPayment(tx, paymentId);
      if (payment === undefined) throw notFound("payment", paymentId);
      if (who !== undefined && !mayActFor(who, payment.userId)) throw notYours("payment", paymentId);
      const before = await operationOfRequest(tx, caller, requestId);
      if (before !== undefined) {
        if (before.contentHash !== contentHash) throw takenRequestId(requestId);
        return { payment, operationId: before.id };
      }
      const amount = amountOf(payment);
      const now = clock();
      const id = uuidv7(now);
      await insertOperation(tx, { id, paymentId, kind, caller, requestId, contentHash, amount, reason, createTime: now });
      const { type, patch } = firstChange[kind];
      const after = await note(tx, paymentId, patch, type);
      await sagas.begin<PaymentState>(tx, sagaOf[kind], id, { paymentId, operationId: id, amount, done: [] });
      return { payment: after, operationId: id };
    });
  } catch (error) {
    // The same request_id at the same time for another payment, whose row is another lock.
    if (isUniqueViolation(error)) throw takenRequestId(requestId);
    throw error;
  }
}

/** SHA-256 in hex of a JSON value. */
export function fingerprint(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

function takenRequestId(requestId: string): Error {
  return alreadyExists(`request_id ${JSON.stringify(requestId)} came before with other content`);
}
