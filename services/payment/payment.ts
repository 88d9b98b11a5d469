/** What a payment is, and what may be asked of it. Pure. */
import { failedPrecondition, invalidArgument } from "#mesh/errors.ts";

/** The life of a payment; see payment_message.proto. */
export type PaymentStatus =
  | "processing"
  | "authorized"
  | "capturing"
  | "captured"
  | "declined"
  | "failed"
  | "canceling"
  | "canceled"
  | "refunded";

/** A payment. Amounts in minor units, times in milliseconds since the epoch. */
export interface Payment {
  readonly id: string;
  readonly userId: string;
  readonly accountId: string;
  /** "" for the world outside. */
  readonly payeeAccountId: string;
  readonly amount: number;
  readonly currency: string;
  readonly manualCapture: boolean;
  readonly description: string;
  readonly category: string;
  readonly status: PaymentStatus;
  readonly capturedAmount: number;
  readonly refundedAmount: number;
  readonly failureReason: string;
  readonly failureMessage: string;
  /** "" until there is one. */
  readonly holdId: string;
  readonly refunds: readonly Operation[];
  readonly createTime: number;
  readonly updateTime: number;
  readonly expireTime: number;
}

/** A capture, a cancellation or a refund. */
export interface Operation {
  readonly id: string;
  readonly paymentId: string;
  readonly kind: "capture" | "cancel" | "refund";
  readonly amount: number;
  readonly reason: string;
  readonly status: "pending" | "succeeded" | "failed";
  readonly failureReason: string;
  readonly failureMessage: string;
  readonly createTime: number;
  readonly updateTime: number;
}

/** What only the service itself sees of a payment. */
export interface PaymentSecrets {
  /** The card's token. */
  readonly method: string;
  /** The acquirer's id of the charge; "" until it is known. */
  readonly chargeId: string;
  readonly receiptEmail: string;
}

/** True when nothing will happen to it but by a further call, or by its expiry. */
export function isSettled({ status, refunds }: Pick<Payment, "status" | "refunds">): boolean {
  return !busy.has(status) && refunds.every((refund) => refund.status !== "pending");
}

/**
 * The amount that a capture of `requested` takes; 0 requests all.
 *
 * @throws FAILED_PRECONDITION (PAYMENT_NOT_AUTHORIZED), INVALID_ARGUMENT naming amount.
 */
export function captureAmount(payment: Pick<Payment, "id" | "status" | "amount">, requested: number): number {
  assertAuthorized(payment);
  if (requested > payment.amount) {
    throw invalidArgument([{ field: "amount", description: `expected at most ${payment.amount}, which is authorized` }]);
  }
  return requested === 0 ? payment.amount : requested;
}

/** @throws FAILED_PRECONDITION (PAYMENT_NOT_AUTHORIZED). */
export function assertAuthorized({ id, status }: Pick<Payment, "id" | "status">): void {
  if (status !== "authorized") throw failedPrecondition("PAYMENT_NOT_AUTHORIZED", `payment ${id} is ${status}, not authorized`);
}

/**
 * The amount that a refund of `requested` moves back; 0 requests all that is left.
 *
 * @throws FAILED_PRECONDITION (PAYMENT_NOT_CAPTURED, REFUND_EXCEEDS_CAPTURE); refunds under way count as made.
 */
export function refundAmount(payment: Pick<Payment, "id" | "status" | "capturedAmount" | "refunds">, requested: number): number {
  if (payment.status !== "captured" && payment.status !== "refunded") {
    throw failedPrecondition("PAYMENT_NOT_CAPTURED", `payment ${payment.id} is ${payment.status}, not captured`);
  }
  const taken = payment.refunds.filter(({ status }) => status !== "failed").reduce((sum, { amount }) => sum + amount, 0);
  const left = payment.capturedAmount - taken;
  const amount = requested === 0 ? left : requested;
  if (amount > left || amount === 0) {
    throw failedPrecondition("REFUND_EXCEEDS_CAPTURE", `${left} of payment ${payment.id} can be refunded, in minor units`);
  }
  return amount;
}

const busy: ReadonlySet<PaymentStatus> = new Set(["processing", "capturing", "canceling"]);
