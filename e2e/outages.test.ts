import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningAgent, startAgent } from "#mesh/registry/agent.ts";
import { startEmbeddedPostgres } from "#mesh/storage/embedded.ts";
import { createLogger } from "#mesh/telemetry/log.ts";
import { request } from "./http.ts";
import { get, startLoad } from "./load.ts";
import { type Platform, startPlatform } from "./platform.ts";
import { until } from "./until.ts";

/** How long an outage lasts: short here, as long as the promise says in `npm run soak`. */
const outageMs = process.env.HEDDLE_SOAK ? { registry: 60_000, database: 20_000 } : { registry: 15_000, database: 10_000 };

const log = createLogger({ service: "test", instance: "test", level: "silent" });

describe("outages of what the platform stands on", () => {
  const undo = new AsyncDisposableStack();
  let folder: string;
  let agent: RunningAgent;
  let postgres: Awaited<ReturnType<typeof startEmbeddedPostgres>>;
  let platform: Platform;
  let url: string;
  let authorization: { readonly authorization: string };

  before(async function () {
    this.timeout(120_000);
    folder = await mkdtemp(join(tmpdir(), "heddle-outages-"));
    undo.defer(() => rm(folder, { recursive: true, force: true }));
    agent = await startAgent({ host: "127.0.0.1", port: 0, dataDir: join(folder, "agent"), log });
    undo.defer(() => agent.close());
    postgres = await startEmbeddedPostgres({ dataDir: join(folder, "postgres"), port: 0, log, restart: false });
    undo.defer(() => postgres.close());
    platform = undo.use(await startPlatform({ CONSUL_HTTP_ADDR: agent.address, DATABASE_URL: postgres.url }));
    const api = `${platform.gateway}/api/v1`;
    const account = { email: "margaret@example.com", password: "priority displays 1202" };
    const { user } = (await request("POST", `${api}/auth/register`, { body: account })).body;
    const { access_token } = (await request("POST", `${api}/auth/login`, { body: account })).body;
    url = `${api}/users/${user.id}/notifications`;
    authorization = { authorization: `Bearer ${access_token}` };
  });
  after(async function () {
    this.timeout(60_000);
    await undo.disposeAsync();
  });

  it("the registry away: 0 of 200 calls a second fail, the endpoints are kept, their age is a metric", async () => {
    const load = startLoad(200, get(url, authorization));
    await agent.close();
    await pause(outageMs.registry);
    const metrics = await (await fetch(`http://127.0.0.1:${9080 + platform.offset}/metrics`)).text();
    const age = Number(
      /^heddle_client_discovery_age_seconds\{[^}]*service="notification"[^}]*\} ([0-9.e+]+)/m.exec(metrics)?.[1],
    );
    assert.ok(age > outageMs.registry / 1000 - 5, `age ${age} in ${metrics.slice(0, 200)}`);
    agent = await startAgent({ host: "127.0.0.1", port: agent.port, dataDir: join(folder, "agent"), log });
    await until(
      "the registry to be seen again",
      async () => {
        return (await request("GET", `${platform.gateway}/health`)).body.registry.connected;
      },
      20_000,
    );
    const { sent, failures, slowestMs } = await load.stop();
    console.log(`      ${sent} sent, ${failures.length} failed, slowest ${slowestMs} ms`);
    assert.deepEqual(failures, []);
  }).timeout(150_000);

  it("the database away: 503 with Retry-After, /livez stays 200, and back within 3 s of its return", async () => {
    process.kill(postgres.pid, "SIGKILL");
    await until("a call to be refused", async () => (await request("GET", url, { headers: authorization })).status === 503);
    const end = performance.now() + outageMs.database;
    while (performance.now() < end) {
      const refused = await request("GET", url, { headers: authorization });
      assert.equal(refused.status, 503, JSON.stringify(refused.body));
      assert.match(refused.headers.get("retry-after") ?? "none", /^[1-9]\d*$/);
      const live = await fetch(`http://127.0.0.1:${8002 + platform.offset}/livez`);
      assert.equal(live.status, 200);
      await pause(100);
    }
    const port = postgres.port;
    await postgres.close();
    postgres = await startEmbeddedPostgres({ dataDir: join(folder, "postgres"), port, log, restart: false });
    const backAt = performance.now();
    await until("calls to succeed", async () => (await request("GET", url, { headers: authorization })).status === 200);
    const recoveryMs = Math.round(performance.now() - backAt);
    console.log(`      recovered ${recoveryMs} ms after the database was back`);
    assert.ok(recoveryMs <= 3000, `recovered after ${recoveryMs} ms`);
  }).timeout(90_000);
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
