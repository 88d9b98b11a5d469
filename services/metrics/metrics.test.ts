import assert from "node:assert/strict";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import { MetricsService } from "#gen/metrics/v1/metrics_pb.ts";
import { InstanceState, MeasureKind } from "#gen/metrics/v1/traffic_pb.ts";
import { startMesh, type TestMesh } from "#mesh/testing.ts";
import { until } from "../../e2e/until.ts";
import { answering, callsText, callsType, fakeDiscovery, fakeInstance } from "./metrics.fixture.ts";
import { metrics } from "./service.ts";

describe("metrics", () => {
  const scope = new AsyncDisposableStack();
  const state = { first: 10, second: 10 };
  let mesh: TestMesh;
  let client: Client<typeof MetricsService>;

  /** Two instances of `shop`, of which the second is slower, one of `broken`, and one of `lost` that is not there. */
  before(async function () {
    this.timeout(60_000);
    const about = (calls: () => string) =>
      answering(
        () =>
          `# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 7\n# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes 1000\n${callsType}${calls()}`,
      );
    const quick = about(() => callsText("shop.v1.Shop/Buy", "OK", [state.first, 0, 0]));
    const slow = about(
      () =>
        callsText("shop.v1.Shop/Buy", "OK", [0, state.second, 0]) +
        callsText("shop.v1.Shop/Buy", "INTERNAL", [0, state.second / 10, 0]),
    );
    const instances = [
      scope.use(await fakeInstance("shop", "shop-1", quick)),
      scope.use(await fakeInstance("shop", "shop-2", slow)),
      scope.use(
        await fakeInstance(
          "broken",
          "broken-1",
          answering(() => "<html>\n"),
        ),
      ),
    ];
    const lost = { instance: "lost-1", service: "lost", host: "127.0.0.1", port: 1 };
    const targets = [...instances.map(({ target }) => target), lost];
    const env = { METRICS_INTERVAL: "1s", METRICS_TIMEOUT: "500ms" };
    mesh = scope.use(await startMesh([fakeDiscovery(() => targets), metrics], { env }));
    client = mesh.client(MetricsService);
    await until("two instances", async () => (await client.getSummary({})).upCount === 2);
    // Each is asked each second: what is added behind both first answers is counted.
    state.first += 80;
    state.second += 10;
    await until("the calls", async () => (await client.getSummary({})).traffic?.calls === 91n);
  });
  after(() => scope.disposeAsync());

  it("merges the instances' histograms: 80 quick calls at one and 11 slow ones at the other have a p95 among the slow", async () => {
    const { metrics: shop } = await client.getMetrics({ service: "shop" });
    const { calls, errors, outcomes, p50Seconds = 0, p95Seconds = 0 } = shop?.traffic ?? {};
    assert.deepEqual([calls, errors, outcomes], [91n, 1n, { OK: 90n, INTERNAL: 1n }]);
    assert.ok(p50Seconds < 0.1 && p95Seconds > 0.1, `${p50Seconds} ${p95Seconds}`);
    assert.deepEqual([shop?.instanceCount, shop?.upCount, shop?.memoryBytes], [2, 2, 2000]);
    assert.deepEqual(
      shop?.methods.map(({ method, traffic }) => [method, traffic?.calls]),
      [["shop.v1.Shop/Buy", 91n]],
    );
    assert.deepEqual(
      shop?.instances.map(({ instance, state: how, sampleCount }) => [instance, how, sampleCount]),
      [
        ["shop-1", InstanceState.UP, 7],
        ["shop-2", InstanceState.UP, 12],
      ],
    );
    assert.deepEqual(
      shop?.measures.map(({ name, kind, value }) => [name, kind, value]),
      [
        ["process_cpu_seconds_total", MeasureKind.COUNTER, 0],
        ["process_resident_memory_bytes", MeasureKind.GAUGE, 2000],
      ],
    );
  });

  it("names the instances that do not answer well, with what is wrong", async () => {
    const { problems, serviceCount, instanceCount, slowest, mostFailing, collection } = await client.getSummary({});
    assert.deepEqual([serviceCount, instanceCount], [3, 4]);
    assert.deepEqual(
      problems.map(({ instance, state: how, problem }) => [instance, how, problem]),
      [
        ["broken-1", InstanceState.MALFORMED, 'line 1, column 1: expected a name, got "<html>"'],
        ["lost-1", InstanceState.DOWN, "connect ECONNREFUSED 127.0.0.1:1"],
      ],
    );
    assert.deepEqual([slowest[0]?.method, mostFailing[0]?.traffic?.errors], ["shop.v1.Shop/Buy", 1n]);
    assert.deepEqual([collection?.writing, collection?.discoveryProblem, collection?.storageProblem], [true, "", ""]);
  });

  it("lists services by name, page by page", async () => {
    const { services, nextPageToken } = await client.listMetrics({ pageSize: 2 });
    assert.deepEqual(
      services.map(({ service, upCount }) => [service, upCount]),
      [
        ["broken", 0],
        ["lost", 0],
      ],
    );
    const rest = await client.listMetrics({ pageSize: 2, pageToken: nextPageToken });
    assert.deepEqual([rest.services.map(({ service }) => service), rest.nextPageToken], [["shop"], ""]);
    await assert.rejects(client.listMetrics({ pageToken: "x" }), /page_token: expected/);
  });

  it("keeps the history, of which the sum is all calls", async () => {
    const now = Date.now();
    const { points, step } = await client.getHistory({
      service: "shop",
      from: timestampFromMs(now - 60_000),
      to: timestampFromMs(now),
      step: durationFromMs(1000),
    });
    assert.equal(step?.seconds, 1n);
    assert.ok(points.length === 60 || points.length === 61);
    assert.equal(
      points.reduce((sum, { traffic }) => sum + Number(traffic?.calls ?? 0n), 0),
      91,
    );
    const measured = await client.getHistory({
      service: "shop",
      measure: "process_resident_memory_bytes",
      step: durationFromMs(60_000),
    });
    const known = measured.points.filter(({ value }) => value !== undefined);
    assert.ok(known.length >= 1);
    for (const { value, max } of known) assert.deepEqual([(value ?? 0) > 0, (value ?? 0) <= 2000, max], [true, true, 1000]);
  });

  for (const [what, request, message] of [
    ["a method and a measure", { service: "shop", method: "a", measure: "b" }, /measure: expected a method or a measure/],
    ["a service that never was", { service: "none" }, /service "none" does not exist/],
    ["a step of 1500 ms", { service: "shop", step: durationFromMs(1500) }, /step: expected a multiple of 1 s, got 1.5 s/],
    ["a step of 0.5 s", { service: "shop", step: durationFromMs(500) }, /step/],
  ] as const) {
    it(`refuses the history of ${what}`, async () => {
      await assert.rejects(client.getHistory(request), message);
    });
  }

  it("refuses a service that never was", async () => {
    await assert.rejects(client.getMetrics({ service: "none" }), /service "none" does not exist/);
  });

  it("tells a watcher at once and after each window", async () => {
    const stop = new AbortController();
    const ends: bigint[] = [];
    for await (const { services } of client.watchMetrics({ service: "shop" }, { signal: stop.signal })) {
      assert.deepEqual(
        services.map(({ service }) => service),
        ["shop"],
      );
      ends.push(services[0]?.endTime?.seconds ?? 0n);
      if (ends.length === 3) break;
    }
    assert.ok((ends[0] ?? 0n) < (ends[1] ?? 0n) && (ends[1] ?? 0n) < (ends[2] ?? 0n), ends.join());
  });

  for (const [what, draw, expected] of [
    ["the services", () => client.drawMetrics({}), [/Services in the last minute/, /shop: \d+ calls/]],
    [
      "a service",
      () => client.drawServiceMetrics({ service: "shop", width: 300, height: 200 }),
      [/shop in the last minute/, /width="300"/],
    ],
    ["history", () => client.drawHistory({ service: "shop" }), [/shop: calls/, /shop: time of a call/, /height="640"/]],
    ["a measure", () => client.drawHistory({ service: "shop", measure: "process_resident_memory_bytes" }), [/From \d+ to \d+/]],
  ] as const) {
    it(`draws ${what} as SVG`, async function () {
      this.timeout(60_000);
      const { contentType, data } = await draw();
      const text = Buffer.from(data).toString();
      assert.equal(contentType, "image/svg+xml");
      assert.match(text, /^<svg /);
      for (const pattern of expected) assert.match(text, pattern);
    });
  }
});
