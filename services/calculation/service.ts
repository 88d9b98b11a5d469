/** The calculation service: its wiring. */
import { CalculationService } from "#gen/calculation/v1/calculation_pb.ts";
import { openCharts } from "#mesh/chart/charts.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { calculationHandlers } from "./handlers.ts";
import { openPool } from "./pool.ts";
import { settings } from "./settings.ts";

/** Calculates what it is asked, off the event loop. It keeps nothing, and so needs no database. */
export const calculation = defineService({
  name: "calculation",
  port: 7014,
  contracts: [CalculationService],
  settings,
  start({ config, log, scope }) {
    const pool = scope.use(openPool({ ...config, log }));
    const charts = scope.use(openCharts());
    return { implementations: [calculationHandlers({ pool, charts, simulationLimitMs: config.simulationLimitMs })] };
  },
});

if (import.meta.main) await runMain(calculation);
