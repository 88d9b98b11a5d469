import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { createLogger } from "../telemetry/log.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { type Admin, startAdmin } from "./admin.ts";
import { HealthBoard } from "./health.ts";
import { until } from "./server.fixture.ts";

const breaker = {
  service: "auth",
  endpoint: undefined,
  state: "OPEN" as const,
  failureRate: 1,
  calls: 5,
  openUntil: 1_700_000_000_000,
};

interface Harness extends AsyncDisposable {
  readonly admin: Admin;
  readonly health: HealthBoard;
  readonly resets: string[];
  get(path: string, method?: string): Promise<{ status: number; type: string | null; body: string; allow: string | null }>;
}

async function start(): Promise<Harness> {
  const identity = { service: "s", instance: "s-1" };
  const metrics = createMetrics({ ...identity, version: "1.2.3" });
  const disk = { name: "disk", critical: false, check: async () => "full" };
  const health = new HealthBoard({ services: ["a.v1.A"], checks: [disk], intervalMs: 10 });
  const resets: string[] = [];
  const resetBreaker = (service: string) => {
    resets.push(service);
    return service === "auth";
  };
  const log = createLogger({ ...identity, level: "silent" });
  const options = { host: "127.0.0.1", health, metrics, breakers: () => [breaker], resetBreaker, log };
  const admin = await startAdmin({ ...options, port: 0 });
  return {
    admin,
    health,
    resets,
    async get(path, method = "GET") {
      const response = await fetch(`http://127.0.0.1:${admin.port}${path}`, { method });
      const { status, headers } = response;
      return { status, type: headers.get("content-type"), body: await response.text(), allow: headers.get("allow") };
    },
    async [Symbol.asyncDispose]() {
      health.close();
      await admin.close();
      await metrics[Symbol.asyncDispose]();
    },
  };
}

describe("startAdmin", () => {
  for (const headers of [{ origin: "http://evil.example" }, { host: "evil.example" }]) {
    it(`POST /circuit-breaker/reset/auth with ${JSON.stringify(headers)} is 403 and resets nothing`, async () => {
      await using h = await start();
      const asked = request(`http://127.0.0.1:${h.admin.port}/circuit-breaker/reset/auth`, { method: "POST", headers });
      asked.end();
      const [response] = await once(asked, "response");
      response.resume();
      assert.deepEqual([response.statusCode, h.resets], [403, []]);
    });
  }

  it("/livez is 200 whatever the health; /readyz is 503 until SERVING, then 200", async () => {
    await using h = await start();
    assert.deepEqual([(await h.get("/livez")).status, (await h.get("/readyz")).status], [200, 503]);
    h.health.setServing(true);
    const ready = await h.get("/readyz");
    assert.deepEqual([ready.status, ready.type, ready.body], [200, "application/json", '{"status":"SERVING"}']);
  });

  it("/health is short, /health/detailed has every check; DOWN is 503, DEGRADED is 200", async () => {
    await using h = await start();
    const down = await h.get("/health");
    assert.deepEqual([down.status, down.body], [503, '{"status":"DOWN"}']);
    h.health.setServing(true);
    h.health.start();
    await until(() => h.health.detail().status === "DEGRADED");
    const degraded = await h.get("/health");
    assert.deepEqual([degraded.status, degraded.body], [200, '{"status":"DEGRADED"}']);
    const { status, checks } = JSON.parse((await h.get("/health/detailed")).body);
    const [{ at, ...check }] = checks;
    assert.deepEqual([status, check], ["DEGRADED", { name: "disk", status: "DOWN", critical: false, detail: "full" }]);
    assert.equal(typeof at, "number");
  });

  it("/metrics and /api/v1/metrics are Prometheus text that names the service", async () => {
    await using h = await start();
    for (const path of ["/metrics", "/api/v1/metrics"]) {
      const { status, type, body } = await h.get(path);
      assert.deepEqual([status, type], [200, "text/plain; version=0.0.4; charset=utf-8"]);
      const info = 'target_info{service_name="s",service_instance_id="s-1",service_version="1.2.3"} 1';
      assert(body.split("\n").includes(info), body);
    }
  });

  it("breakers are listed and reset by name; an unknown one is 404", async () => {
    await using h = await start();
    assert.deepEqual(JSON.parse((await h.get("/circuit-breakers")).body), {
      circuitBreakers: [{ service: "auth", state: "OPEN", failureRate: 1, calls: 5, openUntil: 1_700_000_000_000 }],
    });
    const reset = await h.get("/circuit-breaker/reset/auth", "POST");
    assert.deepEqual([reset.status, reset.body], [200, '{"service":"auth","reset":true}']);
    const unknown = await h.get("/circuit-breaker/reset/a%20b", "POST");
    assert.deepEqual([unknown.status, unknown.body], [404, '{"error":"there is no circuit breaker for \\"a b\\""}']);
    assert.deepEqual(h.resets, ["auth", "a b"]);
    assert.equal((await h.get("/circuit-breaker/reset/%ff", "POST")).status, 400);
  });

  it("another path is 404, another method 405 with Allow, both JSON; HEAD is GET without a body", async () => {
    await using h = await start();
    const nowhere = await h.get("/nope?x=1");
    assert.deepEqual(
      [nowhere.status, nowhere.type, nowhere.body],
      [404, "application/json", '{"error":"there is nothing at /nope"}'],
    );
    const wrong = await h.get("/livez", "DELETE");
    assert.deepEqual([wrong.status, wrong.allow, wrong.body], [405, "GET", '{"error":"expected GET, got DELETE"}']);
    assert.equal((await h.get("/circuit-breaker/reset/auth")).allow, "POST");
    const head = await h.get("/livez", "HEAD");
    assert.deepEqual([head.status, head.body], [200, ""]);
  });

  it("random bytes are answered 400 and closed, and the next request works", async () => {
    await using h = await start();
    const answer = await new Promise<string>((resolve) => {
      const chunks: Buffer[] = [];
      const socket = connect(h.admin.port, "127.0.0.1", () => socket.write(randomBytes(1000)));
      socket.on("data", (chunk) => chunks.push(Buffer.from(chunk)));
      socket.on("error", () => undefined);
      socket.on("close", () => resolve(Buffer.concat(chunks).toString()));
    });
    assert.match(answer, /^HTTP\/1\.1 400 Bad Request/);
    assert.equal((await h.get("/livez")).status, 200);
  });

  it("a port in use is one sentence", async () => {
    await using h = await start();
    const { port } = h.admin;
    const metrics = createMetrics({ service: "s", instance: "s-2", version: "0" });
    const log = createLogger({ service: "s", instance: "s-2", level: "silent" });
    const options = { host: "127.0.0.1", health: h.health, metrics, breakers: () => [], resetBreaker: () => false, log };
    await assert.rejects(startAdmin({ ...options, port }), { message: `port ${port} on 127.0.0.1 is already in use` });
    await metrics[Symbol.asyncDispose]();
  });
});
