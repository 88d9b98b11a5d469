import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { AccountStatus } from "#gen/ledger/v1/account_pb.ts";
import { TransactionKind } from "#gen/ledger/v1/transaction_message_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import {
  ann,
  asAdmin,
  asAnn,
  asBob,
  asPayment,
  type Fixture,
  freshDatabase,
  refused,
  serve,
  violations,
} from "./ledger.fixture.ts";

const { INCOME, EXPENSE, TRANSFER, ENTRY } = TransactionKind;

describe("ledger", () => {
  let db: Database;
  let fixture: Fixture;
  before(async () => {
    db = await freshDatabase();
    fixture = serve(db);
  });
  after(async () => {
    assert.deepEqual(await violations(db), []);
    await fixture[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });

  const mine = () => fixture.transactions(asAnn);
  const balanceOf = async (accountId: string) => (await fixture.accounts(asAdmin).getAccount({ accountId })).account?.balance;
  const income = (accountId: string, amount: bigint) => ({ requestId: uuidv7(), accountId, kind: INCOME, amount });
  const expense = (accountId: string, amount: bigint) => ({ requestId: uuidv7(), accountId, kind: EXPENSE, amount });

  it("opens an account in EUR with balance 0, and answers a repeat with the same one", async () => {
    const request = { requestId: uuidv7(), displayName: "Everyday", currency: "EUR", lowerLimit: -500n };
    const { account } = await fixture.accounts(asAnn).openAccount(request);
    const { userId, displayName, currency, balance, held, available, lowerLimit, minorUnitDigits, status } =
      account ?? assert.fail();
    assert.deepEqual([userId, displayName, currency, status], [ann, "Everyday", "EUR", AccountStatus.OPEN]);
    assert.deepEqual([balance, held, available, lowerLimit, minorUnitDigits], [0n, 0n, 500n, -500n, 2]);
    const again = await fixture.accounts(asAnn).openAccount(request);
    assert.equal(again.account?.id, account?.id);
    await refused(fixture.accounts(asAnn).openAccount({ ...request, currency: "USD" }), Code.AlreadyExists);
    // Another caller's ids are its own.
    const other = await fixture.accounts(asBob).openAccount(request);
    assert.notEqual(other.account?.id, account?.id);
  });

  for (const currency of ["XXX", "ANG", "eur", ""]) {
    it(`refuses to open an account in ${JSON.stringify(currency)}`, async () => {
      const error = await refused(fixture.accounts(asAnn).openAccount({ currency }), Code.InvalidArgument);
      assert.match(error.message, /^(\[invalid_argument\] )?currency: /);
    });
  }

  it("records an income of 5000 and an expense of 1200, each with two postings that sum to zero", async () => {
    const accountId = await fixture.funded(asAnn, 0n);
    await mine().recordTransaction({ ...income(accountId, 5000n), category: "salary" });
    const { transaction } = await mine().recordTransaction({ ...expense(accountId, 1200n), category: "groceries" });
    const postings = transaction?.postings.map((one) => [one.accountId, one.amount, one.currency]);
    assert.deepEqual(postings, [
      [accountId, -1200n, "EUR"],
      ["", 1200n, "EUR"],
    ]);
    assert.deepEqual([transaction?.amount, transaction?.category, transaction?.kind], [1200n, "groceries", EXPENSE]);
    assert.equal(await balanceOf(accountId), 3800n);
  });

  it("lets a balance reach its limit of -500, and refuses one unit below it", async () => {
    const accountId = await fixture.funded(asAnn, 0n, { lowerLimit: -500n });
    await mine().recordTransaction(expense(accountId, 500n));
    await refused(mine().recordTransaction(expense(accountId, 1n)), Code.FailedPrecondition, "INSUFFICIENT_FUNDS");
    assert.equal(await balanceOf(accountId), -500n);
  });

  it("moves money once for a request id that comes 20 times at once, and refuses it with another amount", async () => {
    const accountId = await fixture.funded(asAnn, 1000n);
    const request = expense(accountId, 100n);
    const all = await Promise.all(Array.from({ length: 20 }, () => mine().recordTransaction(request)));
    assert.equal(new Set(all.map(({ transaction }) => transaction?.id)).size, 1);
    assert.deepEqual((await mine().recordTransaction(request)).transaction, all[0]?.transaction);
    assert.equal(await balanceOf(accountId), 900n);
    const error = await refused(mine().recordTransaction({ ...request, amount: 101n }), Code.AlreadyExists);
    assert.match(error.message, /request_id ".*" came before with other content/);
  });

  it("requires a request id to move money", async () => {
    const accountId = await fixture.funded(asAnn, 1000n);
    await refused(mine().recordTransaction({ ...expense(accountId, 1n), requestId: "" }), Code.InvalidArgument);
  });

  it("never spends 1000 eleven times by 100, however many try at once from two instances", async () => {
    await using second = serve(db);
    const accountId = await fixture.funded(asAnn, 1000n);
    const spend = (on: Fixture) => on.transactions(asAnn).recordTransaction(expense(accountId, 100n));
    const results = await Promise.allSettled(Array.from({ length: 60 }, (_, n) => spend(n % 2 === 0 ? fixture : second)));
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 10);
    for (const result of results) {
      if (result.status === "rejected")
        await refused(Promise.reject(result.reason), Code.FailedPrecondition, "INSUFFICIENT_FUNDS");
    }
    assert.equal(await balanceOf(accountId), 0n);
  });

  it("transfers between two accounts of one user", async () => {
    const from = await fixture.funded(asAnn, 1000n);
    const to = await fixture.funded(asAnn, 0n);
    const { transaction } = await mine().transfer({ requestId: uuidv7(), fromAccountId: from, toAccountId: to, amount: 250n });
    assert.deepEqual([transaction?.kind, transaction?.amount, transaction?.category], [TRANSFER, 250n, "transfer"]);
    assert.deepEqual([await balanceOf(from), await balanceOf(to)], [750n, 250n]);
    // Listed once for the user, although two accounts are touched.
    const { transactions } = await mine().listTransactions({ pageSize: 1000 });
    assert.equal(transactions.filter(({ id }) => id === transaction?.id).length, 1);
  });

  it("refuses to transfer to the same account, and between EUR and USD", async () => {
    const eur = await fixture.funded(asAnn, 1000n);
    const usd = await fixture.funded(asAnn, 0n, { currency: "USD" });
    const same = { requestId: uuidv7(), fromAccountId: eur, toAccountId: eur.toUpperCase(), amount: 1n };
    await refused(mine().transfer(same), Code.InvalidArgument);
    const mixed = { requestId: uuidv7(), fromAccountId: eur, toAccountId: usd, amount: 1n };
    await refused(mine().transfer(mixed), Code.FailedPrecondition, "CURRENCY_MISMATCH");
    await refused(
      mine().recordTransaction({ ...expense(eur, 1n), currency: "USD" }),
      Code.FailedPrecondition,
      "CURRENCY_MISMATCH",
    );
    assert.deepEqual([await balanceOf(eur), await balanceOf(usd)], [1000n, 0n]);
  });

  it("refuses a balance above 2^63 - 1, and takes 2^63 - 1 itself", async () => {
    const accountId = await fixture.funded(asAnn, 2n ** 63n - 1n);
    assert.equal(await balanceOf(accountId), 2n ** 63n - 1n);
    await refused(mine().recordTransaction(income(accountId, 1n)), Code.FailedPrecondition, "BALANCE_OVERFLOW");
  });

  for (const amount of [0n, -1n, -(2n ** 63n)]) {
    it(`refuses to record the amount ${amount}`, async () => {
      const accountId = await fixture.funded(asAnn, 1000n);
      await refused(mine().recordTransaction(income(accountId, amount)), Code.InvalidArgument);
    });
  }

  it("lets an administrator record between any accounts, and refuses postings that sum to 1", async () => {
    const [a, b] = [await fixture.funded(asAnn, 1000n), await fixture.funded(asBob, 0n)];
    const postings = [{ accountId: a, amount: -300n }, { accountId: b, amount: 200n }, { amount: 100n }];
    const { transaction } = await fixture.transactions(asAdmin).recordEntry({ requestId: uuidv7(), postings });
    assert.deepEqual([transaction?.kind, transaction?.amount], [ENTRY, 300n]);
    assert.deepEqual([await balanceOf(a), await balanceOf(b)], [700n, 200n]);
    const odd = {
      requestId: uuidv7(),
      postings: [
        { accountId: a, amount: -300n },
        { accountId: b, amount: 301n },
      ],
    };
    const error = await refused(fixture.transactions(asPayment).recordEntry(odd), Code.InvalidArgument);
    assert.match(error.message, /postings: expected a sum of 0, got 1/);
    // Both see it; each may be told of the other's posting.
    for (const who of [asAnn, asBob]) await fixture.transactions(who).getTransaction({ transactionId: transaction?.id ?? "" });
  });

  it("closes an empty account for good, and not one with money on it", async () => {
    const accountId = await fixture.funded(asAnn, 10n);
    await refused(fixture.accounts(asAnn).closeAccount({ accountId }), Code.FailedPrecondition, "ACCOUNT_NOT_EMPTY");
    await mine().recordTransaction(expense(accountId, 10n));
    const { account } = await fixture.accounts(asAnn).closeAccount({ accountId });
    assert.equal(account?.status, AccountStatus.CLOSED);
    assert.deepEqual((await fixture.accounts(asAnn).closeAccount({ accountId })).account, account);
    await refused(mine().recordTransaction(income(accountId, 1n)), Code.FailedPrecondition, "ACCOUNT_CLOSED");
    const { accounts } = await fixture.accounts(asAnn).listAccounts({ status: AccountStatus.CLOSED });
    assert.deepEqual(
      accounts.map(({ id }) => id),
      [accountId],
    );
  });

  it("lists a user's accounts oldest first, page by page, to the user and to administrators", async () => {
    const carol = uuidv7();
    const ids = [];
    for (const currency of ["EUR", "USD", "JPY"]) {
      const { account } = await fixture.accounts(asPayment).openAccount({ userId: carol, currency });
      ids.push(account?.id);
    }
    const first = await fixture.accounts(asAdmin).listAccounts({ userId: carol, pageSize: 2 });
    const second = await fixture.accounts(asAdmin).listAccounts({ userId: carol, pageSize: 2, pageToken: first.nextPageToken });
    assert.deepEqual(
      [...first.accounts, ...second.accounts].map(({ id }) => id),
      ids,
    );
    assert.equal(second.nextPageToken, "");
    await refused(fixture.accounts(asAnn).listAccounts({ userId: carol }), Code.PermissionDenied);
    await refused(fixture.accounts(asAnn).listAccounts({ pageToken: "bm9uc2Vuc2U" }), Code.InvalidArgument);
  });
});
