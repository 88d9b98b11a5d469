/** The discovery service: its wiring. */
import { readdirSync } from "node:fs";
import { DiscoveryService } from "#gen/discovery/v1/discovery_pb.ts";
import { defineService, runMain } from "#mesh/service.ts";
import { discoveryHandlers } from "./handlers.ts";
import { OutsideKeeper } from "./keeper.ts";
import { settings } from "./settings.ts";
import { ServiceView } from "./view.ts";

/** Tells what runs, where, and how well, by the registry; and registers programs outside the mesh. */
export const discovery = defineService({
  name: "discovery",
  port: 7010,
  contracts: [DiscoveryService],
  settings,
  start({ config, registry, env, log, scope }) {
    const view = scope.use(new ServiceView(registry));
    const keeper = scope.use(new OutsideKeeper({ registry, log, max: config.maxOutside }));
    const services = new Set(["consul", "gateway", ...foldersOf("../")]);
    const reserved = { services, packages: new Set(["google", "grpc", ...foldersOf("../../proto/")]) };
    return { implementations: [discoveryHandlers({ view, keeper, env, reserved, networks: config.networks })] };
  },
});

/** The names of the services and of the packages are those of their folders. */
function foldersOf(path: string): readonly string[] {
  const entries = readdirSync(new URL(path, import.meta.url), { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

if (import.meta.main) await runMain(discovery);
