/** What a process tells of itself, under the names that Prometheus client libraries share, so that common dashboards fit. */
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import type { Meter } from "@opentelemetry/api";

/** Makes the instruments; they are read when somebody collects. Disposing stops the sampling of the event loop's delay. */
export function observeProcess(meter: Meter): Disposable {
  const cpu = meter.createObservableCounter("process.cpu.seconds", { description: "CPU time, user and system" });
  const rss = meter.createObservableGauge("process.resident_memory.bytes", { description: "Resident memory" });
  const started = meter.createObservableGauge("process.start_time.seconds", { description: "When the process started" });
  const heapUsed = meter.createObservableGauge("nodejs.heap.size_used.bytes", { description: "Heap in use" });
  const heapTotal = meter.createObservableGauge("nodejs.heap.size_total.bytes", { description: "Heap reserved" });
  const external = meter.createObservableGauge("nodejs.external_memory.bytes", { description: "Buffers and native objects" });
  const lagP99 = meter.createObservableGauge("nodejs.eventloop.lag_p99.seconds", {
    description: "Event loop delay since the last reading, 99th percentile",
  });
  const lagMax = meter.createObservableGauge("nodejs.eventloop.lag_max.seconds", {
    description: "Event loop delay since the last reading, greatest",
  });
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();

  const instruments = [cpu, rss, started, heapUsed, heapTotal, external, lagP99, lagMax];
  meter.addBatchObservableCallback((result) => {
    const { user, system } = process.cpuUsage();
    const memory = process.memoryUsage();
    result.observe(cpu, (user + system) / 1e6);
    result.observe(rss, memory.rss);
    result.observe(started, Math.round(performance.timeOrigin) / 1000);
    result.observe(heapUsed, memory.heapUsed);
    result.observe(heapTotal, memory.heapTotal);
    result.observe(external, memory.external);
    // The first reading may come before the first sample, when the percentile is no number.
    result.observe(lagP99, seconds(delay.percentile(99)));
    result.observe(lagMax, seconds(delay.max));
    delay.reset();
  }, instruments);
  return { [Symbol.dispose]: () => void delay.disable() };
}

function seconds(nanoseconds: number): number {
  return Number.isFinite(nanoseconds) && nanoseconds < 1e15 ? nanoseconds / 1e9 : 0;
}
