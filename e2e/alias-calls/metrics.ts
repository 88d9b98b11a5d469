/** Example calls of the routes of metrics. */
import type { AliasCall } from "./alias-call.ts";

/** In the name of somebody who is no administrator: each route leads to its method, which refuses. */
export const metricsCalls: readonly AliasCall[] = [
  ["/api/v1/metrics", "ListMetrics"],
  ["/api/v1/metrics/auth", "GetMetrics"],
  ["/api/v1/metrics/summary", "GetSummary"],
  ["/api/v1/metrics/auth/history?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z&step=60s", "GetHistory"],
  ["/api/v1/metrics:watch", "WatchMetrics"],
  ["/api/v1/metrics/auth:watch", "WatchMetrics"],
].map(([path, method]) => ({
  call: `GET ${path}`,
  rpc: `metrics.v1.MetricsService/${method}`,
  status: 403,
  answer: { code: 7 },
}));
