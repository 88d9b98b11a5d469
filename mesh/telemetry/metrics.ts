/** The metrics of a process: OpenTelemetry instruments, read as Prometheus text on the admin port. */
import type { Meter } from "@opentelemetry/api";
import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import { observeProcess } from "./process-metrics.ts";
import { withUnitSuffixes } from "./prometheus-names.ts";

/** The meter that every part makes its instruments with, and what they say. */
export interface Metrics extends AsyncDisposable {
  readonly meter: Meter;
  /** Everything measured so far, in the Prometheus text format 0.0.4. Dots of OpenTelemetry names become underscores, units suffixes. */
  text(): Promise<string>;
}

/** Starts measuring, beginning with the process itself (process-metrics.ts). `target_info` names service, instance, version. */
export function createMetrics(o: { service: string; instance: string; version: string }): Metrics {
  const reader = new OnDemandReader();
  const resource = resourceFromAttributes({
    "service.name": o.service,
    "service.instance.id": o.instance,
    "service.version": o.version,
  });
  const provider = new MeterProvider({ resource, readers: [reader] });
  const meter = provider.getMeter("heddle", o.version);
  const processMetrics = observeProcess(meter);
  const serializer = new PrometheusSerializer(undefined, false, undefined, false, true);
  return {
    meter,
    async text() {
      const { resourceMetrics } = await reader.collect();
      return serializer.serialize(withUnitSuffixes(resourceMetrics));
    },
    async [Symbol.asyncDispose]() {
      processMetrics[Symbol.dispose]();
      await provider.shutdown();
    },
  };
}

/** Collects when asked and never by itself; the exporter's own reader would open an HTTP server. */
class OnDemandReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}
