import assert from "node:assert/strict";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { HoldStatus, TransactionKind } from "#gen/ledger/v1/transaction_message_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { expireDue } from "./expiry.ts";
import {
  asAdmin,
  asAnn,
  asBob,
  asPayment,
  asPaymentForAnn,
  asPaymentForBob,
  type Fixture,
  freshDatabase,
  refused,
  serve,
  silent,
  violations,
} from "./ledger.fixture.ts";

describe("holds", () => {
  let db: Database;
  let fixture: Fixture;
  let now = Date.now();
  before(async () => {
    db = await freshDatabase();
    fixture = serve(db, { clock: () => now });
  });
  after(async () => {
    assert.deepEqual(await violations(db), []);
    await fixture[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });

  const payment = () => fixture.transactions(asPayment);
  const key = () => `${uuidv7()}/step`;
  const account = async (accountId: string) =>
    (await fixture.accounts(asAdmin).getAccount({ accountId })).account ?? assert.fail();
  const reserve = async (accountId: string, amount: bigint) => {
    const { hold } = await payment().reserveFunds({ requestId: key(), accountId, amount });
    return hold ?? assert.fail();
  };
  const sums = async (accountId: string) => {
    const { balance, held, available } = await account(accountId);
    return [balance, held, available].map(Number);
  };

  it("reserves 300 of 1000, which then cannot be spent, and answers a repeat with the same hold", async () => {
    const accountId = await fixture.funded(asAnn, 1000n);
    const request = { requestId: key(), accountId, amount: 300n, currency: "EUR" };
    const { hold } = await payment().reserveFunds(request);
    assert.deepEqual([hold?.status, hold?.amount, hold?.currency], [HoldStatus.HELD, 300n, "EUR"]);
    assert.deepEqual(await sums(accountId), [1000, 300, 700]);
    // The same step of a saga, begun in a person's call and finished in nobody's.
    assert.deepEqual((await fixture.transactions(asPaymentForAnn).reserveFunds(request)).hold, hold);
    await refused(payment().reserveFunds({ ...request, amount: 301n }), Code.AlreadyExists);
    const spend = { requestId: key(), accountId, kind: TransactionKind.EXPENSE, amount: 701n };
    await refused(fixture.transactions(asAnn).recordTransaction(spend), Code.FailedPrecondition, "INSUFFICIENT_FUNDS");
    await refused(
      payment().reserveFunds({ requestId: key(), accountId, amount: 701n }),
      Code.FailedPrecondition,
      "INSUFFICIENT_FUNDS",
    );
    await refused(
      payment().reserveFunds({ requestId: key(), accountId, amount: 1n, currency: "USD" }),
      Code.FailedPrecondition,
      "CURRENCY_MISMATCH",
    );
  });

  it("captures 200 of 300 for a payee, once, and releases the rest", async () => {
    const [payer, payee] = [await fixture.funded(asAnn, 1000n), await fixture.funded(asBob, 0n)];
    const hold = await reserve(payer, 300n);
    const request = { requestId: key(), holdId: hold.id, amount: 200n, payeeAccountId: payee, category: "books" };
    const { transaction, hold: captured } = await payment().captureHold(request);
    assert.deepEqual([transaction?.kind, transaction?.amount, transaction?.category], [TransactionKind.PAYMENT, 200n, "books"]);
    assert.equal(transaction?.holdId, hold.id);
    assert.deepEqual([captured?.status, captured?.capturedAmount], [HoldStatus.CAPTURED, 200n]);
    assert.equal(captured?.transactionId, transaction?.id);
    assert.deepEqual(await sums(payer), [800, 0, 800]);
    assert.deepEqual(await sums(payee), [200, 0, 200]);
    const again = await payment().captureHold(request);
    assert.deepEqual(again, { ...again, transaction, hold: captured });
    await refused(payment().captureHold({ ...request, requestId: key() }), Code.FailedPrecondition, "HOLD_CAPTURED");
    await refused(payment().releaseHold({ requestId: key(), holdId: hold.id }), Code.FailedPrecondition, "HOLD_CAPTURED");
    assert.deepEqual(await sums(payer), [800, 0, 800]);
  });

  it("captures all for amount 0, to the world outside without a payee", async () => {
    const accountId = await fixture.funded(asAnn, 1000n);
    const { id: holdId } = await reserve(accountId, 1000n);
    const { transaction } = await payment().captureHold({ requestId: key(), holdId });
    assert.deepEqual(
      transaction?.postings.map((one) => [one.accountId, one.amount]),
      [
        [accountId, -1000n],
        ["", 1000n],
      ],
    );
    assert.deepEqual(await sums(accountId), [0, 0, 0]);
  });

  it("refuses to capture more than is held, or to pay the payer", async () => {
    const accountId = await fixture.funded(asAnn, 1000n);
    const { id: holdId } = await reserve(accountId, 300n);
    await refused(payment().captureHold({ requestId: key(), holdId, amount: 301n }), Code.InvalidArgument);
    await refused(payment().captureHold({ requestId: key(), holdId, payeeAccountId: accountId }), Code.InvalidArgument);
    const usd = await fixture.funded(asBob, 0n, { currency: "USD" });
    const mixed = { requestId: key(), holdId, payeeAccountId: usd };
    await refused(payment().captureHold(mixed), Code.FailedPrecondition, "CURRENCY_MISMATCH");
    assert.deepEqual(await sums(accountId), [1000, 300, 700]);
  });

  it("releases a hold, any number of times, and captures it no more", async () => {
    const accountId = await fixture.funded(asAnn, 1000n);
    const { id: holdId } = await reserve(accountId, 300n);
    const request = { requestId: key(), holdId };
    const { hold } = await payment().releaseHold(request);
    assert.equal(hold?.status, HoldStatus.RELEASED);
    assert.deepEqual((await payment().releaseHold(request)).hold, hold);
    assert.deepEqual((await payment().releaseHold({ requestId: key(), holdId })).hold, hold);
    assert.deepEqual(await sums(accountId), [1000, 0, 1000]);
    await refused(payment().captureHold({ requestId: key(), holdId }), Code.FailedPrecondition, "HOLD_RELEASED");
  });

  it("refunds a capture of 500 in parts, and never more than 500", async () => {
    const [payer, payee] = [await fixture.funded(asAnn, 500n), await fixture.funded(asBob, 0n)];
    const { id: holdId } = await reserve(payer, 500n);
    await refused(payment().refundCapture({ requestId: key(), holdId }), Code.FailedPrecondition, "HOLD_NOT_CAPTURED");
    await payment().captureHold({ requestId: key(), holdId, payeeAccountId: payee });
    const request = { requestId: key(), holdId, amount: 200n };
    const { transaction, hold } = await payment().refundCapture(request);
    assert.deepEqual([transaction?.kind, transaction?.amount, hold?.refundedAmount], [TransactionKind.REFUND, 200n, 200n]);
    assert.deepEqual((await payment().refundCapture(request)).transaction, transaction);
    await refused(
      payment().refundCapture({ requestId: key(), holdId, amount: 301n }),
      Code.FailedPrecondition,
      "REFUND_EXCEEDS_CAPTURE",
    );
    await payment().refundCapture({ requestId: key(), holdId });
    await refused(payment().refundCapture({ requestId: key(), holdId }), Code.FailedPrecondition, "REFUND_EXCEEDS_CAPTURE");
    assert.deepEqual(
      [await sums(payer), await sums(payee)],
      [
        [500, 0, 500],
        [0, 0, 0],
      ],
    );
  });

  it("refuses a refund that the payee cannot pay any more", async () => {
    const [payer, payee] = [await fixture.funded(asAnn, 500n), await fixture.funded(asBob, 0n)];
    const { id: holdId } = await reserve(payer, 500n);
    await payment().captureHold({ requestId: key(), holdId, payeeAccountId: payee });
    const spend = { requestId: key(), accountId: payee, kind: TransactionKind.EXPENSE, amount: 1n };
    await fixture.transactions(asBob).recordTransaction(spend);
    await refused(payment().refundCapture({ requestId: key(), holdId }), Code.FailedPrecondition, "INSUFFICIENT_FUNDS");
  });

  it("ends a hold at its expire_time, which cannot be captured from that moment on", async () => {
    const accountId = await fixture.funded(asAnn, 1000n);
    const expireTime = timestampFromMs(now + 1000);
    const { hold } = await payment().reserveFunds({ requestId: key(), accountId, amount: 300n, expireTime });
    const holdId = hold?.id ?? "";
    const options = { db, writer: fixture.writer, log: silent, clock: () => now, everyMs: 1000 };
    assert.equal(await expireDue(options), 0);
    now += 1000;
    await refused(payment().captureHold({ requestId: key(), holdId }), Code.FailedPrecondition, "HOLD_EXPIRED");
    assert.equal(await expireDue(options), 1);
    assert.equal((await fixture.transactions(asAnn).getHold({ holdId })).hold?.status, HoldStatus.EXPIRED);
    assert.deepEqual(await sums(accountId), [1000, 0, 1000]);
    assert.equal((await payment().releaseHold({ requestId: key(), holdId })).hold?.status, HoldStatus.EXPIRED);
    await refused(payment().reserveFunds({ requestId: key(), accountId, amount: 1n, expireTime }), Code.InvalidArgument);
  });

  it("reserves nothing of another's account for a service that acts for a person", async () => {
    const accountId = await fixture.funded(asAnn, 1000n);
    const request = { requestId: key(), accountId, amount: 1n };
    await refused(fixture.transactions(asPaymentForBob).reserveFunds(request), Code.NotFound);
  });

  it("grants 10 of 30 holds of 100 on 1000 at the same time, and captures each once for 5 repeats", async () => {
    const accountId = await fixture.funded(asAnn, 1000n);
    const all = await Promise.allSettled(Array.from({ length: 30 }, () => reserve(accountId, 100n)));
    const holds = all.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
    assert.equal(holds.length, 10);
    await Promise.all(
      holds.flatMap(({ id: holdId }) => {
        const request = { requestId: key(), holdId };
        return Array.from({ length: 5 }, () => payment().captureHold(request));
      }),
    );
    assert.deepEqual(await sums(accountId), [0, 0, 0]);
  });
});
