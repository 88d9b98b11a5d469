/** Metrics on a platform that runs: what is called is counted, across kills of discovery, of the database and of the service itself. */
import assert from "node:assert/strict";
import { request } from "./http.ts";
import { newPerson, type PlatformPerson } from "./person.ts";
import { type Platform, startPlatform } from "./platform.ts";
import { until } from "./until.ts";

/** What is read here of the answers. */
interface Traffic {
  readonly calls?: string;
  readonly outcomes: Readonly<Record<string, string>>;
}
interface Summary {
  readonly upCount?: number;
  readonly collection: {
    readonly discoveryProblem?: string;
    readonly storageProblem?: string;
    readonly pendingWindows?: number;
    readonly writing?: boolean;
  };
}
interface History {
  readonly points: readonly { readonly traffic?: Traffic }[];
}

describe("metrics, on a platform that runs", () => {
  let platform: Platform;
  let person: PlatformPerson;
  let admin = "";
  const asAdmin = (path: string, accept = "application/json") =>
    fetch(`${platform.gateway}/api/v1/metrics${path}`, { headers: { authorization: `Bearer ${admin}`, accept } });
  const summary = async (): Promise<Summary | undefined> => {
    const answer = await asAdmin("/summary");
    return answer.ok ? ((await answer.json()) as Summary) : undefined;
  };
  /** All calls of a method that the history has, and how many ended in a way; undefined while it cannot be read. */
  const counted = async (service: string, method: string, outcome: string): Promise<number | undefined> => {
    const answer = await asAdmin(`/${service}/history?step=60s&method=${encodeURIComponent(method)}`);
    if (!answer.ok) return undefined;
    const { points } = (await answer.json()) as History;
    return points.reduce((sum, { traffic }) => sum + Number(traffic?.outcomes?.[outcome] ?? 0), 0);
  };
  const killed = async (service: string) => {
    const found = (await platform.processes()).find((process) => process.service === service);
    assert.ok(found?.pid, `${service} does not run`);
    process.kill(found.pid, "SIGKILL");
  };
  const refused = async (times: number) => {
    for (let at = 0; at < times; at++) await request("GET", `${platform.gateway}/api/v1/auth/me`, { token: "none" });
  };

  before(async function () {
    this.timeout(90_000);
    const env = { METRICS_INTERVAL: "2s", METRICS_TIMEOUT: "1s" };
    platform = await startPlatform(env, ["auth", "discovery", "metrics", "gateway"]);
    person = await newPerson(platform.gateway, "grace");
    const root = await newPerson(platform.gateway, "root");
    await platform.heddle("admin", root.email);
    const login = { email: root.email, password: "the long way of root" };
    const { body } = await request("POST", `${platform.gateway}/api/v1/auth/login`, { body: login });
    admin = (body as { access_token: string }).access_token;
    await until("every process to answer", async () => (await summary())?.upCount === 4, 20_000);
  });
  after(async function () {
    this.timeout(60_000);
    await platform?.[Symbol.asyncDispose]();
  });

  it("tells administrators only: 401, 403, 200", async () => {
    const url = `${platform.gateway}/api/v1/metrics`;
    const [nobody, other] = [await request("GET", url), await request("GET", url, { token: person.token })];
    assert.deepEqual([nobody.status, other.status, (await asAdmin("")).status], [401, 403, 200]);
  });

  it("counts 40 calls of a person as 40, at the gateway and at the service", async () => {
    for (let at = 0; at < 40; at++) await person.get("/api/v1/auth/me");
    await until("40 requests", async () => (await counted("gateway", "GET /api/v1/auth/me", "200")) === 40);
    await until("40 calls", async () => (await counted("auth", "auth.v1.AuthService/GetMe", "OK")) === 40);
  }).timeout(40_000);

  it("draws services, a service and its history, by Accept", async () => {
    for (const path of ["", "/auth", "/auth/history", "/auth/history?measure=process_resident_memory_bytes"]) {
      const answer = await asAdmin(path, "image/svg+xml");
      assert.deepEqual([answer.status, answer.headers.get("content-type")], [200, "image/svg+xml"], path);
      assert.match(await answer.text(), /^<svg [\s\S]*<\/svg>\s*$/, path);
    }
  }).timeout(60_000);

  it("tells an event stream of each window", async () => {
    const answer = await asAdmin("/auth:watch", "text/event-stream");
    let text = "";
    for await (const chunk of answer.body ?? []) {
      text += Buffer.from(chunk).toString();
      if ((text.match(/^data: \{"services":\[\{"service":"auth"/gm)?.length ?? 0) >= 3) break;
    }
  }).timeout(20_000);

  it("asks the last instances while discovery is away, and says so", async () => {
    await killed("discovery");
    await until("the problem", async () => (await summary())?.collection.discoveryProblem !== undefined);
    await refused(7);
    await until("7 refusals", async () => (await counted("gateway", "GET /api/v1/auth/me", "401")) === 7);
    await until("discovery", async () => (await summary())?.collection.discoveryProblem === undefined, 30_000);
  }).timeout(60_000);

  it("keeps windows in memory while the database is away, and writes them then", async () => {
    await killed("postgres");
    await refused(5);
    // It comes back by itself; whether it was away for long enough to be noticed is not ours to say.
    await until("the refusals", async () => (await counted("gateway", "GET /api/v1/auth/me", "401")) === 12, 40_000);
    await until("nothing waiting", async () => {
      const now = await summary();
      return now?.collection.storageProblem === undefined && now?.collection.pendingWindows === undefined;
    });
  }).timeout(90_000);

  it("has its history after it was killed, and counts on", async () => {
    await killed("metrics");
    await until(
      "a new process that reads the gateway",
      async () => (await summary().catch(() => undefined))?.upCount === 4,
      40_000,
    );
    assert.equal(await counted("gateway", "GET /api/v1/auth/me", "200"), 40);
    await until("it to write", async () => (await summary())?.collection.writing === true, 40_000);
    await refused(3);
    await until("3 more", async () => (await counted("gateway", "GET /api/v1/auth/me", "401")) === 15, 20_000);
  }).timeout(120_000);
});
