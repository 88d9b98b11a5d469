import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { AccessLevel } from "#gen/heddle/v1/access_pb.ts";
import { AccountService } from "#gen/ledger/v1/account_pb.ts";
import { TransactionKind } from "#gen/ledger/v1/transaction_message_pb.ts";
import { TransactionService } from "#gen/ledger/v1/transaction_pb.ts";
import { accessRuleOf } from "#mesh/identity/access.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { ann, asAnn, asBob, asPayment, collect, type Fixture, freshDatabase, refused, serve } from "./ledger.fixture.ts";

describe("ledger, a stranger's token", () => {
  let db: Database;
  let fixture: Fixture;
  let accountId = "";
  let bobs = "";
  let transactionId = "";
  let holdId = "";
  before(async () => {
    db = await freshDatabase();
    fixture = serve(db);
    accountId = await fixture.funded(asAnn, 1000n);
    bobs = await fixture.funded(asBob, 1000n);
    const { hold } = await fixture.transactions(asPayment).reserveFunds({ requestId: uuidv7(), accountId, amount: 1n });
    holdId = hold?.id ?? "";
    const { transactions } = await fixture.transactions(asAnn).listTransactions({});
    transactionId = transactions[0]?.id ?? "";
  });
  after(async () => {
    await fixture[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });

  const requestId = uuidv7();
  const kind = TransactionKind.EXPENSE;
  const accounts = () => fixture.accounts(asBob);
  const transactions = () => fixture.transactions(asBob);
  /** Every method that names something of somebody's, and the code that a stranger gets. */
  const calls: Record<string, readonly (readonly [Code, () => Promise<unknown>])[]> = {
    OpenAccount: [[Code.PermissionDenied, () => accounts().openAccount({ userId: ann, currency: "EUR" })]],
    GetAccount: [[Code.NotFound, () => accounts().getAccount({ accountId })]],
    ListAccounts: [[Code.PermissionDenied, () => accounts().listAccounts({ userId: ann })]],
    CloseAccount: [[Code.NotFound, () => accounts().closeAccount({ accountId })]],
    GetBalance: [[Code.NotFound, () => accounts().getBalance({ accountId })]],
    RecordTransaction: [[Code.NotFound, () => transactions().recordTransaction({ requestId, accountId, kind, amount: 1n })]],
    Transfer: [
      [Code.NotFound, () => transactions().transfer({ requestId, fromAccountId: accountId, toAccountId: bobs, amount: 1n })],
      [Code.NotFound, () => transactions().transfer({ requestId, fromAccountId: bobs, toAccountId: accountId, amount: 1n })],
    ],
    GetTransaction: [[Code.NotFound, () => transactions().getTransaction({ transactionId })]],
    ListTransactions: [
      [Code.NotFound, () => transactions().listTransactions({ accountId })],
      [Code.PermissionDenied, () => transactions().listTransactions({ userId: ann })],
    ],
    ScanPostings: [
      [Code.NotFound, () => collect(transactions().scanPostings({ accountId }))],
      [Code.PermissionDenied, () => collect(transactions().scanPostings({ userId: ann }))],
    ],
    ExportStatement: [[Code.NotFound, () => collect(transactions().exportStatement({ accountId }))]],
    GetHold: [[Code.NotFound, () => transactions().getHold({ holdId })]],
  };

  for (const [method, refusals] of Object.entries(calls)) {
    for (const [code, call] of refusals) {
      it(`gets ${Code[code]} from ${method}`, async () => {
        await refused(call(), code);
      });
    }
  }

  it("gets the same answer for what is another's as for what does not exist", async () => {
    const absent = uuidv7();
    const error = await refused(accounts().getAccount({ accountId }), Code.NotFound);
    const other = await refused(accounts().getAccount({ accountId: absent }), Code.NotFound);
    assert.equal(error.message.replace(accountId, absent), other.message);
  });

  it("is kept by the contract from every method that is not above", () => {
    const closed: readonly (AccessLevel | undefined)[] = [AccessLevel.SERVICE, AccessLevel.ROLE];
    const others = [...AccountService.methods, ...TransactionService.methods].filter(({ name }) => calls[name] === undefined);
    const levels = others.map((method) => [method.name, closed.includes(accessRuleOf(method)?.level)]);
    assert.deepEqual(levels, [
      ["RecordEntry", true],
      ["ScanTransactions", true],
      ["ReserveFunds", true],
      ["CaptureHold", true],
      ["ReleaseHold", true],
      ["RefundCapture", true],
    ]);
  });

  it("moves nothing", async () => {
    const { account } = await fixture.accounts(asAnn).getAccount({ accountId });
    assert.deepEqual([account?.balance, account?.held], [1000n, 1n]);
  });
});
