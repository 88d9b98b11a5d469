import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import type { Payment } from "./payment.ts";
import { changeOf, type PaymentState } from "./payment-changes.ts";

const before = { amount: 100, capturedAmount: 100, refundedAmount: 30, manualCapture: false } as Payment;
const state = (done: string[], more: Partial<PaymentState> = {}): PaymentState => ({ paymentId: "p", done, ...more });
const running = (name: string, done: string[], more: Partial<PaymentState> = {}) =>
  ({ name, status: "RUNNING", attempts: 0, state: state(done, more) }) as const;

describe("changeOf", () => {
  it("tells of each step of an automatic payment once, when it has ended", () => {
    const steps = ["reserve", "check", "charge", "settle", "notify"];
    const types = steps.map((_, n) => changeOf(running("payment", steps.slice(0, n + 1)), before)?.type);
    const expected = ["payment.reserved", "payment.checked", "payment.authorized", "payment.captured", "payment.notified"];
    assert.deepEqual(types, expected);
    assert.equal(changeOf({ ...running("payment", ["reserve"]), attempts: 1 }, before), undefined);
    assert.equal(changeOf(running("payment", []), before), undefined);
  });

  it("a manual payment is authorized by its charge, and its settling says nothing", () => {
    const manual = { ...before, manualCapture: true };
    const charged = changeOf(running("payment", ["charge"], { chargeId: "c" }), manual);
    assert.deepEqual(charged?.patch, { chargeId: "c", status: "authorized" });
    assert.equal(changeOf(running("payment", ["charge", "settle"]), manual), undefined);
  });

  it("a refund of all that is left makes the payment refunded, of less it stays captured", () => {
    const status = (amount: number) =>
      changeOf(running("payment-refund", ["refund", "give-back"], { amount }), before)?.patch.status;
    assert.deepEqual([status(70), status(69)], ["refunded", "captured"]);
  });

  for (const [name, code, type, reason] of [
    ["payment", Code.FailedPrecondition, "payment.declined", "REFUSED"],
    ["payment", Code.Unavailable, "payment.failed", "UNAVAILABLE"],
    ["payment-capture", Code.Unavailable, "payment.failed", "UNAVAILABLE"],
    ["payment-cancel", Code.FailedPrecondition, "payment.canceled", undefined],
    ["payment-refund", Code.FailedPrecondition, "payment.refund_failed", undefined],
  ] as const) {
    it(`${name} that is undone after ${Code[code]} is ${type}`, () => {
      const failure = { code, message: "m", reason: "" };
      const change = changeOf({ name, status: "COMPENSATED", attempts: 1, state: state([]), failure }, before);
      assert.deepEqual([change?.type, change?.patch.failureReason], [type, reason]);
    });
  }
});
