/**
 * Payments while kill -9 hits the payment service, the ledger and notification at each step of the saga in turn. The short form makes one
 * round through the steps; HEDDLE_SOAK=1 makes 200 runs.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { AccountService } from "#gen/ledger/v1/account_pb.ts";
import { TransactionKind } from "#gen/ledger/v1/transaction_message_pb.ts";
import { TransactionService } from "#gen/ledger/v1/transaction_pb.ts";
import { PaymentService } from "#gen/payment/v1/payment_pb.ts";
import { startMesh, testDatabase } from "#mesh/testing.ts";

const long = process.env.HEDDLE_SOAK === "1";
const root = join(import.meta.dirname, "../..");
const steps = ["reserve", "check", "charge", "settle", "notify"] as const;
const victims = ["payment", "ledger", "notification"] as const;
type Victim = (typeof victims)[number];

describe("payment under kill -9", function () {
  const runs = long ? 200 : 5;
  this.timeout(long ? 3_600_000 : 180_000);

  it(`ends captured or undone, exactly once, in ${runs} runs over every step and process`, async () => {
    await using stage = await startStage();
    const { accounts, transactions, payments, query } = stage;
    const userId = randomUUID();
    const open = async () => (await accounts.openAccount({ userId, currency: "EUR" })).account?.id ?? "";
    const [payer, payee] = [await open(), await open()];
    const income = { requestId: randomUUID(), accountId: payer, kind: TransactionKind.INCOME, amount: 10_000_000n };
    await transactions.recordTransaction(income);

    const began = Date.now();
    const outcomes = new Map<string, number>();
    let [kills, slowestMs] = [0, 0];
    const ids: string[] = [];
    for (let run = 0; run < runs; run++) {
      const step = run % steps.length;
      // Three processes and five steps have no common divisor: fifteen runs meet every pair.
      const victim = victims[run % victims.length] ?? "payment";
      const paymentMethod = ["tok_visa", "tok_visa", "tok_declined", "tok_flaky"][Math.floor(run / 15) % 4] ?? "tok_visa";
      const requestId = randomUUID();
      const request = {
        requestId,
        userId,
        accountId: payer,
        payeeAccountId: payee,
        amount: 100n,
        currency: "EUR",
        paymentMethod,
      };
      const heard = stage.changes();
      const { payment } = await payments.createPayment(request);
      const id = payment?.id ?? assert.fail();
      ids.push(id);
      // The n-th change commits as the n-th step begins; a payment that is declined has no more steps, and is killed a little later.
      await heard.number(step + 1, 1500);
      await sleep(Math.random() * 12);
      await stage.kill(victim);
      kills++;
      // Somebody who saw no answer asks again.
      await repeat(() => payments.createPayment(request));
      const killedAt = Date.now();
      const saga = await ended(() => query("payment", "select status from heddle_saga.saga where id = $1", [id]));
      slowestMs = Math.max(slowestMs, Date.now() - killedAt);
      const outcome = `${String(saga.status)} ${paymentMethod}`;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      if ((run + 1) % 20 === 0) console.log(`      ${run + 1} runs after ${Math.round((Date.now() - began) / 1000)} s`);
    }

    const violations = await check(stage, ids, payer);
    console.log(`      ${kills} kills in ${Math.round((Date.now() - began) / 1000)} s: ${violations.length} violations`);
    for (const [outcome, count] of outcomes) console.log(`      ${outcome}: ${count}`);
    console.log(`      slowest end after a kill: ${(slowestMs / 1000).toFixed(1)} s`);
    assert.deepEqual(violations, []);
    assert.equal(ids.length, runs);
  });
});

/** What must be true of every payment, asked of each service's database in SQL. */
async function check({ query }: Stage, ids: readonly string[], payer: string): Promise<string[]> {
  const violations: string[] = [];
  let taken = 0;
  for (const id of ids) {
    const wrong = (what: string, got: unknown) => violations.push(`${id}: ${what}, got ${JSON.stringify(got)}`);
    const [payment] = await query(
      "payment",
      "select status, hold_id, captured_amount::int as captured from payment where id = $1",
      [id],
    );
    const [saga] = await query("payment", "select status from heddle_saga.saga where id = $1", [id]);
    const charges = await query(
      "payment",
      "select status, (captured_amount - refunded_amount)::int as taken from acquirer_charge where key = $1",
      [`${id}/charge`],
    );
    const events = await query("payment", "select type, count(*)::int from heddle_outbox.event where key = $1 group by type", [
      id,
    ]);
    const entries = payment?.hold_id
      ? await query("ledger", "select id from transaction where hold_id = $1", [payment.hold_id])
      : [];
    const twice = events.filter(({ count }) => count !== 1);
    if (twice.length > 0) wrong("each event once", twice);
    if (charges.length > 1) wrong("one charge at most", charges);
    const captured = payment?.status === "captured";
    if (captured) {
      taken += 100;
      if (saga?.status !== "DONE") wrong("a captured payment's saga DONE", saga);
      if (charges[0]?.taken !== 100) wrong("100 charged", charges);
      if (entries.length !== 1) wrong("one transaction", entries);
      if (!events.some(({ type }) => type === "payment.captured")) wrong("payment.captured", events);
    } else {
      if (payment?.status !== "declined" && payment?.status !== "failed") wrong("captured, declined or failed", payment);
      if (saga?.status !== "COMPENSATED") wrong("an undone payment's saga COMPENSATED", saga);
      if (charges.some((charge) => charge.taken !== 0)) wrong("nothing charged", charges);
      if (entries.length % 2 === 1) wrong("nothing moved", entries);
    }
    const sent = await query("notification", "select id from notification where body like $1", [`%${id}%`]);
    if (sent.length !== (captured ? 1 : 0)) wrong("one receipt if captured, else none", sent.length);
  }
  const [held] = await query("ledger", "select count(*)::int from hold where status = 'held'", []);
  if (held?.count !== 0) violations.push(`holds left: ${JSON.stringify(held)}`);
  const [left] = await query("ledger", "select balance::int from account where id = $1", [payer]);
  if (left?.balance !== 10_000_000 - taken) violations.push(`the payer has ${left?.balance}, not ${10_000_000 - taken}`);
  return violations;
}

type Row = Record<string, unknown>;
type Stage = Awaited<ReturnType<typeof startStage>>;

/** The three services as processes of their own, on one PostgreSQL and one registry, and clients that find them there. */
async function startStage() {
  const undo = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), "heddle-chaos-"));
  undo.defer(() => rm(dataDir, { recursive: true, force: true }));
  const mesh = undo.use(await startMesh([]));
  const urls: Record<Victim, string> = {
    payment: await testDatabase(),
    ledger: await testDatabase(),
    notification: await testDatabase(),
  };
  const env: Record<string, string> = {
    ...mesh.env,
    PATH: process.env.PATH ?? "",
    HEDDLE_DATA: dataDir,
    HEDDLE_LOG_LEVEL: "info",
    HEDDLE_DRAIN: "100ms",
    PAYMENT_RISK_MAX_PAYMENTS: "0",
    PAYMENT_RISK_MAX_DECLINES: "0",
    PAYMENT_PROVIDER_TIMEOUT: "2s",
    ...Object.fromEntries(victims.map((name) => [`${name.toUpperCase()}_DATABASE_URL`, urls[name]])),
  };
  const children = new Map<Victim, ChildProcess>();
  undo.defer(async () => {
    for (const child of children.values()) await end(child);
  });
  const start = async (name: Victim) => {
    const child = spawn(process.execPath, [`services/${name}/service.ts`], { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    children.set(name, child);
    await serving(name, child);
  };
  await Promise.all(victims.map(start));

  const pools = new Map(
    victims.map((name) => {
      const pool = new pg.Pool({ connectionString: urls[name], max: 2 });
      undo.defer(() => pool.end());
      return [name, pool] as const;
    }),
  );
  const listener = new pg.Client({ connectionString: urls.payment });
  await listener.connect();
  undo.defer(() => listener.end());
  await listener.query("listen payment_changed");

  for (const contract of [AccountService, PaymentService]) await ready(mesh.client(contract));
  return {
    accounts: mesh.client(AccountService),
    transactions: mesh.client(TransactionService),
    payments: mesh.client(PaymentService),
    query: async (name: Victim, sql: string, params: readonly unknown[]): Promise<Row[]> =>
      (await pools.get(name)?.query(sql, [...params]))?.rows ?? [],
    /** Counts changes of payments from now on. */
    changes() {
      let count = 0;
      const onChange = () => {
        count++;
      };
      listener.on("notification", onChange);
      return {
        async number(n: number, patienceMs: number) {
          for (const end = Date.now() + patienceMs; count < n && Date.now() < end; ) await sleep(1);
          listener.off("notification", onChange);
        },
      };
    },
    /** Kills a process, and starts another one as a supervisor would. */
    async kill(name: Victim) {
      const child = children.get(name);
      if (child !== undefined) await end(child);
      await start(name);
    },
    [Symbol.asyncDispose]: () => undo.disposeAsync(),
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

/** Settles when the process says that it serves. */
async function serving(name: string, child: ChildProcess): Promise<void> {
  let output = "";
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-20_000);
    if (output.includes('"msg":"serving"')) resolve();
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  child.once("exit", () => reject(new Error(`${name} ended:\n${output}`)));
  const timer = setTimeout(() => reject(new Error(`${name} did not start in 60 s:\n${output}`)), 60_000);
  await promise.finally(() => clearTimeout(timer));
  output = "";
}

async function ready(client: object): Promise<void> {
  // Any answer will do: UNAVAILABLE alone says that the registry does not know it yet.
  const list = (client as Record<string, (request: object) => Promise<unknown>>)[
    "listPayments" in client ? "listPayments" : "listAccounts"
  ];
  await repeat(async () => list?.({ userId: randomUUID() }));
}

async function repeat<T>(work: () => Promise<T>): Promise<T> {
  for (const end = Date.now() + 30_000; ; await sleep(100)) {
    try {
      return await work();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

async function ended(look: () => Promise<Row[]>): Promise<Row> {
  let row: Row | undefined;
  for (const end = Date.now() + 90_000; Date.now() < end; await sleep(50)) {
    [row] = await look();
    if (row?.status === "DONE" || row?.status === "COMPENSATED") return row;
  }
  return assert.fail(`a saga has not ended in 90 s: ${JSON.stringify(row)}`);
}
