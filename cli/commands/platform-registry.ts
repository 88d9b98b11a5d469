import { openConsul } from "#mesh/registry/consul.ts";
import type { Registry } from "#mesh/registry/registry.ts";
import { createLogger, type Logger } from "#mesh/telemetry/log.ts";
import type { CommandContext } from "../command-context.ts";
import { platformStatus } from "../supervisor/control-client.ts";
import { consulUrl } from "../supervisor/registry-probe.ts";

/** The registry of the platform that runs, else the one that the environment names, else Consul's standard address. */
export async function platformRegistry({ env, folder }: CommandContext, log: Logger): Promise<Registry> {
  const running = await platformStatus(folder);
  const address = running?.registry.address ?? consulUrl(env.CONSUL_HTTP_ADDR || "http://127.0.0.1:8500").origin;
  return openConsul({
    address,
    log,
    ...(env.CONSUL_HTTP_TOKEN ? { token: env.CONSUL_HTTP_TOKEN } : {}),
    ...(env.CONSUL_DATACENTER ? { datacenter: env.CONSUL_DATACENTER } : {}),
    ...(env.CONSUL_NAMESPACE ? { namespace: env.CONSUL_NAMESPACE } : {}),
  });
}

/** A log for commands, whose output is their own; HEDDLE_LOG_LEVEL brings the mesh's lines to stderr. */
export function commandLog({ env, err }: CommandContext): Logger {
  return createLogger({ service: "heddle", instance: "heddle", level: env.HEDDLE_LOG_LEVEL ?? "silent", destination: err });
}
