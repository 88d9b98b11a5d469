import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAgent } from "#mesh/registry/agent.ts";
import { startEmbeddedPostgres } from "#mesh/storage/embedded.ts";
import { createLogger } from "#mesh/telemetry/log.ts";
import { request } from "./http.ts";
import { get, startLoad } from "./load.ts";
import { type Platform, startPlatform } from "./platform.ts";
import { requireConsul, startConsul } from "./servers/consul.ts";
import { until } from "./until.ts";

/** How long an outage lasts: short here, as long as the promise says where HEDDLE_SOAK is set. */
const outageMs = process.env.HEDDLE_SOAK ? { registry: 60_000, database: 20_000 } : { registry: 15_000, database: 10_000 };

const log = createLogger({ service: "test", instance: "test", level: "silent" });

/** A registry that a test can take away and bring back at the same address. */
interface Outage {
  readonly address: string;
  stop(): Promise<void>;
  start(): Promise<void>;
}

const registries: Readonly<Record<string, (test: Mocha.Context, folder: string) => Promise<Outage>>> = {
  async "the embedded registry"(_test, folder) {
    const dataDir = join(folder, "agent");
    let agent = await startAgent({ host: "127.0.0.1", port: 0, dataDir, log });
    const { address, port } = agent;
    const start = async () => {
      agent = await startAgent({ host: "127.0.0.1", port, dataDir, log });
    };
    return { address, start, stop: () => agent.close() };
  },
  // In development mode Consul keeps nothing, so this is also the case of a registry that forgot everybody.
  async "a real Consul"(test) {
    const consul = await startConsul(requireConsul(test));
    return { address: consul.address, stop: () => consul.kill(), start: () => consul.restart() };
  },
};

for (const [name, startRegistry] of Object.entries(registries)) {
  describe(`an outage of ${name}`, () => {
    const undo = new AsyncDisposableStack();
    let registry: Outage;
    let platform: Platform;

    before(async function () {
      this.timeout(120_000);
      const folder = await temporaryFolder(undo);
      registry = await startRegistry(this, folder);
      undo.defer(() => registry.stop());
      platform = undo.use(await startPlatform({ CONSUL_HTTP_ADDR: registry.address }));
    });
    after(async function () {
      this.timeout(60_000);
      await undo.disposeAsync();
    });

    it("fails 0 of 200 calls a second, keeps the endpoints, and shows their age as a metric", async () => {
      const history = await signedInHistory(platform);
      const load = startLoad(200, get(history.url, history.headers));
      await registry.stop();
      await pause(outageMs.registry);
      const age = await discoveryAge(platform);
      await registry.start();
      const connected = async () => (await request("GET", `${platform.gateway}/health`)).body.registry.connected === true;
      await until("the registry to be seen again", connected, 30_000);
      await until("all to be registered again", async () => (await registered(registry.address)) === 2, 30_000);
      const { sent, failures, slowestMs } = await load.stop();
      console.log(`      ${sent} sent, ${failures.length} failed, slowest ${slowestMs} ms, age ${age} s at the end`);
      assert.deepEqual(failures.slice(0, 5), []);
      assert.ok(age >= outageMs.registry / 1000 - 1, `age ${age} s after ${outageMs.registry} ms`);
    }).timeout(180_000);
  });
}

describe("an outage of the database", () => {
  const undo = new AsyncDisposableStack();
  let postgres: Awaited<ReturnType<typeof startEmbeddedPostgres>>;
  let platform: Platform;
  let folder: string;

  before(async function () {
    this.timeout(120_000);
    folder = await temporaryFolder(undo);
    postgres = await startEmbeddedPostgres({ dataDir: join(folder, "postgres"), port: 0, log, restart: false });
    undo.defer(() => postgres.close());
    platform = undo.use(await startPlatform({ DATABASE_URL: postgres.url }));
  });
  after(async function () {
    this.timeout(60_000);
    await undo.disposeAsync();
  });

  it("answers 503 with Retry-After, leaves /livez at 200, and is over within 3 s of the database's return", async () => {
    const { url, headers } = await signedInHistory(platform);
    process.kill(postgres.pid, "SIGKILL");
    await until("a call to be refused", async () => (await request("GET", url, { headers })).status === 503);
    const end = performance.now() + outageMs.database;
    while (performance.now() < end) {
      const refused = await request("GET", url, { headers });
      assert.equal(refused.status, 503, JSON.stringify(refused.body));
      assert.match(refused.headers.get("retry-after") ?? "none", /^[1-9]\d*$/);
      const live = await fetch(`http://127.0.0.1:${8002 + platform.offset}/livez`);
      assert.equal(live.status, 200);
      await pause(100);
    }
    const { port } = postgres;
    await postgres.close();
    postgres = await startEmbeddedPostgres({ dataDir: join(folder, "postgres"), port, log, restart: false });
    const backAt = performance.now();
    await until("calls to succeed", async () => (await request("GET", url, { headers })).status === 200);
    const recoveryMs = Math.round(performance.now() - backAt);
    console.log(`      recovered ${recoveryMs} ms after the database was back`);
    assert.ok(recoveryMs <= 3000, `recovered after ${recoveryMs} ms`);
  }).timeout(90_000);
});

async function temporaryFolder(undo: AsyncDisposableStack): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "heddle-outages-"));
  undo.defer(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Registers and signs in a user; answers with what reads their history, once that has worked. */
async function signedInHistory({
  gateway,
}: Platform): Promise<{ readonly url: string; readonly headers: Record<string, string> }> {
  const account = { email: "margaret@example.com", password: "priority displays 1202" };
  const { user } = (await request("POST", `${gateway}/api/v1/auth/register`, { body: account })).body;
  const { access_token } = (await request("POST", `${gateway}/api/v1/auth/login`, { body: account })).body;
  const url = `${gateway}/api/v1/users/${user.id}/notifications`;
  const headers = { authorization: `Bearer ${access_token}` };
  await until("a first call to succeed", async () => (await request("GET", url, { headers })).status === 200);
  return { url, headers };
}

/** How many of auth and notification the registry gives out. */
async function registered(address: string): Promise<number> {
  const counts = ["auth", "notification"].map(async (service) => {
    const { body } = await request("GET", `${address}/v1/health/service/${service}?passing`);
    return body.length as number;
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** What the gateway's metrics say of how old its knowledge of notification's instances is, in seconds. */
async function discoveryAge(platform: Platform): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${9080 + platform.offset}/metrics`)).text();
  return Number(/^heddle_client_discovery_age(?:_seconds)?\{[^}]*service="notification"[^}]*\} ([0-9.e+]+)/m.exec(metrics)?.[1]);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
