/** The etl service: its wiring. */
import { EtlService } from "#gen/etl/v1/etl_pb.ts";
import { VectorService } from "#gen/vector/v1/vector_pb.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { followChanges } from "./changes.ts";
import { openFolder } from "./folder.ts";
import { etlHandlers } from "./handlers.ts";
import { querySources } from "./query-source.ts";
import { startRunner } from "./runner.ts";
import { settings } from "./settings.ts";
import { startSweeper } from "./sweeper.ts";
import { openWorkers } from "./workers.ts";

/** Brings data from files and databases into tables, files and vector collections. */
export const etl = defineService({
  name: "etl",
  port: 7011,
  contracts: [EtlService],
  settings,
  migrations: new URL("./migrations/", import.meta.url),
  async start({ config, db, mesh, log, meter, dataDir, scope, clock }) {
    const folder = await openFolder(dataDir);
    const workers = scope.use(openWorkers(config.threads));
    const sources = querySources(config.sources, config.queryTimeoutMs);
    const base = { ...config, db, folder, workers, sources, log, meter, clock };
    scope.use(startSweeper(base));
    const runner = scope.use(startRunner({ ...base, vector: mesh.client(VectorService) }));
    const changes = scope.use(await followChanges({ db, log, onChange: () => runner.wake() }));
    return { implementations: [etlHandlers({ ...base, changes })] };
  },
});

if (import.meta.main) await runMain(etl);
