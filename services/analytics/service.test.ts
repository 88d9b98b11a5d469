import assert from "node:assert/strict";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { AnalyticsService } from "#gen/analytics/v1/analytics_pb.ts";
import { AccountService } from "#gen/ledger/v1/account_pb.ts";
import { TransactionKind } from "#gen/ledger/v1/transaction_message_pb.ts";
import { TransactionService } from "#gen/ledger/v1/transaction_pb.ts";
import { startMesh, type TestMesh } from "#mesh/testing.ts";
import { ledger } from "../ledger/service.ts";
import { analytics } from "./service.ts";

const user = "0190a0b0-0000-7000-8000-00000000000a";
const other = "0190a0b0-0000-7000-8000-00000000000b";

describe("analytics over the ledger", () => {
  let mesh: TestMesh;
  before(async function () {
    this.timeout(60_000);
    mesh = await startMesh([ledger, analytics]);
    const accounts = mesh.client(AccountService);
    const transactions = mesh.client(TransactionService);
    const open = async (userId: string, currency: string) => (await accounts.openAccount({ userId, currency })).account?.id ?? "";
    const [euros, savings, yen, others] = [
      await open(user, "EUR"),
      await open(user, "EUR"),
      await open(user, "JPY"),
      await open(other, "EUR"),
    ];
    let n = 0;
    const record = (accountId: string, amount: bigint, category: string, day: string) =>
      transactions.recordTransaction({
        requestId: `r${++n}`,
        accountId,
        kind: amount > 0n ? TransactionKind.INCOME : TransactionKind.EXPENSE,
        amount: amount > 0n ? amount : -amount,
        category,
        occurTime: timestampFromMs(Date.parse(day)),
      });
    for (const month of ["2026-01", "2026-02", "2026-03"]) {
      await record(euros, 300_000n, "salary", `${month}-01`);
      await record(euros, -100_000n, "rent", `${month}-02`);
      for (let day = 3; day <= 12; day++)
        await record(euros, -BigInt(1000 + day), "food", `${month}-${String(day).padStart(2, "0")}`);
    }
    await record(euros, -90_000n, "food", "2026-03-13");
    await record(yen, 500n, "gift", "2026-03-14");
    await record(others, 77n, "gift", "2026-03-14");
    await transactions.transfer({ requestId: "t", fromAccountId: euros, toAccountId: savings, amount: 5000n });
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  const ask = (request: object) =>
    mesh.client(AnalyticsService).query({ userId: user, period: "2026-Q1", granularity: "month", ...request });

  it("adds up what the ledger recorded, in each currency apart", async () => {
    const { cashFlow, transactionCount } = await ask({ metric: "cash_flow" });
    assert.deepEqual(
      cashFlow.map(({ currency, income, expense, buckets }) => [currency, income, expense, buckets.map(({ net }) => net)]),
      [
        ["EUR", 900_000n, 420_225n, [189_925n, 189_925n, 99_925n]],
        ["JPY", 500n, 0n, [0n, 0n, 500n]],
      ],
    );
    assert.equal(transactionCount, 38n);
  });

  it("tells trends by category", async () => {
    const { spendingTrends } = await ask({ metric: "spending_trends", currency: "EUR" });
    const seen = spendingTrends[0]?.categories.map(({ category, buckets, direction }) => [category, buckets, direction]);
    assert.deepEqual(seen, [
      ["rent", [100_000n, 100_000n, 100_000n], "steady"],
      ["food", [10_075n, 10_075n, 100_075n], "rising"],
    ]);
  });

  it("scores health with the balance that the accounts have", async () => {
    const { healthScore } = await ask({ metric: "health_score", currency: "EUR", period: "P12M" });
    assert.equal(healthScore[0]?.balance, 479_775n);
    const past = await ask({ metric: "health_score", currency: "EUR" });
    // Nothing had been recorded by the end of March: the balance of a time never changes.
    assert.equal(past.healthScore[0]?.balance, 0n);
  });

  it("finds the one dinner for ninety, by its id, time and amount", async () => {
    const { anomalies } = await ask({ metric: "anomalies", currency: "EUR" });
    const [found] = anomalies;
    assert.deepEqual(
      found?.items.map(({ category, amount, occurTime }) => [category, amount, occurTime?.seconds]),
      [["food", -90_000n, BigInt(Date.parse("2026-03-13") / 1000)]],
    );
    const id = found?.items[0]?.transactionId ?? "";
    const { transaction } = await mesh.client(TransactionService).getTransaction({ transactionId: id });
    assert.equal(transaction?.amount, 90_000n);
  });

  it("says what is kept, and computes anew when asked to", async () => {
    const request = { metric: "cash_flow", currency: "JPY" };
    assert.deepEqual(
      [(await ask(request)).cached, (await ask(request)).cached, (await ask({ ...request, fresh: true })).cached],
      [false, true, false],
    );
  });

  it("refuses boundaries that do not ascend, in the ledger's scan", async () => {
    const scan = mesh.client(TransactionService).scanTransactions({ userId: user, boundariesMs: [2n, 1n] });
    await assert.rejects(Array.fromAsync(scan), { code: Code.InvalidArgument });
  });
});
