import assert from "node:assert/strict";
import { Code, createClient } from "@connectrpc/connect";
import { Health, HealthCheckResponse_ServingStatus as Status } from "#gen/grpc/health/v1/health_pb.ts";
import { HealthBoard, type HealthCheck } from "./health.ts";
import { diskCheck, eventLoopCheck, memoryCheck, needCheck } from "./health-checks.ts";
import { refusal, startEcho, until } from "./server.fixture.ts";

/** A check whose answer a test sets. */
function checkOf(name: string, critical: boolean): HealthCheck & { answer: () => Promise<string | undefined> } {
  return {
    name,
    critical,
    answer: async () => undefined,
    check() {
      return this.answer();
    },
  };
}

function boardOf(...checks: HealthCheck[]): HealthBoard {
  return new HealthBoard({ services: ["a.v1.A"], checks, intervalMs: 10, timeoutMs: 50 });
}

describe("HealthBoard", () => {
  it("is NOT_SERVING until told, then SERVING, for '' and for each service; undefined for an unknown one", () => {
    const board = boardOf();
    assert.equal(board.status(""), "NOT_SERVING");
    board.setServing(true);
    assert.deepEqual([board.status(""), board.status("a.v1.A"), board.status("b.v1.B")], ["SERVING", "SERVING", undefined]);
    assert.deepEqual(board.services, ["", "a.v1.A"]);
  });

  it("is UNKNOWN while a critical check has not answered", () => {
    const board = boardOf(checkOf("db", true));
    board.setServing(true);
    assert.equal(board.status(""), "UNKNOWN");
    assert.equal(board.detail().status, "DOWN");
  });

  it("a critical check that fails is NOT_SERVING and DOWN, and heals by itself", async () => {
    const db = checkOf("db", true);
    const board = boardOf(db);
    board.setServing(true);
    board.start();
    await until(() => board.status("") === "SERVING");
    db.answer = async () => "connection refused";
    await until(() => board.status("") === "NOT_SERVING");
    const { status, checks } = board.detail();
    assert.deepEqual(
      [status, checks.map(({ at, ...check }) => check)],
      ["DOWN", [{ name: "db", status: "DOWN", critical: true, detail: "connection refused" }]],
    );
    db.answer = async () => undefined;
    await until(() => board.status("") === "SERVING");
    board.close();
  });

  it("recheck asks at once, and once more what is being asked just then; before the start it does nothing", async () => {
    const answers: ((detail: string | undefined) => void)[] = [];
    const db = checkOf("db", true);
    db.answer = () => new Promise((resolve) => answers.push(resolve));
    const board = new HealthBoard({ services: [], checks: [db], intervalMs: 60_000 });
    board.setServing(true);
    board.recheck();
    assert.equal(answers.length, 0);
    board.start();
    board.recheck();
    board.recheck();
    assert.equal(answers.length, 1);
    answers[0]?.("away");
    await until(() => answers.length === 2);
    answers[1]?.(undefined);
    await until(() => board.status("") === "SERVING");
    board.recheck();
    answers[2]?.("away again");
    await until(() => board.status("") === "NOT_SERVING");
    board.close();
    board.recheck();
    assert.equal(answers.length, 3);
  });

  it("a check that is not critical only makes it DEGRADED", async () => {
    const mail = checkOf("mail", false);
    mail.answer = () => Promise.reject(new Error("no route"));
    const board = boardOf(mail);
    board.setServing(true);
    board.start();
    await until(() => board.detail().status === "DEGRADED");
    assert.deepEqual([board.status(""), board.detail().checks[0]?.detail], ["SERVING", "no route"]);
    board.close();
  });

  it("a check that hangs fails after 50 ms, is aborted, and is not started a second time", async () => {
    let started = 0;
    let aborted = false;
    const hanging: HealthCheck = {
      name: "hanging",
      critical: true,
      check(signal) {
        started++;
        signal.addEventListener("abort", () => {
          aborted = true;
        });
        return new Promise(() => undefined);
      },
    };
    const board = boardOf(hanging);
    board.start();
    await until(() => board.detail().checks[0]?.detail === "no answer within 50 ms");
    assert.deepEqual([started, aborted], [1, true]);
    board.close();
  });

  it("watch tells the present status, then each change once; disposed, nothing more", () => {
    const board = boardOf();
    const told: string[] = [];
    const watch = board.watch("a.v1.A", (status) => told.push(status));
    board.setServing(true);
    board.setServing(true);
    board.setServing(false);
    watch[Symbol.dispose]();
    board.setServing(true);
    assert.deepEqual(told, ["NOT_SERVING", "SERVING", "NOT_SERVING"]);
  });
});

describe("grpc.health.v1", () => {
  it("Check answers for '' and a service; NOT_FOUND for an unknown one; List has all", async () => {
    await using echo = await startEcho({});
    const health = createClient(Health, echo.transport("grpc"));
    assert.equal((await health.check({})).status, Status.SERVING);
    assert.equal((await health.check({ service: "test.v1.EchoService" })).status, Status.SERVING);
    assert.equal((await refusal(health.check({ service: "no.such" }))).code, Code.NotFound);
    const { statuses } = await health.list({});
    assert.deepEqual(
      Object.entries(statuses).map(([name, { status }]) => [name, status]),
      [
        ["", Status.SERVING],
        ["test.v1.EchoService", Status.SERVING],
      ],
    );
  });

  it("Watch follows the changes; for an unknown service it says SERVICE_UNKNOWN and stays open", async () => {
    await using echo = await startEcho({});
    const health = createClient(Health, echo.transport("grpc"));
    const known = health.watch({ service: "test.v1.EchoService" })[Symbol.asyncIterator]();
    assert.equal((await known.next()).value?.status, Status.SERVING);
    echo.health.setServing(false);
    assert.equal((await known.next()).value?.status, Status.NOT_SERVING);
    echo.health.setServing(true);
    assert.equal((await known.next()).value?.status, Status.SERVING);

    const unknown = health.watch({ service: "no.such" })[Symbol.asyncIterator]();
    assert.equal((await unknown.next()).value?.status, Status.SERVICE_UNKNOWN);
    const next = unknown.next();
    assert.equal(await Promise.race([next, health.check({}).then(() => "still open")]), "still open");
    await Promise.all([known.return?.(), refusal(Promise.all([echo.server.drain(1000), next]))]);
  });

  it("health calls are open to a bad token and are not logged at info", async () => {
    await using echo = await startEcho({});
    const health = createClient(Health, echo.transport("grpc"));
    await health.check({}, { headers: { authorization: "Bearer forged" } });
    await until(() => echo.lines.length === 1);
    assert.deepEqual([echo.lines[0]?.level, echo.lines[0]?.method], ["debug", "grpc.health.v1.Health/Check"]);
  });
});

describe("the process's own checks", () => {
  const { signal } = new AbortController();

  it("event loop: well when it turns; a block of 60 ms is over a limit of 30 ms", async () => {
    const check = eventLoopCheck({ maxMs: 30 });
    assert.equal(await check.check(signal), undefined);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const end = performance.now() + 60;
    while (performance.now() < end);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.match((await check.check(signal)) ?? "", /^delay p99 \d+ ms, expected at most 30 ms$/);
    check[Symbol.dispose]();
  });

  it("memory: 200 MB against 100 MB says both", async () => {
    const mb = 1024 * 1024;
    const check = memoryCheck({ maxBytes: 100 * mb, usedBytes: () => 200 * mb });
    assert.equal(await check.check(signal), "200 MB resident, expected at most 100 MB");
    assert.equal(await memoryCheck({ maxBytes: 300 * mb, usedBytes: () => 200 * mb }).check(signal), undefined);
  });

  it("disk: this folder has a byte free; nobody has 2^60", async () => {
    assert.equal(await diskCheck({ folder: ".", minFreeBytes: 1 }).check(signal), undefined);
    const short = await diskCheck({ folder: ".", minFreeBytes: 2 ** 60 }).check(signal);
    assert.match(short ?? "", /^\d+ MB free, expected at least 1099511627776 MB$/);
  });

  it("disk: a folder that is not there yet is judged by the one above it", async () => {
    assert.equal(await diskCheck({ folder: "no/such/folder", minFreeBytes: 1 }).check(signal), undefined);
  });

  it("a contract that is needed: well once it is ready, else a text within half a second", async () => {
    const ready = needCheck({ contract: "a.v1.A", ready: async () => undefined });
    assert.deepEqual([ready.name, ready.critical, await ready.check(signal)], ["needs a.v1.A", false, undefined]);
    const never = needCheck({
      contract: "a.v1.A",
      ready: (_contract, patience) => new Promise((_resolve, reject) => patience.addEventListener("abort", reject)),
    });
    const begun = performance.now();
    assert.equal(await never.check(signal), "no healthy instance serves a.v1.A");
    assert(performance.now() - begun < 900);
  });
});
