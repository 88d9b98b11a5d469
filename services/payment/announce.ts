/** What others are told of a payment: the events of the topic `payments`. Pure. */
import type { OutboxEvent } from "#mesh/outbox/outbox.ts";
import type { Payment } from "./payment.ts";

/** The event of a change; undefined for those that only watchers see. `number` is the change's. */
export function eventOf(type: string, payment: Payment, number: number): OutboxEvent | undefined {
  if (!told.has(type)) return undefined;
  const { id, userId, accountId, payeeAccountId, amount, currency, status, capturedAmount, refundedAmount } = payment;
  const data = {
    payment_id: id,
    number,
    user_id: userId,
    account_id: accountId,
    payee_account_id: payeeAccountId,
    amount,
    currency,
    status: status.toUpperCase(),
    captured_amount: capturedAmount,
    refunded_amount: refundedAmount,
    failure_reason: payment.failureReason,
    category: payment.category,
  };
  return { topic: "payments", key: id, type, data };
}

const told: ReadonlySet<string> = new Set([
  ...["payment.created", "payment.authorized", "payment.captured", "payment.declined", "payment.failed"],
  ...["payment.canceled", "payment.refunded", "payment.refund_failed"],
]);
