/** Changes of payments, noted for those who watch and put into the outbox for everybody else, in the caller's transaction. */
import type { Outbox } from "#mesh/outbox/outbox.ts";
import type { SagaView } from "#mesh/saga/saga.ts";
import type { Queryable } from "#mesh/storage/database.ts";
import { eventOf } from "./announce.ts";
import { endOperation } from "./operation-store.ts";
import { changeOf, type PaymentState } from "./payment-changes.ts";
import { changePayment, lockPayment, type PaymentPatch, type StoredPayment } from "./store.ts";

/** Changes a payment and tells of it; answers with the payment after it. */
export type Note = (tx: Queryable, id: string, patch: PaymentPatch, type: string) => Promise<StoredPayment>;

/** Notes that go to this outbox. */
export function noteOf(outbox: Outbox, clock: () => number): Note {
  return async (tx, id, patch, type) => {
    const { payment, number } = await changePayment(tx, id, patch, type, clock());
    const event = eventOf(type, payment, number);
    if (event !== undefined) await outbox.put(tx, event);
    return payment;
  };
}

/** What a saga of payments does in the transaction that records each of its changes. */
export function tellOf(note: Note, clock: () => number): (tx: Queryable, saga: SagaView<PaymentState>) => Promise<void> {
  return async (tx, saga) => {
    const { paymentId, operationId } = saga.state;
    const before = await lockPayment(tx, paymentId);
    const change = before === undefined ? undefined : changeOf(saga, before);
    if (change === undefined) return;
    if (change.operation !== undefined && operationId !== undefined)
      await endOperation(tx, operationId, change.operation, clock());
    await note(tx, paymentId, change.patch, change.type);
  };
}
