/** The analytics service: its wiring. */
import { AnalyticsService } from "#gen/analytics/v1/analytics_pb.ts";
import { openCharts } from "#mesh/chart/charts.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { answerCache } from "./answer-cache.ts";
import { analyticsHandlers } from "./handlers.ts";
import { ledgerReader } from "./ledger-reader.ts";
import { redisStore } from "./redis-store.ts";
import { settings } from "./settings.ts";

/** Computes metrics over the ledger's transactions. It keeps nothing but answers, for a while. */
export const analytics = defineService({
  name: "analytics",
  port: 7005,
  contracts: [AnalyticsService],
  settings,
  async start({ config, mesh, log, meter, scope, clock }) {
    const { redisUrl, cacheTtl: ttlMs, cacheMib, concurrency, maxTransactions } = config;
    const shared = redisUrl && scope.use(redisStore({ url: redisUrl.href, log }));
    const cache = answerCache({ ttlMs, maxBytes: cacheMib * 2 ** 20, concurrency, shared, meter });
    const charts = scope.use(openCharts());
    return { implementations: [analyticsHandlers({ ledger: ledgerReader(mesh, maxTransactions), cache, charts, ttlMs, clock })] };
  },
});

if (import.meta.main) await runMain(analytics);
