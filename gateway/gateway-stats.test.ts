import assert from "node:assert/strict";
import { startTestGateway } from "./fixtures/harness.ts";
import { LatencyHistogram } from "./latency.ts";

interface Counts {
  readonly requests: number;
  readonly errors: number;
  readonly client_errors: number;
  readonly in_flight: number;
  readonly latency_ms: { readonly p50: number; readonly p95: number; readonly p99: number };
}

interface Report {
  readonly uptime_seconds: number;
  readonly total: Counts;
  readonly routes: Readonly<Record<string, Counts>>;
  readonly backends: Readonly<Record<string, Counts>>;
  readonly cache: object;
}

describe("gateway/gateway-stats", () => {
  it("counts by route and by backend, and tells operators alone", async () => {
    let now = 5000;
    await using gateway = await startTestGateway({ staticApiKeys: ["ops:k1"], clock: () => now });
    for (const path of ["/v1/echo", "/v1/echo", "/v1/echo?int32=x", "/v1/fail/14", "/v1/fail/5", "/nope"]) {
      await gateway.send(`GET ${path}`);
    }
    now += 61_500;
    assert.equal((await gateway.send("GET /api/v1/gateway/stats")).status, 401);
    const reply = await gateway.send("GET /api/v1/gateway/stats", { headers: { "x-api-key": "k1" } });
    const report = reply.json as Report;
    const brief = ({ requests, errors, client_errors, in_flight }: Counts) => [requests, errors, client_errors, in_flight];
    assert.deepEqual(brief(report.total), [7, 1, 4, 1]);
    assert.deepEqual(
      Object.entries(report.routes).map(([name, counts]) => [name, ...brief(counts)]),
      [
        ["GET /api/v1/gateway/stats", 1, 0, 1, 1],
        ["GET /v1/echo", 3, 0, 1, 0],
        ["GET /v1/fail/{int32}", 2, 1, 1, 0],
        ["other", 1, 0, 1, 0],
      ],
    );
    assert.deepEqual(
      Object.entries(report.backends).map(([name, counts]) => [name, ...brief(counts)]),
      [["echo.v1.EchoService", 4, 1, 1, 0]],
    );
    const { p50 = 0, p95 = 0, p99 = 0 } = report.routes["GET /v1/echo"]?.latency_ms ?? {};
    assert.ok(p50 > 0 && p50 <= p95 && p95 <= p99, JSON.stringify({ p50, p95, p99 }));
    assert.equal(report.uptime_seconds, 61);
    assert.deepEqual(report.cache, { hits: 0, misses: 0, stale: 0, entries: 0, bytes: 0 });
  });

  it("knows quantiles to 5 %", () => {
    const latency = new LatencyHistogram();
    assert.equal(latency.quantile(0.5), undefined);
    for (let ms = 1; ms <= 1000; ms++) latency.add(ms);
    for (const [share, ms] of [
      [0.5, 500],
      [0.95, 950],
      [0.99, 990],
    ] as const) {
      const found = latency.quantile(share) ?? 0;
      assert.ok(Math.abs(found - ms) <= ms * 0.05, `${share}: ${found}`);
    }
    latency.add(1e9);
    assert.ok((latency.quantile(1) ?? 0) > 60_000);
  });
});
