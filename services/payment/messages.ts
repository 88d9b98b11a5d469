/** Domain values to the contract's messages. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  CaptureMode,
  PaymentStatus as ContractStatus,
  type PaymentSchema,
  type RefundSchema,
  RefundStatus,
} from "#gen/payment/v1/payment_message_pb.ts";
import type { Operation, Payment, PaymentStatus } from "./payment.ts";

const statusOf: Readonly<Record<PaymentStatus, ContractStatus>> = {
  processing: ContractStatus.PROCESSING,
  authorized: ContractStatus.AUTHORIZED,
  capturing: ContractStatus.CAPTURING,
  captured: ContractStatus.CAPTURED,
  declined: ContractStatus.DECLINED,
  failed: ContractStatus.FAILED,
  canceling: ContractStatus.CANCELING,
  canceled: ContractStatus.CANCELED,
  refunded: ContractStatus.REFUNDED,
};

const refundStatusOf: Readonly<Record<Operation["status"], RefundStatus>> = {
  pending: RefundStatus.PENDING,
  succeeded: RefundStatus.SUCCEEDED,
  failed: RefundStatus.FAILED,
};

/** Our name of a status of the contract; what is unspecified or unknown has none. */
export function statusNameOf(status: ContractStatus): PaymentStatus | undefined {
  return (Object.keys(statusOf) as PaymentStatus[]).find((name) => statusOf[name] === status);
}

export function toPaymentMessage(payment: Payment): MessageInitShape<typeof PaymentSchema> {
  const { id, userId, accountId, payeeAccountId, currency, description, category, holdId } = payment;
  return {
    ...{ id, userId, accountId, payeeAccountId, currency, description, category, holdId },
    amount: BigInt(payment.amount),
    captureMode: payment.manualCapture ? CaptureMode.MANUAL : CaptureMode.AUTOMATIC,
    status: statusOf[payment.status],
    capturedAmount: BigInt(payment.capturedAmount),
    refundedAmount: BigInt(payment.refundedAmount),
    failureReason: payment.failureReason,
    failureMessage: payment.failureMessage,
    refunds: payment.refunds.map((refund) => toRefundMessage(refund, currency)),
    createTime: timestampFromMs(payment.createTime),
    updateTime: timestampFromMs(payment.updateTime),
    ...(payment.status === "authorized" ? { expireTime: timestampFromMs(payment.expireTime) } : {}),
  };
}

export function toRefundMessage(refund: Operation, currency: string): MessageInitShape<typeof RefundSchema> {
  const { id, paymentId, amount, reason, status, failureReason, failureMessage, createTime, updateTime } = refund;
  return {
    ...{ id, paymentId, currency, reason, failureReason, failureMessage },
    amount: BigInt(amount),
    status: refundStatusOf[status],
    createTime: timestampFromMs(createTime),
    updateTime: timestampFromMs(updateTime),
  };
}
