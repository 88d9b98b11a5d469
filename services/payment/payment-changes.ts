/** What a saga's progress means for its payment. Pure. */

import type { SagaView } from "#mesh/saga/saga.ts";
import { isTransient, type SagaFailure } from "#mesh/saga/saga-state.ts";
import type { Operation, Payment } from "./payment.ts";
import type { PaymentPatch } from "./store.ts";

/** The state of every saga of this service: results of its steps, and no secrets. */
export type PaymentState = {
  paymentId: string;
  /** The capture, cancellation or refund; absent in the saga of the payment itself. */
  operationId?: string;
  /** Of the operation, in minor units. */
  amount?: number;
  /** The ledger's hold. */
  holdId?: string;
  /** The acquirer's id of the charge. */
  chargeId?: string;
  /** The steps that are done, in order. */
  done: string[];
};

/** The names of the service's sagas. */
export type PaymentSagaName = "payment" | "payment-capture" | "payment-cancel" | "payment-refund";

/** A change to make: the payment's patch, the type of the event, and the end of the operation when it ends. */
export interface Change {
  readonly type: string;
  readonly patch: PaymentPatch;
  readonly operation?: Pick<Operation, "status" | "failureReason" | "failureMessage">;
}

/** The change that a saga's change brings, given the payment as it is before; undefined for none. */
export function changeOf(
  saga: Pick<SagaView<PaymentState>, "name" | "status" | "state" | "failure" | "attempts">,
  before: Payment,
): Change | undefined {
  if (saga.status === "COMPENSATED") return endOf(saga.name, saga.failure);
  // A step that is to be tried again was told of when the one before it ended.
  const stepEnded = saga.status === "DONE" || (saga.status === "RUNNING" && saga.attempts === 0);
  if (!stepEnded) return undefined;
  const last = saga.state.done.at(-1);
  return last === undefined ? undefined : stepChange(saga.name, last, saga.state, before);
}

function stepChange(name: string, step: string, state: PaymentState, before: Payment): Change | undefined {
  const { holdId, chargeId, amount = 0 } = state;
  switch (`${name}/${step}`) {
    case "payment/reserve":
      return { type: "payment.reserved", patch: holdId === undefined ? {} : { holdId } };
    case "payment/check":
      return { type: "payment.checked", patch: {} };
    case "payment/charge": {
      const patch = chargeId === undefined ? {} : { chargeId };
      return { type: "payment.authorized", patch: before.manualCapture ? { ...patch, status: "authorized" } : patch };
    }
    case "payment/settle":
      if (before.manualCapture) return undefined;
      return { type: "payment.captured", patch: { status: "captured", capturedAmount: before.amount } };
    case "payment-capture/settle":
      return { type: "payment.captured", patch: { status: "captured", capturedAmount: amount }, operation: succeeded };
    case "payment-refund/give-back": {
      const refundedAmount = before.refundedAmount + amount;
      const status = refundedAmount === before.capturedAmount ? "refunded" : "captured";
      return { type: "payment.refunded", patch: { refundedAmount, status }, operation: succeeded };
    }
    case "payment/notify":
    case "payment-capture/notify":
    case "payment-refund/notify":
      return { type: "payment.notified", patch: {} };
    default:
      return undefined;
  }
}

function endOf(name: string, failure: SagaFailure | undefined): Change {
  const why = { failureReason: reasonOf(failure), failureMessage: failure?.message ?? "" };
  const failed = { status: "failed", ...why } as const;
  switch (name) {
    case "payment-cancel":
      return { type: "payment.canceled", patch: { status: "canceled" }, operation: succeeded };
    case "payment-refund":
      return { type: "payment.refund_failed", patch: {}, operation: failed };
    default: {
      const declined = failure !== undefined && !isTransient(failure.code);
      const operation = name === "payment-capture" ? { operation: failed } : {};
      const status = declined ? "declined" : "failed";
      return { type: `payment.${status}`, patch: { status, ...why }, ...operation };
    }
  }
}

const succeeded = { status: "succeeded", failureReason: "", failureMessage: "" } as const;

/** A failure that brought no reason of its own is told by its kind. */
function reasonOf(failure: SagaFailure | undefined): string {
  if (failure === undefined) return "";
  if (failure.reason !== "") return failure.reason;
  return isTransient(failure.code) ? "UNAVAILABLE" : "REFUSED";
}
