/**
 * The names that Prometheus wants for OpenTelemetry's instruments: with the unit as a suffix
 * (https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/, "Metric Metadata"). The serializer puts
 * `_total` after counters itself, and knows nothing of units.
 */
import type { MetricData, ResourceMetrics } from "@opentelemetry/sdk-metrics";

/** `metrics` with the units in the names: `grpc.client.attempt.duration` in s becomes `grpc.client.attempt.duration_seconds`. */
export function withUnitSuffixes(metrics: ResourceMetrics): ResourceMetrics {
  const scopeMetrics = metrics.scopeMetrics.map((scope) => ({ ...scope, metrics: scope.metrics.map(renamed) }));
  return { ...metrics, scopeMetrics };
}

/** The units in use (UCUM), by the words that Prometheus has for them. */
const words: ReadonlyMap<string, string> = new Map([
  ["s", "seconds"],
  ["ms", "milliseconds"],
  ["By", "bytes"],
]);

/** A name keeps a suffix that it has, also before `_total`. What is counted, such as {call}, is no unit and needs none. */
function renamed<M extends MetricData>(metric: M): M {
  const { descriptor } = metric;
  const unit = words.get(descriptor.unit) ?? "";
  const [, base = "", total = ""] = /^(.*?)([._]total)?$/s.exec(descriptor.name) ?? [];
  const named = unit === "" || new RegExp(`(^|[._])${unit}$`).test(base) ? descriptor.name : `${base}_${unit}${total}`;
  return { ...metric, descriptor: { ...descriptor, name: named, unit } };
}
