import { serviceUrls, serviceUrlVariable } from "#mesh/registry/service-url.ts";
import type { CommandContext } from "../command-context.ts";
import { Failure } from "../failure.ts";
import { platformStatus } from "../supervisor/control-client.ts";
import { commandLog, platformRegistry } from "./platform-registry.ts";

/**
 * `heddle url`: the address of each healthy instance of a service, one a line, from the registry; else what <SERVICE>_SERVICE_URL
 * says; else where the platform runs it.
 *
 * @throws Failure when nobody knows the service.
 */
export async function url(context: CommandContext, service: string): Promise<number> {
  await using registry = await platformRegistry(context, commandLog(context));
  const known = await serviceUrls(service, { registry, env: context.env });
  const urls = known?.urls ?? (await fromPlatform(context, service));
  if (urls === undefined) {
    throw new Failure(`${service} is not in the registry, and ${serviceUrlVariable(service)} is not set`);
  }
  context.out.write(`${urls.join("\n")}\n`);
  return 0;
}

async function fromPlatform({ folder }: CommandContext, service: string): Promise<readonly string[] | undefined> {
  const status = await platformStatus(folder);
  const ports = status?.processes
    .filter((process) => process.service === service && process.state === "ready")
    .map(({ port }) => port);
  return ports === undefined || ports.length === 0 ? undefined : ports.map((port) => `http://127.0.0.1:${port}`);
}
