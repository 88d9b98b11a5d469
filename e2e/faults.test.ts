import assert from "node:assert/strict";
import { request } from "./http.ts";
import { get, startLoad } from "./load.ts";
import { type Platform, startPlatform } from "./platform.ts";
import { until } from "./until.ts";

describe("faults under 200 requests a second of idempotent calls, notification scaled to 2", () => {
  let platform: Platform;
  let history: () => Promise<string | undefined>;

  before(async function () {
    this.timeout(120_000);
    platform = await startPlatform();
    const api = `${platform.gateway}/api/v1`;
    const account = { email: "hedy@example.com", password: "frequency hopping 1942" };
    const { user } = (await request("POST", `${api}/auth/register`, { body: account })).body;
    const { access_token: token } = (await request("POST", `${api}/auth/login`, { body: account })).body;
    history = get(`${api}/users/${user.id}/notifications`, { authorization: `Bearer ${token}` });
    await platform.heddle("scale", "notification", "2");
    await until("two instances in rotation", async () => (await inRotation(platform)) === 2, 20_000);
  });
  after(async function () {
    this.timeout(60_000);
    await platform?.[Symbol.asyncDispose]();
  });

  it("kill -9 of one instance: 0 failed, back and in rotation within 5 s", async () => {
    const load = startLoad(200, history);
    await until("the load to run", async () => (await history()) === undefined);
    const victim = (await platform.processes()).find(({ service }) => service === "notification");
    assert.ok(victim?.pid);
    const killedAt = performance.now();
    process.kill(victim.pid, "SIGKILL");
    await until("the registry to drop the killed instance", async () => (await inRotation(platform)) === 1);
    await until("the killed instance to be back", async () => (await inRotation(platform)) === 2, 10_000);
    const backMs = performance.now() - killedAt;
    const { sent, failures, slowestMs } = await load.stop();
    console.log(`      ${sent} sent, ${failures.length} failed, slowest ${slowestMs} ms, back after ${Math.round(backMs)} ms`);
    assert.deepEqual(failures.slice(0, 5), []);
    assert.ok(backMs <= 5000, `back after ${backMs} ms`);
  }).timeout(60_000);

  it("a rolling restart: 0 failed", async () => {
    const before = pids(await platform.processes());
    const load = startLoad(200, history);
    await platform.heddle("restart", "notification");
    await until("two instances in rotation", async () => (await inRotation(platform)) === 2, 20_000);
    const { sent, failures, slowestMs } = await load.stop();
    console.log(`      ${sent} sent, ${failures.length} failed, slowest ${slowestMs} ms`);
    assert.deepEqual(failures.slice(0, 5), []);
    const now = pids(await platform.processes());
    assert.deepEqual(
      now.filter((pid) => before.includes(pid)),
      [],
    );
  }).timeout(60_000);
});

/** How many instances of notification the registry says pass. */
async function inRotation(platform: Platform): Promise<number> {
  const { body } = await request("GET", `http://127.0.0.1:${8500 + platform.offset}/v1/health/service/notification?passing`);
  return body.length;
}

function pids(processes: Awaited<ReturnType<Platform["processes"]>>): readonly (number | undefined)[] {
  return processes.filter(({ service }) => service === "notification").map(({ pid }) => pid);
}
