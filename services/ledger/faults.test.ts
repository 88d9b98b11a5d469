import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { TransactionKind } from "#gen/ledger/v1/transaction_message_pb.ts";
import { runWithContext } from "#mesh/context.ts";
import { retryAfterMs } from "#mesh/errors.ts";
import { type Database, openDatabase, type Queryable } from "#mesh/storage/database.ts";
import { startEmbeddedPostgres } from "#mesh/storage/embedded.ts";
import { failingAt } from "#mesh/storage/faulty-database.fixture.ts";
import { migrate } from "#mesh/storage/migrate.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { Recorded } from "./batch.ts";
import {
  asAdmin,
  asAnn,
  asBob,
  asPayment,
  contextOf,
  eventually,
  type Fixture,
  freshDatabase,
  refused,
  serve,
  silent,
  violations,
} from "./ledger.fixture.ts";

describe("ledger under faults", () => {
  let db: Database;
  let fixture: Fixture;
  let from = "";
  let to = "";
  before(async () => {
    db = await freshDatabase();
    fixture = serve(db);
    from = await fixture.funded(asAnn, 1_000_000n);
    to = await fixture.funded(asAnn, 0n);
  });
  after(async () => {
    assert.deepEqual(await violations(db), []);
    await fixture[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });

  const state = async () => [
    ...(await db.query("SELECT id, balance, held, close_time FROM account ORDER BY id")),
    ...(await db.query("SELECT count(*) FROM transaction")),
    ...(await db.query("SELECT count(*) FROM request")),
    ...(await db.query("SELECT id, status, captured_amount, refunded_amount FROM hold ORDER BY id")),
  ];
  const hold = async () => {
    const { hold: made } = await fixture
      .transactions(asPayment)
      .reserveFunds({ requestId: uuidv7(), accountId: from, amount: 10n });
    return made?.id ?? assert.fail();
  };
  const income = TransactionKind.INCOME;
  type Call = (on: Fixture) => Promise<unknown>;
  const cases: Record<string, () => Promise<Call>> = {
    OpenAccount: async () => {
      const request = { requestId: uuidv7(), currency: "EUR" };
      return (on) => on.accounts(asBob).openAccount(request);
    },
    CloseAccount: async () => {
      const accountId = await fixture.funded(asBob, 0n);
      return (on) => on.accounts(asBob).closeAccount({ accountId });
    },
    RecordTransaction: async () => {
      const request = { requestId: uuidv7(), accountId: from, kind: income, amount: 5n };
      return (on) => on.transactions(asAnn).recordTransaction(request);
    },
    Transfer: async () => {
      const request = { requestId: uuidv7(), fromAccountId: from, toAccountId: to, amount: 5n };
      return (on) => on.transactions(asAnn).transfer(request);
    },
    RecordEntry: async () => {
      const postings = [{ accountId: from, amount: 3n }, { amount: -3n }];
      const request = { requestId: uuidv7(), postings };
      return (on) => on.transactions(asAdmin).recordEntry(request);
    },
    ReserveFunds: async () => {
      const request = { requestId: uuidv7(), accountId: from, amount: 5n };
      return (on) => on.transactions(asPayment).reserveFunds(request);
    },
    CaptureHold: async () => {
      const request = { requestId: uuidv7(), holdId: await hold(), payeeAccountId: to };
      return (on) => on.transactions(asPayment).captureHold(request);
    },
    ReleaseHold: async () => {
      const request = { requestId: uuidv7(), holdId: await hold() };
      return (on) => on.transactions(asPayment).releaseHold(request);
    },
    RefundCapture: async () => {
      const holdId = await hold();
      await fixture.transactions(asPayment).captureHold({ requestId: uuidv7(), holdId });
      const request = { requestId: uuidv7(), holdId };
      return (on) => on.transactions(asPayment).refundCapture(request);
    },
  };

  for (const [method, prepare] of Object.entries(cases)) {
    it(`${method}: cut off at any statement it leaves nothing, and repeats complete it once`, async () => {
      const whole = failingAt(db, 0);
      await using counted = serve(whole.db);
      const one = await prepare();
      await one(counted);
      assert.ok(whole.count() > 2);
      for (let n = 1; n <= whole.count(); n++) {
        const call = await prepare();
        const before = await state();
        await using broken = serve(failingAt(db, n).db);
        await refused(call(broken), Code.Unavailable);
        assert.deepEqual(await state(), before, `statement ${n}`);
        const first = await call(fixture);
        const done = await state();
        assert.deepEqual(await call(fixture), first);
        assert.deepEqual(await state(), done);
      }
    });
  }

  it("carries out what was begun although its call is over, and a repeat finds it", async () => {
    const leave = new AbortController();
    const request = { caller: "user:x", requestId: uuidv7() };
    const lines = [
      { to: { accountId: from }, amount: -7n },
      { to: { accountId: to }, amount: 7n },
    ];
    const draft = { kind: "transfer", lines, currency: "", category: "c", description: "", occurTime: undefined } as const;
    const command = { action: { type: "record", draft }, may: () => true, request } as const;
    const call = runWithContext(contextOf(asAnn, leave.signal), () => fixture.writer.submit(command));
    leave.abort();
    await refused(call, Code.Canceled);
    const { transaction } = await fixture.writer.submit(command);
    const rows = await db.query("SELECT transaction_id FROM request WHERE request_id = $1", [request.requestId]);
    assert.deepEqual(rows, [{ transaction_id: transaction?.id }]);
  });

  it("fails one command of a batch alone when the database refuses what the rules let through", async () => {
    const announce = async (tx: Queryable, recorded: readonly Recorded[]) => {
      if (recorded.some(({ transaction }) => transaction.description === "odd")) await tx.query("SELECT 1 / 0");
    };
    await using on = serve(db, { announce });
    const before = (await fixture.accounts(asAnn).getAccount({ accountId: from })).account?.balance ?? assert.fail();
    const texts = ["a", "b", "odd", "c"];
    const all = texts.map((description) => {
      const request = { requestId: uuidv7(), accountId: from, kind: income, amount: 1n, description };
      return on.transactions(asAnn).recordTransaction(request);
    });
    const results = await Promise.allSettled(all);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "fulfilled", "rejected", "fulfilled"],
    );
    assert.equal((await fixture.accounts(asAnn).getAccount({ accountId: from })).account?.balance, before + 3n);
  });

  it("answers UNAVAILABLE with a time to retry while PostgreSQL is away, and goes on when it is back", async function () {
    this.timeout(60_000);
    const dataDir = await mkdtemp(join(tmpdir(), "heddle-test-ledger-"));
    await using undo = new AsyncDisposableStack();
    undo.defer(() => rm(dataDir, { recursive: true, force: true }));
    let server = await startEmbeddedPostgres({ dataDir, port: 0, log: silent });
    undo.defer(() => server.close());
    const away = undo.use(await openDatabase({ url: server.url, service: "ledger", log: silent }));
    await migrate(away, new URL("./migrations/", import.meta.url), silent);
    const on = undo.use(serve(away));
    const accountId = await on.funded(asAnn, 1000n);
    await server.close();
    const request = { requestId: uuidv7(), accountId, kind: TransactionKind.EXPENSE, amount: 100n };
    const began = performance.now();
    const error = await refused(on.transactions(asAnn).recordTransaction(request), Code.Unavailable);
    assert.ok((retryAfterMs(error) ?? 0) > 0);
    await refused(on.accounts(asAnn).getAccount({ accountId }), Code.Unavailable);
    assert.ok(performance.now() - began < 5000);
    server = await startEmbeddedPostgres({ dataDir, port: Number(new URL(server.url).port), log: silent });
    const { transaction } = await eventually("the database", () =>
      on
        .transactions(asAnn)
        .recordTransaction(request)
        .catch(() => undefined),
    );
    assert.equal(transaction?.amount, 100n);
    assert.equal((await on.accounts(asAnn).getAccount({ accountId })).account?.balance, 900n);
  });
});
