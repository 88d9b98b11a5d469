/** The words of a receipt. Pure. */
import type { StoredPayment } from "./store.ts";

/** The message about a payment, or about one of its refunds, when `operationId` names one. */
export function receiptOf(payment: StoredPayment, operationId?: string): { subject: string; body: string } {
  const refund = payment.refunds.find(({ id }) => id === operationId);
  const what = payment.description === "" ? "" : ` for ${JSON.stringify(payment.description)}`;
  if (refund !== undefined) {
    const sum = moneyText(refund.amount, payment.currency);
    return { subject: `Refund of ${sum}`, body: `${sum} of your payment${what} are on their way back.\n\nRefund ${refund.id}` };
  }
  const taken = payment.status !== "authorized" && payment.status !== "capturing";
  const sum = moneyText(taken ? payment.capturedAmount : payment.amount, payment.currency);
  const verb = taken ? "was taken" : "is reserved";
  return { subject: `Payment of ${sum}`, body: `Your payment of ${sum}${what} ${verb}.\n\nPayment ${payment.id}` };
}

/** An amount in minor units as people write it, such as "12.34 EUR". */
export function moneyText(amount: number, currency: string): string {
  const digits = digitsOf(currency);
  const text = String(amount).padStart(digits + 1, "0");
  const whole = text.slice(0, text.length - digits);
  return digits === 0 ? `${whole} ${currency}` : `${whole}.${text.slice(-digits)} ${currency}`;
}

/** Digits after the point: what the platform's own tables say (Unicode CLDR), and 2 for a code that they do not have. */
function digitsOf(currency: string): number {
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;
}
