/** The metrics service: its wiring. */
import { randomUUID } from "node:crypto";
import { DiscoveryService } from "#gen/discovery/v1/discovery_pb.ts";
import { MetricsService } from "#gen/metrics/v1/metrics_pb.ts";
import { openCharts } from "#mesh/chart/charts.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { Collector } from "./collector.ts";
import { ByteBudget } from "./fetch-text.ts";
import { metricsHandlers } from "./handlers.ts";
import { Recorder } from "./recorder.ts";
import { checkTiming, settings } from "./settings.ts";
import { streamsOf } from "./streams.ts";
import { fixedTargets } from "./target.ts";
import { followTargets } from "./targets.ts";

/** Collects what every instance of the mesh measures, and keeps its history. */
export const metrics = defineService({
  name: "metrics",
  port: 7009,
  contracts: [MetricsService],
  settings,
  migrations: new URL("./migrations/", import.meta.url),
  async start({ config, db, mesh, log, scope, clock }) {
    checkTiming(config);
    const { intervalMs, timeoutMs, maxKib, maxSamples, maxInstances, maxPendingRows, collectedMs, minutesMs, hoursMs } = config;
    const retention = { collectedMs, minutesMs, hoursMs };
    const maxBytes = maxKib * 1024;
    const fixed = fixedTargets(config.targets);
    const fetch = { timeoutMs, maxBytes, budget: new ByteBudget(16 * maxBytes) };
    const collector = scope.use(new Collector({ intervalMs, fetch, maxSamples, maxInstances, log, clock }));
    if (fixed.length > 0) collector.follow(fixed);
    const recorder = scope.use(
      new Recorder({ db, collector, intervalMs, retention, maxPendingRows, holder: randomUUID(), log, clock }),
    );
    recorder.start();
    const discovery = mesh.client(DiscoveryService);
    const onChange = (found: Parameters<Collector["follow"]>[0]) => collector.follow([...fixed, ...found]);
    const targets = scope.use(followTargets({ discovery, log, clock, onChange }));
    const charts = scope.use(openCharts());
    const streams = await streamsOf(new URL("../../gen/contracts.binpb", import.meta.url));
    return {
      implementations: [metricsHandlers({ db, collector, recorder, targets, charts, streams, retention, intervalMs, clock })],
    };
  },
});

if (import.meta.main) await runMain(metrics);
