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
      "# TYPE took histogram",
      "took_count 3",
      "took_sum 5.55",
      'took_bucket{le="0.1"} 1',
      'took_bucket{le="1"} 2',
      'took_bucket{le="+Inf"} 3',
    ]) {
      assert(lines.includes(line), `${line} is not in\n${lines.join("\n")}`);
    }
  });

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
