import assert from "node:assert/strict";
import { createMetrics } from "./metrics.ts";

describe("createMetrics", () => {
  it("a counter, a gauge and a histogram come out as Prometheus text, dots as underscores", async () => {
    await using metrics = createMetrics({ service: "s", instance: "s-1", version: "1" });
    metrics.meter.createCounter("a.b.started", { description: "Starts" }).add(2, { "grpc.method": 'x"y\n' });
    metrics.meter.createObservableGauge("queue.depth").addCallback((result) => result.observe(7));
    const advice = { explicitBucketBoundaries: [0.1, 1] };
    const histogram = metrics.meter.createHistogram("took", { unit: "s", advice });
    for (const value of [0.05, 0.5, 5]) histogram.record(value);
    const lines = (await metrics.text()).split("\n");
    for (const line of [
      "# HELP a_b_started_total Starts",
      "# TYPE a_b_started_total counter",
      'a_b_started_total{grpc_method="x\\"y\\n"} 2',
      "queue_depth 7",
      "# TYPE took_seconds histogram",
      "took_seconds_count 3",
      "took_seconds_sum 5.55",
      'took_seconds_bucket{le="0.1"} 1',
      'took_seconds_bucket{le="1"} 2',
      'took_seconds_bucket{le="+Inf"} 3',
    ]) {
      assert(lines.includes(line), `${line} is not in\n${lines.join("\n")}`);
    }
  });

  for (const [name, unit, expected] of [
    ["grpc.client.attempt.duration", "s", "grpc_client_attempt_duration_seconds"],
    ["heddle.client.discovery.age", "s", "heddle_client_discovery_age_seconds"],
    ["queue.size", "By", "queue_size_bytes"],
    ["lag", "ms", "lag_milliseconds"],
    ["lag.seconds", "s", "lag_seconds"],
    ["seconds", "s", "seconds"],
    ["milliseconds_of_seconds", "s", "milliseconds_of_seconds"],
    ["microseconds", "s", "microseconds_seconds"],
    ["waiting", "{call}", "waiting"],
    ["share", "1", "share"],
    ["plain", "", "plain"],
  ] as const) {
    it(`a gauge ${name} in ${JSON.stringify(unit)} is ${expected}`, async () => {
      await using metrics = createMetrics({ service: "s", instance: "s-1", version: "1" });
      metrics.meter.createObservableGauge(name, { unit }).addCallback((result) => result.observe(7));
      assert.match(await metrics.text(), new RegExp(`^${expected} 7$`, "m"));
    });
  }

  for (const name of ["sent", "sent.total", "sent.bytes", "sent_bytes_total"]) {
    it(`a counter ${name} in By is sent_bytes_total`, async () => {
      await using metrics = createMetrics({ service: "s", instance: "s-1", version: "1" });
      metrics.meter.createCounter(name, { unit: "By" }).add(3);
      assert.match(await metrics.text(), /^# UNIT sent_bytes_total bytes\n# TYPE sent_bytes_total counter\nsent_bytes_total 3$/m);
    });
  }

  it("the process tells of itself: CPU, memory, heap, start and event loop delay", async () => {
    await using metrics = createMetrics({ service: "s", instance: "s-1", version: "1" });
    await metrics.text();
    const text = await metrics.text();
    for (const name of [
      "process_cpu_seconds_total",
      "process_resident_memory_bytes",
      "process_start_time_seconds",
      "nodejs_heap_size_used_bytes",
      "nodejs_heap_size_total_bytes",
      "nodejs_external_memory_bytes",
      "nodejs_eventloop_lag_p99_seconds",
      "nodejs_eventloop_lag_max_seconds",
    ]) {
      const value = Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
      assert(Number.isFinite(value) && value >= 0, `${name}: ${value} in\n${text}`);
    }
  });
});
