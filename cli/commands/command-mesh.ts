import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { metrics, trace } from "@opentelemetry/api";
import { createMeshClient, type MeshClient } from "#mesh/client/client.ts";
import { loadServiceConfigs } from "#mesh/client/service-configs.ts";
import { callerToken } from "#mesh/identity/caller.ts";
import type { CommandContext } from "../command-context.ts";
import { meshSecret } from "../supervisor/data-folder.ts";
import { commandLog, platformRegistry } from "./platform-registry.ts";

/** The name under which calls from the command line reach the services. */
export const ownName = "heddle-cli";

/**
 * A client of the mesh for a command, as the service `heddle-cli`: it proves itself where the platform's secret is at hand.
 *
 * @param upstreams addresses that are not to be looked up, by contract
 */
export async function commandMesh(
  context: CommandContext,
  upstreams: ReadonlyMap<string, readonly string[]> = new Map(),
): Promise<MeshClient> {
  const undo = new AsyncDisposableStack();
  const log = commandLog(context);
  const registry = undo.use(await platformRegistry(context, log));
  const serviceConfigs = undo.use(await loadServiceConfigs({ root: pathToFileURL(`${context.root}/proto/`), registry, log }));
  const secret =
    existsSync(context.folder.path) || context.env.HEDDLE_MESH_SECRET
      ? meshSecret(context.folder, context.env.HEDDLE_MESH_SECRET)
      : randomBytes(32).toString("hex");
  const caller = callerToken(ownName, secret);
  const [meter, tracer] = [metrics.getMeter(ownName), trace.getTracer(ownName)];
  const mesh = undo.use(createMeshClient({ service: ownName, registry, serviceConfigs, caller, log, meter, tracer, upstreams }));
  return {
    transport: mesh.transport,
    client: (service) => mesh.client(service),
    ready: (contract, signal) => mesh.ready(contract, signal),
    breakers: () => mesh.breakers(),
    resetBreaker: (service) => mesh.resetBreaker(service),
    [Symbol.asyncDispose]: () => undo.disposeAsync(),
  };
}
