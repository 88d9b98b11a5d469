import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { pino } from "pino";
import { inContext, isAway, isCode, startProxy, until } from "./database.fixture.ts";
import { type Database, openDatabase } from "./database.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "./embedded.ts";
import { isUniqueViolation } from "./sql-error.ts";

const log = pino({ level: "silent" });

describe("openDatabase", () => {
  let dataDir = "";
  let server: EmbeddedPostgres;
  let db: Database;

  before(async () => {
    dataDir = join(await mkdtemp(join(tmpdir(), "heddle-database-")), "postgres");
    server = await startEmbeddedPostgres({ dataDir, port: 0, log, restart: false });
    db = await openDatabase({ url: urlOf("heddle_test"), service: "test", poolSize: 4, log });
    await db.query("create table t (id int primary key, n int not null default 0)");
  });
  beforeEach(async () => {
    await until(async () => (await db.check(AbortSignal.timeout(1000))) === undefined);
    await db.query("truncate t");
  });
  after(async () => {
    await db[Symbol.asyncDispose]();
    await server.close();
    await rm(join(dataDir, ".."), { recursive: true, force: true });
  });

  function urlOf(database: string, port = server.port): string {
    const url = new URL(server.url);
    url.pathname = `/${database}`;
    url.port = String(port);
    return url.href;
  }
  const rows = () => db.query("select id, n from t order by id");
  const kill = async () => {
    process.kill(server.pid, "SIGKILL");
    await until(async () => (await db.check(AbortSignal.timeout(1000))) !== undefined);
  };
  const revive = async () => {
    const { port } = server;
    await server.close();
    server = await startEmbeddedPostgres({ dataDir, port, log, restart: false });
  };

  it("creates the database once, also for five processes at the same time", async () => {
    const opened = await Promise.all(
      Array.from({ length: 5 }, () => openDatabase({ url: urlOf("heddle_race"), service: "race", log })),
    );
    for (const each of opened) {
      assert.deepEqual(await each.query("select current_database() as name"), [{ name: "heddle_race" }]);
      await each[Symbol.asyncDispose]();
    }
  });

  describe("transaction", () => {
    it("keeps all when the work ends, nothing when it throws, and throws what the work threw", async () => {
      const done = await db.transaction(async (tx) => {
        await tx.query("insert into t values (1), (2)");
        return "done";
      });
      assert.equal(done, "done");
      const boom = new Error("boom");
      await assert.rejects(
        db.transaction(async (tx) => {
          await tx.query("insert into t values (3)");
          throw boom;
        }),
        (error) => error === boom,
      );
      assert.deepEqual(await rows(), [
        { id: 1, n: 0 },
        { id: 2, n: 0 },
      ]);
    });

    it("leaves the driver's error for what a statement did wrong", async () => {
      await db.query("insert into t values (1)");
      await assert.rejects(db.query("insert into t values (1)"), (error) => isUniqueViolation(error, "t_pkey"));
    });

    it("calls a text with U+0000 INVALID_ARGUMENT, since PostgreSQL cannot store it", async () => {
      await assert.rejects(db.query("select $1::text", ["a\0b"]), isCode(Code.InvalidArgument));
      await assert.rejects(db.query("select $1::jsonb", [JSON.stringify("a\0b")]), isCode(Code.InvalidArgument));
    });

    it("is INTERNAL, not silently nothing, when the work ignores a statement that failed", async () => {
      const work = db.transaction(async (tx) => {
        await tx.query("insert into t values (1)");
        await tx.query("select 1/0").catch(() => undefined);
      });
      await assert.rejects(work, isCode(Code.Internal));
      assert.deepEqual(await rows(), []);
    });

    it("runs again after a serialization failure (40001) until 20 increments at once add up to 20", async () => {
      await db.query("insert into t values (1, 0)");
      const add = () =>
        db.transaction(
          async (tx) => {
            const [row] = await tx.query<{ n: number }>("select n from t where id = 1");
            await tx.query("update t set n = $1 where id = 1", [(row?.n ?? 0) + 1]);
          },
          { isolation: "serializable", attempts: 50 },
        );
      await Promise.all(Array.from({ length: 20 }, add));
      assert.deepEqual(await rows(), [{ id: 1, n: 20 }]);
    });

    it("is ABORTED after 3 attempts that all conflict", async () => {
      let attempts = 0;
      const work = db.transaction(
        async () => {
          attempts++;
          throw Object.assign(new Error("could not serialize"), { code: "40001" });
        },
        { attempts: 3 },
      );
      await assert.rejects(work, isCode(Code.Aborted));
      assert.equal(attempts, 3);
    });
  });

  describe("the call's context", () => {
    it("ends a statement at the deadline: DEADLINE_EXCEEDED, and the server works on it no longer", async () => {
      const began = Date.now();
      await assert.rejects(
        inContext(200, () => db.query("select pg_sleep(20)")),
        isCode(Code.DeadlineExceeded),
      );
      assert.ok(Date.now() - began < 1500);
      await until(
        async () => (await db.query("select 1 from pg_stat_activity where query = 'select pg_sleep(20)'")).length === 0,
      );
    });

    it("ends a transaction at the deadline, and nothing of it stays", async () => {
      const work = () =>
        db.transaction(async (tx) => {
          await tx.query("insert into t values (1)");
          await tx.query("select pg_sleep(20)");
        });
      await assert.rejects(inContext(300, work), isCode(Code.DeadlineExceeded));
      assert.deepEqual(await rows(), []);
    });

    it("ends with the caller: CANCELLED, and nothing of the transaction stays", async () => {
      const caller = new AbortController();
      const work = () =>
        db.transaction(async (tx) => {
          await tx.query("insert into t values (1)");
          setTimeout(() => caller.abort(), 20);
          await tx.query("select pg_sleep(20)");
        });
      await assert.rejects(inContext(60_000, work, caller.signal), isCode(Code.Canceled));
      assert.deepEqual(await rows(), []);
    });

    it("whose deadline has passed sends nothing", async () => {
      await assert.rejects(
        inContext(0, () => db.query("insert into t values (1)")),
        isCode(Code.DeadlineExceeded),
      );
      assert.deepEqual(await rows(), []);
    });
  });

  describe("while the database is away", () => {
    it("answers UNAVAILABLE with RetryInfo within 1 s, then at once, and works within 1 s of its return", async () => {
      process.kill(server.pid, "SIGKILL");
      // Its children outlive it by a moment, and may still answer.
      const slowest = { ms: 0 };
      await until(async () => {
        const began = performance.now();
        const error = await db.query("select 1").catch((thrown: unknown) => thrown);
        slowest.ms = Math.max(slowest.ms, performance.now() - began);
        return isAway(error);
      });
      assert.ok(slowest.ms < 1000);
      await until(async () => (await db.check(AbortSignal.timeout(1000)))?.startsWith("the database is away: ") === true);
      const began = performance.now();
      for (let n = 0; n < 20; n++) await assert.rejects(db.query("insert into t values (1)"), isAway);
      assert.ok(performance.now() - began < 500);
      await revive();
      const back = performance.now();
      await until(async () => (await db.query("select 1")).length === 1);
      assert.ok(performance.now() - back < 1000);
      assert.deepEqual(await rows(), []);
    });

    it("a call in the middle of a transaction gets UNAVAILABLE and leaves nothing", async () => {
      const work = db.transaction(async (tx) => {
        await tx.query("insert into t values (1)");
        await kill();
        await tx.query("insert into t values (2)");
      });
      await assert.rejects(work, isAway);
      await revive();
      await until(async () => (await rows()).length === 0);
    });

    it("that hangs (SIGSTOP) is away too: a statement without a deadline ends within 3 s", async () => {
      const hung = db.query("select pg_sleep(60)");
      const backends = await db.query<{ pid: number }>("select pid from pg_stat_activity where backend_type = 'client backend'");
      const pids = [server.pid, ...backends.map(({ pid }) => pid)];
      for (const pid of pids) process.kill(pid, "SIGSTOP");
      const began = performance.now();
      try {
        await assert.rejects(hung, isAway);
        await assert.rejects(db.query("select 1"), isAway);
      } finally {
        for (const pid of pids) process.kill(pid, "SIGCONT");
      }
      assert.ok(performance.now() - began < 3000);
      await until(async () => (await db.query("select 1")).length === 1);
    });
  });

  it("connections that were ended while idle are replaced without anybody noticing", async () => {
    await Promise.all(Array.from({ length: 4 }, () => db.query("select pg_sleep(0.05)")));
    await terminateOthers();
    for (let n = 1; n <= 8; n++) await db.transaction((tx) => tx.query("insert into t values ($1)", [n]));
    assert.equal((await rows()).length, 8);
  });

  it("a connection that is ended while it works is UNAVAILABLE, never INTERNAL", async () => {
    const work = db.query("select pg_sleep(20)");
    await until(async () => (await db.query("select 1 from pg_stat_activity where query = 'select pg_sleep(20)'")).length === 1);
    await terminateOthers();
    await assert.rejects(work, isAway);
  });

  it("a COMMIT whose answer is lost is UNAVAILABLE and says that the outcome is unknown", async () => {
    await using proxy = await startProxy(server.port);
    await using far = await openDatabase({ url: urlOf("heddle_test", proxy.port), service: "far", log });
    const work = far.transaction(async (tx) => {
      await tx.query("insert into t values (1)");
      proxy.cutAfterNextRequest();
    });
    await assert.rejects(work, (error) => isAway(error) && /outcome is unknown/.test((error as Error).message));
    await until(async () => (await rows()).length === 1);
  });

  it("listen hears NOTIFY, and after its connection broke says so and hears again", async () => {
    const heard: string[] = [];
    let reconnects = 0;
    const subscription = await db.listen(
      "news",
      (payload) => heard.push(payload),
      () => reconnects++,
    );
    await db.query("select pg_notify('news', 'one')");
    await until(async () => heard.length === 1);
    await terminateOthers();
    await until(async () => reconnects === 1);
    await db.query("select pg_notify('news', 'two')");
    await until(async () => heard.length === 2);
    await subscription[Symbol.asyncDispose]();
    await db.query("select pg_notify('news', 'three')");
    await db.query("select pg_notify('news', 'four')");
    assert.deepEqual(heard, ["one", "two"]);
  });

  async function terminateOthers(): Promise<void> {
    await db.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()",
    );
  }
});
