import { setTimeout as sleep } from "node:timers/promises";
import type { Instance } from "#mesh/registry/registry.ts";
import type { CommandContext } from "../command-context.ts";
import { Failure } from "../failure.ts";
import { platformStatus } from "../supervisor/control-client.ts";
import { commandLog, platformRegistry } from "./platform-registry.ts";

/** How long the registry may take to answer before the environment is asked instead, in milliseconds. */
const registryPatienceMs = 2000;

/**
 * `heddle url`: the address of each healthy instance of a service, one a line, from the registry; else what <SERVICE>_SERVICE_URL
 * says; else where the platform runs it.
 *
 * @throws Failure when nobody knows the service.
 */
export async function url(context: CommandContext, service: string): Promise<number> {
  const urls =
    (await fromRegistry(context, service)) ?? fromEnvironment(context, service) ?? (await fromPlatform(context, service));
  if (urls === undefined) {
    throw new Failure(`${service} is not in the registry, and ${variableOf(service)} is not set`);
  }
  context.out.write(`${urls.join("\n")}\n`);
  return 0;
}

async function fromRegistry(context: CommandContext, service: string): Promise<readonly string[] | undefined> {
  await using registry = await platformRegistry(context, commandLog(context));
  let instances: readonly Instance[] = [];
  using watch = registry.watchService(service, (seen) => {
    instances = seen;
  });
  const patience = new AbortController();
  await Promise.race([watch.first, sleep(registryPatienceMs, undefined, { signal: patience.signal }).catch(() => {})]).catch(
    () => {},
  );
  patience.abort();
  const healthy = instances.filter(({ status }) => status !== "critical").map(({ address, port }) => `http://${address}:${port}`);
  return healthy.length === 0 ? undefined : healthy.toSorted();
}

function fromEnvironment({ env }: CommandContext, service: string): readonly string[] | undefined {
  const value = env[variableOf(service)];
  return value === undefined || value === "" ? undefined : [value];
}

async function fromPlatform({ folder }: CommandContext, service: string): Promise<readonly string[] | undefined> {
  const status = await platformStatus(folder);
  const ports = status?.processes
    .filter((process) => process.service === service && process.state === "ready")
    .map(({ port }) => port);
  return ports === undefined || ports.length === 0 ? undefined : ports.map((port) => `http://127.0.0.1:${port}`);
}

function variableOf(service: string): string {
  return `${service.toUpperCase().replaceAll("-", "_")}_SERVICE_URL`;
}
