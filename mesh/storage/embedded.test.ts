import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { pino } from "pino";
import { startEmbeddedPostgres } from "./embedded.ts";

const log = pino({ level: "silent" });

describe("startEmbeddedPostgres", () => {
  let dataDir = "";
  before(async () => {
    dataDir = join(await mkdtemp(join(tmpdir(), "heddle-postgres-")), "postgres");
  });
  after(() => rm(join(dataDir, ".."), { recursive: true, force: true }));

  it("keeps what was committed through kill -9 and a stale postmaster.pid", async () => {
    const first = await startEmbeddedPostgres({ dataDir, port: 0, log, restart: false });
    await ask(first.url, "create table t (n int); insert into t values (42)");
    process.kill(first.pid, "SIGKILL");
    await until(async () => !isAlive(first.pid));
    await first.close();
    // Worse than stale: the number belongs to a program that lives, this one.
    const lock = join(dataDir, "data", "postmaster.pid");
    await writeFile(lock, (await readFile(lock, "utf8")).replace(/^\d+/, String(process.pid)));
    await using second = disposable(await startEmbeddedPostgres({ dataDir, port: 0, log }));
    assert.deepEqual(await ask(second.url, "select n from t"), [{ n: 42 }]);
  });

  it("starts again by itself, on the same port, when it is killed", async () => {
    await using server = disposable(await startEmbeddedPostgres({ dataDir, port: 0, log }));
    const { pid } = server;
    process.kill(pid, "SIGKILL");
    await until(async () => server.pid !== pid && (await ask(server.url, "select 1 as one")).length === 1);
  });

  it("listens on loopback only and refuses a wrong password", async () => {
    await using server = disposable(await startEmbeddedPostgres({ dataDir, port: 0, log }));
    assert.deepEqual(await ask(server.url, "show listen_addresses"), [{ listen_addresses: "127.0.0.1" }]);
    const url = new URL(server.url);
    url.password = "wrong";
    await assert.rejects(ask(url.href, "select 1"), { code: "28P01" });
    assert.equal((await stat(join(dataDir, "password"))).mode & 0o777, 0o600);
  });

  it("refuses a second server on the same folder, and a port that is taken, in one sentence", async () => {
    await using server = disposable(await startEmbeddedPostgres({ dataDir, port: 0, log }));
    // The supervisor of the first is this process's parent, as far as the file says: alive, and not us.
    await writeFile(join(dataDir, "supervisor.pid"), `${process.ppid}\n`);
    const busy = new RegExp(`^another PostgreSQL \\(process ${server.pid}\\) runs on `);
    const clock = Date.now();
    await assert.rejects(startEmbeddedPostgres({ dataDir, port: 0, log }), { message: busy });
    assert.ok(Date.now() - clock < 5000);
    await server.close();

    const squatter = createServer().listen(0, "127.0.0.1");
    await once(squatter, "listening");
    const address = squatter.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    await assert.rejects(startEmbeddedPostgres({ dataDir, port, log }), {
      message: `port ${port} is taken, so the embedded PostgreSQL cannot listen on it`,
    });
    squatter.close();
  });

  it("stops with its supervisor, also when that is killed with -9", async () => {
    const program = `
      import { startEmbeddedPostgres } from ${JSON.stringify(new URL("./embedded.ts", import.meta.url).href)};
      const quiet = () => undefined;
      const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
      const { pid } = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)}, port: 0, log });
      console.log(pid);
      setInterval(quiet, 1000);`;
    const supervisor = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = (await once(supervisor.stdout, "data")) as [Buffer];
    const pid = Number(line.toString());
    assert.ok(isAlive(pid));
    supervisor.kill("SIGKILL");
    await until(async () => !isAlive(pid));
  });
});

function disposable<T extends { close(): Promise<void> }>(thing: T): T & AsyncDisposable {
  return Object.defineProperty(thing, Symbol.asyncDispose, { value: () => thing.close() }) as T & AsyncDisposable;
}

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query(sql)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(condition: () => Promise<boolean>, patienceMs = 10_000): Promise<void> {
  for (const end = Date.now() + patienceMs; Date.now() < end; await sleep(20)) if (await condition().catch(() => false)) return;
  assert.fail("the condition did not come true in time");
}
