import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { type Client, Code } from "@connectrpc/connect";
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { AccountService } from "#gen/ledger/v1/account_pb.ts";
import { TransactionKind } from "#gen/ledger/v1/transaction_message_pb.ts";
import { TransactionService } from "#gen/ledger/v1/transaction_pb.ts";
import { NotificationService } from "#gen/notification/v1/notification_pb.ts";
import { CaptureMode, type Payment, PaymentStatus, RefundStatus } from "#gen/payment/v1/payment_message_pb.ts";
import { PaymentService, type WatchPaymentResponse } from "#gen/payment/v1/payment_pb.ts";
import { type CallContext, runWithContext } from "#mesh/context.ts";
import { reasonOf } from "#mesh/errors.ts";
import { isCode } from "#mesh/storage/database.fixture.ts";
import { startMesh, type TestMesh } from "#mesh/testing.ts";
import { auth } from "../auth/service.ts";
import { ledger } from "../ledger/service.ts";
import { notification } from "../notification/service.ts";
import { payment } from "./service.ts";

describe("payment", function () {
  this.timeout(60_000);
  let mesh: TestMesh;
  let payments: Client<typeof PaymentService>;
  let accounts: Client<typeof AccountService>;
  const userId = randomUUID();
  const shopId = randomUUID();

  before(async () => {
    const env = {
      PAYMENT_PROVIDER_TIMEOUT: "300ms",
      PAYMENT_SIMULATED_LATENESS: "800ms",
      PAYMENT_RISK_MAX_AMOUNT: "100000",
      PAYMENT_RISK_MAX_PAYMENTS: "0",
      PAYMENT_RISK_MAX_DECLINES: "0",
    };
    mesh = await startMesh([auth, ledger, notification, payment], { env });
    payments = mesh.client(PaymentService);
    accounts = mesh.client(AccountService);
  });

  after(() => mesh[Symbol.asyncDispose]());

  const open = async (owner: string, amount: bigint): Promise<string> => {
    const { account } = await accounts.openAccount({ userId: owner, currency: "EUR" });
    assert.ok(account);
    const transactions = mesh.client(TransactionService);
    const income = { requestId: randomUUID(), accountId: account.id, kind: TransactionKind.INCOME, amount };
    if (amount > 0n) await transactions.recordTransaction(income);
    return account.id;
  };
  const balance = async (accountId: string) => {
    const { account } = await accounts.getAccount({ accountId });
    return { balance: account?.balance, held: account?.held };
  };
  const pay = async (accountId: string, more: object = {}): Promise<Payment> => {
    const request = { requestId: randomUUID(), userId, accountId, amount: 2500n, currency: "EUR", paymentMethod: "tok_visa" };
    const { payment: made } = await payments.createPayment({ ...request, ...more });
    assert.ok(made);
    assert.equal(made.status, PaymentStatus.PROCESSING);
    return made;
  };
  const settled = async (paymentId: string): Promise<{ payment: Payment; types: string[]; seen: WatchPaymentResponse[] }> => {
    const seen: WatchPaymentResponse[] = [];
    for await (const change of payments.watchPayment({ paymentId }, { timeoutMs: 40_000 })) seen.push(change);
    const last = seen.at(-1)?.payment;
    assert.ok(last);
    return { payment: last, types: seen.map(({ type }) => type.replace("payment.", "")), seen };
  };

  it("reserves, checks, charges, settles and tells: the payer's money is the payee's, and a receipt is on its way", async () => {
    const [payer, payee] = [await open(userId, 10_000n), await open(shopId, 0n)];
    const made = await pay(payer, { payeeAccountId: payee, description: "shoes", receiptEmail: "ann@example.com" });
    const { payment: done, types } = await settled(made.id);
    assert.deepEqual(types, ["created", "reserved", "checked", "authorized", "captured"]);
    assert.deepEqual([done.status, done.capturedAmount], [PaymentStatus.CAPTURED, 2500n]);
    assert.deepEqual(await balance(payer), { balance: 7500n, held: 0n });
    assert.deepEqual(await balance(payee), { balance: 2500n, held: 0n });
    const notifications = mesh.client(NotificationService);
    await eventually(async () => {
      const { notifications: sent } = await notifications.listNotifications({ userId });
      return sent.some(({ subject, recipient }) => subject === "Payment of 25.00 EUR" && recipient === "ann@example.com");
    });
  });

  it("answers with the same payment to the same request_id, and with ALREADY_EXISTS to other content", async () => {
    const payer = await open(userId, 10_000n);
    const requestId = randomUUID();
    const [first, second] = [
      await pay(payer, { requestId }),
      await payments.createPayment({
        requestId,
        userId,
        accountId: payer,
        amount: 2500n,
        currency: "EUR",
        paymentMethod: "tok_visa",
      }),
    ];
    assert.equal(second.payment?.id, first.id);
    await assert.rejects(pay(payer, { requestId, amount: 2501n }), isCode(Code.AlreadyExists));
    await settled(first.id);
    assert.deepEqual(await balance(payer), { balance: 7500n, held: 0n });
  });

  for (const [what, more, reason, types] of [
    ["more than the account has", { amount: 10_001n }, "INSUFFICIENT_FUNDS", ["created", "declined"]],
    ["tok_declined", { paymentMethod: "tok_declined" }, "CARD_DECLINED", ["created", "reserved", "checked", "declined"]],
    ["tok_late_decline", { paymentMethod: "tok_late_decline" }, "CARD_DECLINED", ["created", "reserved", "checked", "declined"]],
    ["an amount above the risk limit", { amount: 100_001n }, "RISK_AMOUNT", ["created", "reserved", "declined"]],
    ["a payee that does not exist", { payeeAccountId: randomUUID() }, "PAYEE_NOT_FOUND", ["created", "reserved", "declined"]],
  ] as const) {
    it(`declines ${what} with ${reason}, and holds nothing`, async () => {
      const funds = reason === "RISK_AMOUNT" ? 1_000_000n : 10_000n;
      const payer = await open(userId, funds);
      const { payment: done, types: seen } = await settled((await pay(payer, more)).id);
      assert.deepEqual([done.status, done.failureReason, seen], [PaymentStatus.DECLINED, reason, types]);
      assert.deepEqual(await balance(payer), { balance: funds, held: 0n });
    });
  }

  for (const paymentMethod of ["tok_late", "tok_flaky"]) {
    it(`captures ${paymentMethod} once, when the answer has come`, async () => {
      const payer = await open(userId, 10_000n);
      const { payment: done } = await settled((await pay(payer, { paymentMethod })).id);
      assert.equal(done.status, PaymentStatus.CAPTURED);
      assert.deepEqual(await balance(payer), { balance: 7500n, held: 0n });
    });
  }

  it("captures a part of a manual payment, releases the rest, and refuses a second capture", async () => {
    const payer = await open(userId, 10_000n);
    const made = await pay(payer, { captureMode: CaptureMode.MANUAL });
    const authorized = await settled(made.id);
    assert.equal(authorized.payment.status, PaymentStatus.AUTHORIZED);
    assert.ok(authorized.payment.expireTime);
    assert.deepEqual(await balance(payer), { balance: 10_000n, held: 2500n });
    const paymentId = made.id;
    await assert.rejects(
      payments.capturePayment({ requestId: randomUUID(), paymentId, amount: 2501n }),
      isCode(Code.InvalidArgument),
    );
    const requestId = randomUUID();
    await payments.capturePayment({ requestId, paymentId, amount: 1000n });
    await payments.capturePayment({ requestId, paymentId, amount: 1000n });
    const { payment: done } = await settled(paymentId);
    assert.deepEqual([done.status, done.capturedAmount], [PaymentStatus.CAPTURED, 1000n]);
    assert.deepEqual(await balance(payer), { balance: 9000n, held: 0n });
    await assert.rejects(payments.capturePayment({ requestId: randomUUID(), paymentId }), (error) => {
      return isCode(Code.FailedPrecondition)(error) && reasonOf(error as never) === "PAYMENT_NOT_AUTHORIZED";
    });
  });

  it("cancels a manual payment: what was held is free", async () => {
    const payer = await open(userId, 10_000n);
    const { id: paymentId } = await pay(payer, { captureMode: CaptureMode.MANUAL });
    await settled(paymentId);
    await payments.cancelPayment({ requestId: randomUUID(), paymentId });
    const { payment: done, types } = await settled(paymentId);
    assert.equal(done.status, PaymentStatus.CANCELED);
    assert.deepEqual(
      types.filter((type) => type.startsWith("cancel")),
      ["canceling", "canceled"],
    );
    assert.deepEqual(await balance(payer), { balance: 10_000n, held: 0n });
  });

  it("refunds in parts, to the last cent and no further", async () => {
    const [payer, payee] = [await open(userId, 10_000n), await open(shopId, 0n)];
    const { id: paymentId } = await pay(payer, { payeeAccountId: payee });
    await settled(paymentId);
    await payments.refundPayment({ requestId: randomUUID(), paymentId, amount: 1000n, reason: "too small" });
    const { payment: first } = await settled(paymentId);
    assert.deepEqual([first.status, first.refundedAmount], [PaymentStatus.CAPTURED, 1000n]);
    assert.deepEqual(
      first.refunds.map(({ status, reason }) => [status, reason]),
      [[RefundStatus.SUCCEEDED, "too small"]],
    );
    await assert.rejects(
      payments.refundPayment({ requestId: randomUUID(), paymentId, amount: 1501n }),
      isCode(Code.FailedPrecondition),
    );
    await payments.refundPayment({ requestId: randomUUID(), paymentId });
    const { payment: second } = await settled(paymentId);
    assert.deepEqual([second.status, second.refundedAmount], [PaymentStatus.REFUNDED, 2500n]);
    assert.deepEqual(await balance(payer), { balance: 10_000n, held: 0n });
    assert.deepEqual(await balance(payee), { balance: 0n, held: 0n });
    await assert.rejects(payments.refundPayment({ requestId: randomUUID(), paymentId }), isCode(Code.FailedPrecondition));
  });

  it("takes a refund back that the acquirer refuses", async () => {
    const [payer, payee] = [await open(userId, 10_000n), await open(shopId, 0n)];
    const { id: paymentId } = await pay(payer, { payeeAccountId: payee, paymentMethod: "tok_refund_refused" });
    await settled(paymentId);
    await payments.refundPayment({ requestId: randomUUID(), paymentId });
    const { payment: done } = await settled(paymentId);
    assert.deepEqual(
      done.refunds.map(({ status, failureReason }) => [status, failureReason]),
      [[RefundStatus.FAILED, "REFUND_REFUSED"]],
    );
    assert.deepEqual([done.status, done.refundedAmount], [PaymentStatus.CAPTURED, 0n]);
    assert.deepEqual(await balance(payee), { balance: 2500n, held: 0n });
  });

  it("watches on after the change that the client names, by after_number and by Last-Event-ID", async () => {
    const payer = await open(userId, 10_000n);
    const { id: paymentId } = await pay(payer);
    const { seen } = await settled(paymentId);
    const numbers = seen.map(({ number }) => Number(number));
    assert.deepEqual(numbers, [1, 2, 3, 4, 5]);
    const rest: number[] = [];
    for await (const { number } of payments.watchPayment({ paymentId, afterNumber: 3n })) rest.push(Number(number));
    assert.deepEqual(rest, [4, 5]);
    const byHeader: number[] = [];
    for await (const { number } of payments.watchPayment({ paymentId }, { headers: { "last-event-id": "4" } }))
      byHeader.push(Number(number));
    assert.ok(byHeader[0] === 5);
  });

  it("lists a user's payments, latest first, page by page", async () => {
    const owner = randomUUID();
    const payer = await open(owner, 10_000n);
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) ids.unshift((await pay(payer, { userId: owner, amount: 100n })).id);
    const first = await payments.listPayments({ userId: owner, pageSize: 2 });
    const second = await payments.listPayments({ userId: owner, pageSize: 2, pageToken: first.nextPageToken });
    assert.deepEqual(
      [...first.payments, ...second.payments].map(({ id }) => id),
      ids,
    );
    assert.equal(second.nextPageToken, "");
  });

  describe("a stranger's token", () => {
    let paymentId = "";
    let accountId = "";
    let stranger: <T>(work: () => Promise<T>) => Promise<T>;

    before(async () => {
      accountId = await open(userId, 10_000n);
      paymentId = (await pay(accountId, { captureMode: CaptureMode.MANUAL })).id;
      await settled(paymentId);
      const client = mesh.client(AuthService);
      const credentials = { email: "eve@example.com", password: "a long enough passphrase 4711" };
      await client.register({ ...credentials, name: "Eve" });
      const { accessToken: token } = await client.login(credentials);
      stranger = (work) => runWithContext(contextWith(token), work);
    });

    const collect = async (stream: AsyncIterable<unknown>) => {
      for await (const _ of stream);
    };
    const requestId = randomUUID();
    const calls: Record<string, () => Promise<unknown>> = {
      createPayment: () =>
        payments.createPayment({ requestId, accountId, amount: 1n, currency: "EUR", paymentMethod: "tok_visa" }),
      getPayment: () => payments.getPayment({ paymentId }),
      capturePayment: () => payments.capturePayment({ requestId, paymentId }),
      cancelPayment: () => payments.cancelPayment({ requestId, paymentId }),
      refundPayment: () => payments.refundPayment({ requestId, paymentId }),
      watchPayment: () => collect(payments.watchPayment({ paymentId })),
    };

    for (const [method, call] of Object.entries(calls)) {
      it(`gets NOT_FOUND from ${method}`, () => assert.rejects(stranger(call), isCode(Code.NotFound)));
    }

    it("gets PERMISSION_DENIED from listPayments of another's id, and a list without the other's payments for its own", async () => {
      await assert.rejects(
        stranger(() => payments.listPayments({ userId })),
        isCode(Code.PermissionDenied),
      );
      assert.deepEqual((await stranger(() => payments.listPayments({}))).payments, []);
    });

    it("is met by a row above for every method of the contract", () => {
      const methods = PaymentService.methods.map(({ localName }) => localName).filter((name) => name !== "listPayments");
      assert.deepEqual(methods.toSorted(), Object.keys(calls).toSorted());
    });
  });
});

function contextWith(token: string): CallContext {
  const id = { kind: "user", id: "", roles: [], scopes: [], sessionId: "" } as const;
  return {
    deadline: Date.now() + 20_000,
    signal: new AbortController().signal,
    principal: { ...id, token, expiresAt: Number.POSITIVE_INFINITY, degraded: false },
    caller: undefined,
    trace: { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", flags: 0, state: "" },
    correlationId: "test",
    criticality: "CRITICAL",
    client: { address: "", userAgent: "" },
  };
}

async function eventually(condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 10_000; Date.now() < end; ) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail("the condition did not come true in time");
}
