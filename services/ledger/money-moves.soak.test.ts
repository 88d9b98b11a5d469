/**
 * Money moves at random between 20 accounts while the ledger's processes are killed: nothing is lost, made, or moved twice.
 * In short 5 s; with HEDDLE_SOAK=1 the 60 s of the promise, with a kill every 5 s.
 */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { AccountService } from "#gen/ledger/v1/account_pb.ts";
import { TransactionKind } from "#gen/ledger/v1/transaction_message_pb.ts";
import { TransactionService } from "#gen/ledger/v1/transaction_pb.ts";
import { reasonOf } from "#mesh/errors.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { startMesh, type TestMesh, testDatabase } from "#mesh/testing.ts";
import { ann, silent, violations } from "./ledger.fixture.ts";
import { superviseLedger } from "./ledger-process.fixture.ts";

const long = process.env.HEDDLE_SOAK === "1";
const seconds = long ? 60 : 5;
const killEveryMs = long ? 5000 : 2000;
const clients = 32;
const accounts = 20;

describe(`ledger: ${clients} clients, ${accounts} accounts, ${seconds} s, kill -9 every ${killEveryMs / 1000} s`, function () {
  this.timeout((seconds + 120) * 1000);

  let mesh: TestMesh;
  let db: Database;
  const undo = new AsyncDisposableStack();
  const processes: ReturnType<typeof superviseLedger>[] = [];
  before(async () => {
    mesh = undo.use(await startMesh([]));
    const url = await testDatabase();
    const env = { ...mesh.env, LEDGER_DATABASE_URL: url, HEDDLE_ADMIN_PORT: "0" };
    for (let n = 0; n < 2; n++) processes.push(undo.use(superviseLedger(env)));
    db = undo.use(await openDatabase({ url, service: "test", log: silent }));
  });
  after(() => undo.disposeAsync());

  it("keeps the sum, every limit, and each request to once", async () => {
    const moves = mesh.client(TransactionService);
    const ids = await openAccounts(mesh.client(AccountService), moves);
    const tally: Tally = { moved: new Map(), refused: [], repeats: 0, latencies: [] };
    const end = Date.now() + seconds * 1000;
    let kills = 0;
    const killing = (async () => {
      for (let n = 0; Date.now() + killEveryMs < end; n++) {
        await sleep(killEveryMs);
        processes[n % processes.length]?.kill();
        kills++;
      }
    })();
    await Promise.all(Array.from({ length: clients }, () => moveUntil(end, moves, ids, tally)));
    await killing;

    assert.ok(kills > 0 && tally.moved.size > 0);
    assert.deepEqual(await violations(db), []);
    const [sum] = await db.query<{ sum: string; held: string; lowest: string }>(
      "SELECT sum(balance) AS sum, sum(held) AS held, min(balance - held - lower_limit) AS lowest FROM account",
    );
    assert.deepEqual([sum?.sum, sum?.held], [String(accounts * 10_000), "0"]);
    // Every request was answered in the end: what is stored is what was answered, no more and no less.
    const stored = await db.query<{ request_id: string; transaction_id: string }>(
      `SELECT r.request_id, r.transaction_id FROM request r JOIN transaction t ON t.id = r.transaction_id
       WHERE t.kind IN ('transfer', 'payment')`,
    );
    const answered = new Map([...tally.moved].sort(([a], [b]) => (a < b ? -1 : 1)));
    const kept = new Map(stored.map((row) => [row.request_id, row.transaction_id] as const).sort(([a], [b]) => (a < b ? -1 : 1)));
    assert.deepEqual(kept, answered);
    const [counts] = await db.query<{ transactions: number; postings: number; events: number }>(
      `SELECT (SELECT count(*) FROM transaction WHERE kind IN ('transfer', 'payment'))::integer AS transactions,
         (SELECT count(*) FROM posting WHERE account_id IS NOT NULL)::integer AS postings,
         (SELECT count(*) FROM heddle_outbox.event)::integer AS events`,
    );
    assert.equal(counts?.transactions, answered.size);
    assert.equal(counts?.events, counts?.postings);
    const ghosts = await db.query("SELECT 1 FROM request WHERE request_id = ANY ($1) AND transaction_id IS NOT NULL", [
      tally.refused,
    ]);
    assert.equal(ghosts.length, 0);
    report(
      tally,
      kills,
      processes.reduce((total, one) => total + one.starts(), 0),
    );
  });
});

interface Tally {
  /** The transaction that each request made. */
  readonly moved: Map<string, string>;
  readonly refused: string[];
  repeats: number;
  readonly latencies: number[];
}

async function openAccounts(client: Client<typeof AccountService>, moves: Client<typeof TransactionService>): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < accounts; n++) {
    const open = { requestId: uuidv7(), userId: ann, currency: "EUR", lowerLimit: BigInt(n % 4) * -1000n };
    const accountId = (await insist(() => client.openAccount(open))).account?.id ?? assert.fail();
    const income = { requestId: uuidv7(), accountId, kind: TransactionKind.INCOME, amount: 10_000n };
    await insist(() => moves.recordTransaction(income));
    ids.push(accountId);
  }
  return ids;
}

async function moveUntil(end: number, client: Client<typeof TransactionService>, ids: readonly string[], tally: Tally) {
  while (Date.now() < end) {
    const from = Math.floor(Math.random() * ids.length);
    const to = (from + 1 + Math.floor(Math.random() * (ids.length - 1))) % ids.length;
    const amount = BigInt(1 + Math.floor(Math.random() * 3000));
    const began = performance.now();
    const one = { fromAccountId: ids[from] ?? "", toAccountId: ids[to] ?? "", amount };
    await (Math.random() < 0.1 ? pay(client, one, tally) : transfer(client, one, tally));
    tally.latencies.push(performance.now() - began);
  }
}

interface Move {
  readonly fromAccountId: string;
  readonly toAccountId: string;
  readonly amount: bigint;
}

async function transfer(client: Client<typeof TransactionService>, move: Move, tally: Tally): Promise<void> {
  const request = { requestId: uuidv7(), ...move };
  const again = Math.random() < 0.05;
  try {
    const call = async () => (await insist(() => client.transfer(request))).transaction?.id ?? assert.fail();
    const id = await call();
    tally.moved.set(request.requestId, id);
    if (again) assert.equal(await call(), id);
    if (again) tally.repeats++;
  } catch (error) {
    assertPoor(error);
    tally.refused.push(request.requestId);
  }
}

/** By a hold, which is captured, or released now and then. */
async function pay(
  client: Client<typeof TransactionService>,
  { fromAccountId, toAccountId, amount }: Move,
  tally: Tally,
): Promise<void> {
  const reserve = { requestId: `${uuidv7()}/reserve`, accountId: fromAccountId, amount };
  let holdId = "";
  try {
    holdId = (await insist(() => client.reserveFunds(reserve))).hold?.id ?? assert.fail();
  } catch (error) {
    assertPoor(error);
    tally.refused.push(reserve.requestId);
    return;
  }
  const next = { requestId: `${uuidv7()}/next`, holdId };
  if (Math.random() < 0.2) await insist(() => client.releaseHold(next));
  else {
    const { transaction } = await insist(() => client.captureHold({ ...next, payeeAccountId: toAccountId }));
    tally.moved.set(next.requestId, transaction?.id ?? assert.fail());
  }
}

/** Repeats a call, with its request id, until the ledger has answered it. */
async function insist<T>(call: () => Promise<T>): Promise<T> {
  for (const end = Date.now() + 60_000; ; ) {
    try {
      return await call();
    } catch (error) {
      if (!passing.has(ConnectError.from(error).code) || Date.now() > end) throw error;
      await sleep(20 + Math.random() * 50);
    }
  }
}

/** What a process that dies, or is not there yet, makes of a call. */
const passing: ReadonlySet<Code> = new Set([Code.Unavailable, Code.DeadlineExceeded, Code.Aborted, Code.ResourceExhausted]);

function assertPoor(error: unknown): void {
  const refusal = ConnectError.from(error);
  if (reasonOf(refusal) !== "INSUFFICIENT_FUNDS") throw error;
}

function report({ moved, refused, repeats, latencies }: Tally, kills: number, starts: number): void {
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (part: number) => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1);
  console.log(
    `      ${moved.size} moved (${Math.round(moved.size / seconds)}/s), ${refused.length} refused, ${repeats} repeated on purpose`,
  );
  console.log(`      ${kills} kills, ${starts} processes started; a move took ${at(0.5)} ms (p50), ${at(0.99)} ms (p99)`);
}
