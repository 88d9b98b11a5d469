import assert from "node:assert/strict";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { TransactionKind } from "#gen/ledger/v1/transaction_message_pb.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { asAnn, asPayment, bob, collect, type Fixture, freshDatabase, refused, serve, violations } from "./ledger.fixture.ts";

const { INCOME, EXPENSE } = TransactionKind;

describe("ledger, what was recorded", () => {
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
  const income = (accountId: string, amount: bigint) => ({ requestId: uuidv7(), accountId, kind: INCOME, amount });
  const expense = (accountId: string, amount: bigint) => ({ requestId: uuidv7(), accountId, kind: EXPENSE, amount });

  it("tells the balance at a past time, which a transaction of an earlier occur_time does not change", async () => {
    let now = Date.now();
    await using timed = serve(db, { clock: () => now });
    const accountId = await timed.funded(asAnn, 0n);
    const opened = now;
    now += 1000;
    await timed.transactions(asAnn).recordTransaction(income(accountId, 100n));
    const after100 = now;
    now += 1000;
    await timed.transactions(asAnn).recordTransaction({ ...income(accountId, 20n), occurTime: timestampFromMs(opened) });
    const at = async (time: number) => {
      const { balance } = await timed.accounts(asAnn).getBalance({ accountId, asOfTime: timestampFromMs(time) });
      return balance;
    };
    assert.deepEqual(
      [await at(0), await at(after100 - 1), await at(after100), await at(now - 1), await at(now)],
      [0n, 0n, 100n, 100n, 120n],
    );
    assert.equal((await timed.accounts(asAnn).getBalance({ accountId })).balance, 120n);
    await refused(timed.accounts(asAnn).getBalance({ accountId, asOfTime: timestampFromMs(now + 1) }), Code.InvalidArgument);
    now += 10 * 60_000;
    assert.equal(await at(after100), 100n);
  });

  it("records no earlier than what an account has, although the clock went back", async () => {
    let now = Date.now() + 60_000;
    await using timed = serve(db, { clock: () => now });
    const accountId = await timed.funded(asAnn, 10n);
    now -= 60_000;
    const { transaction } = await timed.transactions(asAnn).recordTransaction(expense(accountId, 1n));
    assert.equal(timestampMs(transaction?.createTime ?? assert.fail()), now + 60_000);
  });

  it("refuses an occur_time that is more than a day ahead", async () => {
    const accountId = await fixture.funded(asAnn, 10n);
    const occurTime = timestampFromMs(Date.now() + 25 * 3_600_000);
    await refused(mine().recordTransaction({ ...expense(accountId, 1n), occurTime }), Code.InvalidArgument);
  });

  it("lists transactions latest first, by account, user, period, kind, category and currency", async () => {
    const dora = uuidv7();
    const { account } = await fixture.accounts(asPayment).openAccount({ userId: dora, currency: "EUR", lowerLimit: -1_000_000n });
    const accountId = account?.id ?? "";
    const day = 24 * 3_600_000;
    const start = Date.UTC(2026, 0, 1);
    for (let n = 0; n < 10; n++) {
      const category = n % 2 === 0 ? "rent" : "food";
      const occurTime = timestampFromMs(start + n * day);
      await fixture.transactions(asPayment).recordTransaction({ ...expense(accountId, BigInt(n + 1)), category, occurTime });
    }
    await fixture.transactions(asPayment).recordTransaction({ ...income(accountId, 99n), occurTime: timestampFromMs(start) });
    const amounts = async (filter: object) => {
      const { transactions } = await fixture.transactions(asPayment).listTransactions({ userId: dora, ...filter });
      return transactions.map(({ amount }) => Number(amount));
    };
    assert.deepEqual((await amounts({})).slice(0, 9), [10, 9, 8, 7, 6, 5, 4, 3, 2]);
    assert.deepEqual(await amounts({ category: "food" }), [10, 8, 6, 4, 2]);
    assert.deepEqual(await amounts({ kind: INCOME }), [99]);
    assert.deepEqual(await amounts({ currency: "USD" }), []);
    const period = { fromTime: timestampFromMs(start + day), toTime: timestampFromMs(start + 3 * day) };
    assert.deepEqual(await amounts(period), [3, 2]);
    assert.deepEqual(await amounts({ ...period, userId: "", accountId }), [3, 2]);
    const pages: number[] = [];
    for (let pageToken = "", more = true; more; more = pageToken !== "") {
      const page = await fixture.transactions(asPayment).listTransactions({ userId: dora, pageSize: 3, pageToken });
      pages.push(...page.transactions.map(({ amount }) => Number(amount)));
      pageToken = page.nextPageToken;
    }
    assert.deepEqual(pages.slice(0, 9), [10, 9, 8, 7, 6, 5, 4, 3, 2]);
    assert.equal(pages.length, 11);

    const [columns] = await collect(fixture.transactions(asPayment).scanPostings({ userId: dora, ...period }));
    assert.deepEqual(columns?.amounts, [-2n, -3n]);
    assert.deepEqual(columns?.occurTimesMs, [BigInt(start + day), BigInt(start + 2 * day)]);
    assert.deepEqual(columns?.kinds, [EXPENSE, EXPENSE]);
    assert.deepEqual(
      columns?.categoryIndexes.map((index) => columns.categories[index]),
      ["food", "rent"],
    );
    assert.deepEqual(
      columns?.currencyIndexes.map((index) => columns.currencies[index]),
      ["EUR", "EUR"],
    );
    assert.equal(columns?.transactionIds.length, 32);
    assert.deepEqual(await collect(fixture.transactions(asPayment).scanPostings({ userId: uuidv7() })), []);
    await refused(mine().listTransactions({ userId: dora }), Code.PermissionDenied);
    await refused(mine().listTransactions({ userId: bob }), Code.PermissionDenied);
  });

  it("exports a statement as CSV, with decimal amounts, quotes, and no formulas", async () => {
    const accountId = await fixture.funded(asAnn, 123_456n);
    const trick = { category: "=1+1", description: 'says "hi",\r\nand goes' };
    const { transaction } = await mine().recordTransaction({ ...expense(accountId, 5n), ...trick });
    const chunks = await collect(mine().exportStatement({ accountId }));
    assert.equal(chunks[0]?.contentType, "text/csv; charset=utf-8");
    const text = Buffer.concat(chunks.map(({ data }) => data)).toString();
    const [head, first, second] = text.split(/\r\n(?=\d{4}-)|(?<=balance)\r\n/);
    assert.equal(head, "recorded,occurred,transaction_id,kind,category,description,amount,currency,balance");
    assert.match(first ?? "", /,income,uncategorized,,1234\.56,EUR,1234\.56$/);
    const time = new Date(timestampMs(transaction?.createTime ?? assert.fail())).toISOString();
    assert.equal(second, `${time},${time},${transaction?.id},expense,'=1+1,"says ""hi"",\r\nand goes",-0.05,EUR,1234.51\r\n`);
    const none = await collect(mine().exportStatement({ accountId, toTime: timestampFromMs(0) }));
    assert.equal(Buffer.concat(none.map(({ data }) => data)).toString(), `${head}\r\n`);
  });
});
