/** Discovery on a platform that runs: over REST, across kills, and in the terminal. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type Answer, request } from "./http.ts";
import { newPerson } from "./person.ts";
import { type Platform, startPlatform } from "./platform.ts";
import { until } from "./until.ts";

const root = join(import.meta.dirname, "..");

describe("discovery, on a platform that runs", () => {
  let platform: Platform;
  let program: Server;
  let admin = "";
  let stranger = "";
  const body = () => ({
    service: "tariff-engine",
    address: "127.0.0.1",
    port: (program.address() as AddressInfo).port,
    version: "2.4",
    check: { http: { path: "/healthz" }, interval: "1s" },
  });
  const id = () => `outside-tariff-engine-127.0.0.1-${body().port}`;
  const call = (method: string, path: string, token: string, sent?: unknown): Promise<Answer> =>
    request(method, `${platform.gateway}/api/v1/services${path}`, { token, ...(sent === undefined ? {} : { body: sent }) });
  const statusOf = async () => {
    const answer = await call("GET", "/tariff-engine", admin);
    return answer.status === 200 ? (answer.body as { status: string }).status : answer.status;
  };

  before(async function () {
    this.timeout(90_000);
    program = createServer((_, answer) => answer.end("in time")).listen(0, "127.0.0.1");
    await once(program, "listening");
    platform = await startPlatform({}, ["auth", "discovery", "gateway"]);
    stranger = (await newPerson(platform.gateway, "stranger")).token;
    await newPerson(platform.gateway, "root");
    await platform.heddle("admin", "root@example.com");
    const login = { email: "root@example.com", password: "the long way of root" };
    const { body: signedIn } = await request("POST", `${platform.gateway}/api/v1/auth/login`, { body: login });
    admin = (signedIn as { access_token: string }).access_token;
  });
  after(async function () {
    this.timeout(60_000);
    program.close();
    await platform?.[Symbol.asyncDispose]();
  });

  it("registers a program for administrators only: 401, 403, 200", async () => {
    const nobody = await request("POST", `${platform.gateway}/api/v1/services`, { body: body() });
    const other = await call("POST", "", stranger, body());
    const mine = await call("POST", "", admin, body());
    assert.deepEqual([nobody.status, other.status, mine.status], [401, 403, 200]);
    assert.equal((mine.body as { id: string }).id, id());
    await until("its check to pass", async () => (await statusOf()) === "SERVICE_STATUS_UP");
    const { body: found } = await call("GET", "/tariff-engine/url", stranger);
    assert.equal((found as { url: string }).url, `http://127.0.0.1:${body().port}`);
  });

  it("tells a browser's event stream of each change", async () => {
    const leave = new AbortController();
    const headers = { authorization: `Bearer ${stranger}`, accept: "text/event-stream" };
    const stream = await fetch(`${platform.gateway}/api/v1/services/tariff-engine:watch`, { headers, signal: leave.signal });
    let text = "";
    const reading = (async () => {
      for await (const chunk of stream.body ?? []) text += Buffer.from(chunk).toString();
    })().catch(() => undefined);
    const states = () =>
      [...text.matchAll(/^data: (.*)$/gm)].map(
        ([, data = "{}"]) => JSON.parse(data).services?.[0]?.instances[0].status as string,
      );
    await until("the present state", () => states().length === 1);
    assert.deepEqual(states(), ["INSTANCE_STATUS_PASSING"]);
    assert.equal((await call("POST", "", admin, { ...body(), check: { http: { port: 1 }, interval: "1s" } })).status, 200);
    await until("the check that cannot pass", () => states().at(-1) === "INSTANCE_STATUS_CRITICAL");
    assert.equal((await call("POST", "", admin, body())).status, 200);
    await until("the good check", () => states().at(-1) === "INSTANCE_STATUS_PASSING");
    leave.abort();
    await reading;
  });

  it("is shown by heddle status --watch, with the health of each process and the programs outside", async () => {
    const child = spawn(process.execPath, [join(root, "cli/heddle.mjs"), "status", "--watch"], {
      cwd: root,
      env: { ...process.env, ...platform.env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.on("data", (part: Buffer) => {
      text += part.toString();
    });
    await until("the health of auth", () => /^auth-1 +ready .* passing$/m.test(text));
    assert.match(text, new RegExp(`^tariff-engine +passing +2\\.4 +http://127\\.0\\.0\\.1:${body().port}$`, "m"));
    // While discovery is away the table goes on without health.
    const at = text.length;
    const killed = (await platform.processes()).find(({ service }) => service === "discovery");
    process.kill(killed?.pid ?? 0, "SIGKILL");
    await until("a table without health", () => / memory$/m.test(text.slice(at)));
    await until(
      "health again",
      () =>
        /^discovery-1 +ready .* passing$/m.test(
          text
            .slice(at)
            .split(/ memory$/m)
            .at(-1) ?? "",
        ),
      20_000,
    );
    const ended = once(child, "exit");
    child.kill("SIGINT");
    await ended;
  }).timeout(60_000);

  it("has kept the program through the kill of discovery and of the registry, and lets it go", async () => {
    assert.equal(await statusOf(), "SERVICE_STATUS_UP");
    const consul = (await platform.processes()).find(({ name }) => name === "consul");
    process.kill(consul?.pid ?? 0, "SIGKILL");
    await until(
      "another registry",
      async () => {
        const now = (await platform.processes()).find(({ name }) => name === "consul");
        return now?.pid !== consul?.pid && now?.state === "ready";
      },
      30_000,
    );
    const registry = `http://127.0.0.1:${8500 + platform.offset}/v1/health/service/tariff-engine?passing`;
    await until("its check to pass there", async () => {
      const answer = await fetch(registry).catch(() => undefined);
      return answer?.status === 200 && ((await answer.json()) as unknown[]).length === 1;
    });
    await until("the end of its registration", async () => {
      return (await call("DELETE", `/tariff-engine/instances/${id()}`, admin)).status === 200;
    });
    await until("its end in the view", async () => (await statusOf()) === 404);
    assert.equal((await call("DELETE", `/tariff-engine/instances/${id()}`, admin)).status, 404);
  }).timeout(60_000);
});
