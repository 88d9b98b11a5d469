/** The sensor service: its wiring. */
import { SensorService } from "#gen/sensor/v1/sensor_pb.ts";
import { openCharts } from "#mesh/chart/charts.ts";
import { eventPublisher } from "#mesh/outbox/event-publisher.ts";
import { openOutbox } from "#mesh/outbox/outbox.ts";
import { outboxRoutes } from "#mesh/outbox/outbox-routes.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { openAnalyst } from "./analyst.ts";
import { followChanges } from "./changes.ts";
import { sensorHandlers } from "./handlers.ts";
import { startRunner } from "./runner.ts";
import { settings } from "./settings.ts";

/** Judges sensors by their samples, and tells of each verdict as an event. */
export const sensor = defineService({
  name: "sensor",
  port: 7006,
  contracts: [SensorService],
  settings,
  migrations: new URL("./migrations/", import.meta.url),
  async start({ config, db, mesh, log, meter, scope, clock }) {
    const { uploadTimeoutMs, leaseMs } = config;
    const outbox = scope.use(await openOutbox({ db, publish: eventPublisher(mesh), log, meter, clock }));
    const analyst = scope.use(openAnalyst(config.threads));
    const charts = scope.use(openCharts());
    const runner = scope.use(startRunner({ db, analyst, outbox, log, meter, clock, leaseMs }));
    const changes = scope.use(await followChanges({ db, log, onChange: () => runner.wake() }));
    const handlers = sensorHandlers({ db, analyst, charts, changes, outbox, log, clock, leaseMs, uploadTimeoutMs });
    return { implementations: [handlers], admin: outboxRoutes(outbox) };
  },
});

if (import.meta.main) await runMain(sensor);
