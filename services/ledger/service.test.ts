import assert from "node:assert/strict";
import { EventService } from "#gen/events/v1/events_pb.ts";
import { AccountService } from "#gen/ledger/v1/account_pb.ts";
import { TransactionKind } from "#gen/ledger/v1/transaction_message_pb.ts";
import { TransactionService } from "#gen/ledger/v1/transaction_pb.ts";
import { ConfigError, readConfig } from "#mesh/config.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { startMesh } from "#mesh/testing.ts";
import { events } from "../events/service.ts";
import { ann, bob, collect, eventually } from "./ledger.fixture.ts";
import { ledger } from "./service.ts";
import { settings } from "./settings.ts";

describe("ledger in the mesh", () => {
  it("moves money between people by a hold, and puts an event into the outbox for each account in order", async () => {
    await using mesh = await startMesh([ledger]);
    const accounts = mesh.client(AccountService);
    const transactions = mesh.client(TransactionService);
    const open = async (userId: string) => (await accounts.openAccount({ userId, currency: "EUR" })).account?.id ?? "";
    const [payer, payee] = [await open(ann), await open(bob)];
    const income = { requestId: uuidv7(), accountId: payer, kind: TransactionKind.INCOME, amount: 1000n };
    const first = await transactions.recordTransaction(income);
    await transactions.recordTransaction(income);
    const { hold } = await transactions.reserveFunds({ requestId: "p1/reserve", accountId: payer, amount: 400n });
    const capture = { requestId: "p1/capture", holdId: hold?.id ?? "", payeeAccountId: payee };
    const second = await transactions.captureHold(capture);
    const statement = await collect(transactions.exportStatement({ accountId: payee }));
    assert.match(Buffer.concat(statement.map(({ data }) => data)).toString(), /,payment,payment,,4\.00,EUR,4\.00\r\n$/);

    const { default: pg } = await import("pg");
    const client = new pg.Client({ connectionString: mesh.env.LEDGER_DATABASE_URL });
    await client.connect();
    const { rows } = await client.query("SELECT topic, key, type, data FROM heddle_outbox.event ORDER BY key, seq");
    await client.end();
    const seen = rows.map(({ topic, key, type, data }) => [topic, key, type, data.transactionId, data.amount, data.balance]);
    const type = "ledger.transaction.recorded";
    const expected = [
      ["ledger", payer, type, first.transaction?.id, "1000", "1000"],
      ["ledger", payer, type, second.transaction?.id, "-400", "600"],
      ["ledger", payee, type, second.transaction?.id, "400", "400"],
    ];
    assert.deepEqual(seen, payer < payee ? expected : [expected[2], expected[0], expected[1]]);
  });

  it("has its events on the topic ledger, in the order of the account's postings", async () => {
    await using mesh = await startMesh([events, ledger]);
    const transactions = mesh.client(TransactionService);
    const { account } = await mesh.client(AccountService).openAccount({ userId: ann, currency: "EUR" });
    for (const amount of [1n, 2n, 3n]) {
      const income = { requestId: uuidv7(), accountId: account?.id ?? "", kind: TransactionKind.INCOME, amount };
      await transactions.recordTransaction(income);
    }
    const seen = await eventually("three events", async () => {
      const page = await mesh
        .client(EventService)
        .listEvents({ topic: "ledger" })
        .catch(() => undefined);
      return page?.events.length === 3 && page.events;
    });
    assert.deepEqual(
      seen.map(({ type, key, data, producer }) => [type, key, data?.amount, producer]),
      ["1", "2", "3"].map((amount) => ["ledger.transaction.recorded", account?.id, amount, "service:ledger"]),
    );
  });
});

describe("ledger settings", () => {
  it("are complete without any environment", () => {
    assert.deepEqual(readConfig({}, settings), { maxBatch: 200, holdSweepMs: 1000 });
  });

  for (const [variable, value] of [
    ["LEDGER_MAX_BATCH", "0"],
    ["LEDGER_MAX_BATCH", "1001"],
    ["LEDGER_HOLD_SWEEP", "1"],
  ] as const) {
    it(`refuse ${variable}=${JSON.stringify(value)}`, () => {
      assert.throws(
        () => readConfig({ [variable]: value }, settings),
        (error) => error instanceof ConfigError && error.mistakes[0]?.startsWith(variable) === true,
      );
    });
  }
});
