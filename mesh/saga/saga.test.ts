import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { metrics } from "@opentelemetry/api";
import pino from "pino";
import { currentContext } from "#mesh/context.ts";
import { isCode, until } from "#mesh/storage/database.fixture.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { testDatabase } from "#mesh/testing.ts";
import { requestIdOf } from "./request-id.ts";
import { type SagaDefinition, type SagaOptions, type SagaStep, type Sagas, type SagaView, startSagas } from "./saga.ts";

const log = pino({ level: "silent" });
const meter = metrics.getMeter("test");

type State = { done: string[] };
type Work = SagaStep<State>["run"];

/** A step that writes its name into the state. */
function step(name: string, more: Partial<SagaStep<State>> = {}): SagaStep<State> {
  return { name, timeoutMs: 5000, run: async ({ done }) => ({ done: [...done, name] }), ...more };
}

const undo = (name: string): Work => {
  return async ({ done }) => ({ done: [...done, `undo ${name}`] });
};

describe("saga", () => {
  let db: Database;
  let open: AsyncDisposableStack;

  beforeEach(async () => {
    open = new AsyncDisposableStack();
    db = open.use(await openDatabase({ url: await testDatabase(), service: "test", log }));
  });

  afterEach(() => open.disposeAsync());

  const start = async (steps: SagaStep<State>[], more: Partial<SagaOptions> & Partial<SagaDefinition<State>> = {}) => {
    const { onChange, ...options } = more;
    const definition = { name: "test", steps, ...(onChange === undefined ? {} : { onChange }) };
    return open.use(
      await startSagas({ db, definitions: [definition], log, meter, clock: Date.now, random: () => 0, ...options }),
    );
  };
  const begin = (sagas: Sagas, id: string) => db.transaction((tx) => sagas.begin<State>(tx, "test", id, { done: [] }));
  const ended = async (sagas: Sagas, id: string): Promise<SagaView> => {
    let seen: SagaView | undefined;
    await until(async () => {
      seen = await sagas.get(id);
      return seen !== undefined && seen.nextAttemptTime === undefined;
    });
    assert.ok(seen);
    return seen;
  };

  it("runs its steps in order, each with its key, and tells of every change in the transaction that records it", async () => {
    const keys: string[] = [];
    const keep: Work = async ({ done }, { key, attempt }) => {
      keys.push(`${key} ${attempt}`);
      return { done: [...done, "b"] };
    };
    const changes: string[] = [];
    const sagas = await start([step("a"), step("b", { run: keep })], {
      onChange: async (tx, saga) => {
        const [row] = await tx.query<{ status: string }>("select status from heddle_saga.saga where id = $1", [saga.id]);
        changes.push(`${saga.status} ${saga.step} ${saga.state.done} ${row?.status}`);
      },
    });
    await begin(sagas, "x");
    const { status, state } = await ended(sagas, "x");
    assert.deepEqual([status, state], ["DONE", { done: ["a", "b"] }]);
    assert.deepEqual(keys, ["x/b 1"]);
    assert.deepEqual(changes, ["RUNNING b a RUNNING", "DONE b a,b DONE"]);
    const entries = (await sagas.log("x")).map((e) => `${e.action} ${e.step} ${e.attempt} ${e.outcome}`);
    assert.deepEqual(entries, ["run a 1 ok", "run b 1 ok"]);
  });

  it("undoes in reverse what was done when a step is refused, and says why", async () => {
    const refuse: Work = async () => {
      throw new ConnectError("no", Code.FailedPrecondition);
    };
    const sagas = await start([
      step("a", { compensate: undo("a") }),
      step("b"),
      step("c", { compensate: undo("c") }),
      step("d", { run: refuse, compensate: undo("d") }),
    ]);
    await begin(sagas, "x");
    const { status, state, failure } = await ended(sagas, "x");
    assert.deepEqual([status, state], ["COMPENSATED", { done: ["a", "b", "c", "undo c", "undo a"] }]);
    assert.deepEqual(failure, { code: Code.FailedPrecondition, message: "no", reason: "" });
    const entries = (await sagas.log("x")).map((e) => `${e.action} ${e.step} ${e.outcome} ${e.message}`.trim());
    assert.deepEqual(entries, [
      ...["run a ok", "run b ok", "run c ok", "run d refused FAILED_PRECONDITION: no"],
      ...["compensate c ok", "compensate a ok"],
    ]);
  });

  it("repeats a step that fails with UNAVAILABLE under the same key, and after maxAttempts undoes that step too", async () => {
    const keys: string[] = [];
    const fail: Work = async (_state, { key }) => {
      keys.push(key);
      throw new ConnectError("away", Code.Unavailable);
    };
    const sagas = await start([step("a", { run: fail, compensate: undo("a"), maxAttempts: 3 })]);
    await begin(sagas, "x");
    const { status, state } = await ended(sagas, "x");
    assert.deepEqual([status, state, keys], ["COMPENSATED", { done: ["undo a"] }, ["x/a", "x/a", "x/a"]]);
  });

  it("ends an attempt at its time limit, by the signal and for a step that does not listen, in a context with that deadline", async () => {
    let deadline = 0;
    let tries = 0;
    const slow: Work = async ({ done }) => {
      deadline = (currentContext()?.deadline ?? 0) - Date.now();
      if (++tries > 1) return { done: [...done, "slow"] };
      return new Promise(() => {});
    };
    const sagas = await start([step("slow", { run: slow, timeoutMs: 100 })]);
    await begin(sagas, "x");
    assert.deepEqual((await ended(sagas, "x")).state, { done: ["slow"] });
    assert.ok(deadline > 0 && deadline <= 100);
    const [first] = await sagas.log("x");
    assert.deepEqual([first?.outcome, first?.message], ["failed", "DEADLINE_EXCEEDED: the deadline of the call has passed"]);
  });

  it("is STUCK while a compensation fails, goes on trying, and a person's retry makes it try at once", async () => {
    let mended = false;
    let tries = 0;
    const refuse: Work = async () => {
      throw new ConnectError("no", Code.NotFound);
    };
    const undoLater: Work = async (state) => {
      tries++;
      if (!mended) throw new ConnectError("cannot undo", Code.PermissionDenied);
      return state;
    };
    const sagas = await start([step("a", { compensate: undoLater, maxAttempts: 2 }), step("b", { run: refuse })]);
    await begin(sagas, "x");
    await until(async () => (await sagas.get("x"))?.status === "STUCK" && tries >= 3);
    assert.deepEqual(
      (await sagas.list({ status: "STUCK" })).sagas.map(({ id }) => id),
      ["x"],
    );
    mended = true;
    assert.equal((await sagas.retry("x")).status, "COMPENSATING");
    assert.equal((await ended(sagas, "x")).status, "COMPENSATED");
    await assert.rejects(sagas.retry("x"), isCode(Code.FailedPrecondition));
    await assert.rejects(sagas.retry("none"), isCode(Code.NotFound));
    assert.ok((await sagas.log("x")).some(({ action }) => action === "retry"));
  });

  it("another instance goes on with the step of one that died, once its claim has ended", async () => {
    const keys: string[] = [];
    const hang: Work = (_state, { key }) => {
      keys.push(key);
      return new Promise(() => {});
    };
    const dead = await start([step("a", { run: hang })], { leaseMs: 1_000_000, graceMs: 0 });
    await begin(dead, "x");
    await until(async () => keys.length === 1);
    // What a kill -9 leaves behind: a claim that nobody renews.
    await db.query("update heddle_saga.saga set lease_id = gen_random_uuid(), lease_until = now() + interval '200 ms'");
    const finish: Work = async ({ done }, { key, attempt }) => {
      keys.push(`${key} ${attempt}`);
      return { done: [...done, "a"] };
    };
    const other = await start([step("a", { run: finish })], { pollMs: 50 });
    assert.equal((await ended(other, "x")).status, "DONE");
    assert.deepEqual(keys, ["x/a", "x/a 2"]);
    const entries = (await other.log("x")).map(({ attempt, outcome }) => `${attempt} ${outcome}`);
    assert.deepEqual(entries, ["1 interrupted", "2 ok"]);
  });

  it("runs 60 sagas once each with three instances", async () => {
    const runs = new Map<string, number>();
    const count: Work = async (state, { key }) => {
      runs.set(key, (runs.get(key) ?? 0) + 1);
      return state;
    };
    const instances = [
      await start([step("a", { run: count })]),
      await start([step("a", { run: count })]),
      await start([step("a", { run: count })]),
    ];
    const ids = Array.from({ length: 60 }, (_, n) => `s${n}`);
    await Promise.all(ids.map((id, n) => begin(instances[n % 3] ?? assert.fail(), id)));
    const [first] = instances;
    assert.ok(first);
    for (const id of ids) await ended(first, id);
    assert.deepEqual(
      [...runs.values()],
      ids.map(() => 1),
    );
  });

  it("begins nothing when the caller's transaction is rolled back, and one saga for an id that comes twice", async () => {
    const sagas = await start([step("a")]);
    await assert.rejects(
      db.transaction(async (tx) => {
        await sagas.begin<State>(tx, "test", "gone", { done: [] });
        throw new Error("no");
      }),
    );
    await begin(sagas, "x");
    await begin(sagas, "x");
    await ended(sagas, "x");
    assert.equal(await sagas.get("gone"), undefined);
    assert.equal((await sagas.log("x")).length, 1);
  });

  it("lists newest first, page by page", async () => {
    let now = 1_700_000_000_000;
    const sagas = await start([step("a")], { clock: () => now });
    for (const id of ["a", "b", "c"]) {
      now += 1000;
      await begin(sagas, id);
    }
    const first = await sagas.list({ pageSize: 2 });
    const second = await sagas.list({ pageSize: 2, pageToken: first.nextPageToken });
    assert.deepEqual(
      [first, second].map(({ sagas: page }) => page.map(({ id }) => id)),
      [["c", "b"], ["a"]],
    );
    assert.equal(second.nextPageToken, "");
    await assert.rejects(sagas.list({ pageToken: "x" }), isCode(Code.InvalidArgument));
  });

  it("refuses a definition without steps, and two of one name", async () => {
    await assert.rejects(start([]), /saga test has no steps/);
    await assert.rejects(start([step("a"), step("a")]), /two steps have the same name/);
  });

  it('requestIdOf("x/a") is a UUIDv8, the same each time and another for "x/b"', () => {
    assert.match(requestIdOf("x/a"), /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(requestIdOf("x/a"), requestIdOf("x/a"));
    assert.notEqual(requestIdOf("x/a"), requestIdOf("x/b"));
  });
});
