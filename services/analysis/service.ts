/** The analysis service: its wiring. */
import { AnalysisService } from "#gen/analysis/v1/analysis_pb.ts";
import { EtlService } from "#gen/etl/v1/etl_pb.ts";
import { openCharts } from "#mesh/chart/charts.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { openAnalyst } from "./analyst.ts";
import { analysisHandlers } from "./handlers.ts";
import { settings } from "./settings.ts";
import { tableReader } from "./table-reader.ts";

/** Statistics over columns of data. It keeps nothing. */
export const analysis = defineService({
  name: "analysis",
  port: 7013,
  contracts: [AnalysisService],
  settings,
  start({ config, mesh, scope }) {
    const analyst = scope.use(openAnalyst(config.threads));
    const charts = scope.use(openCharts());
    return { implementations: [analysisHandlers({ analyst, charts, tables: tableReader(mesh.client(EtlService)) })] };
  },
});

if (import.meta.main) await runMain(analysis);
