import { integer, optionalUrl, port, readConfig, type Setting, text, type Values } from "#mesh/config.ts";
import type { PlatformService } from "../../services/platform.ts";

/** The environment of `heddle up`. What it does not name is handed to the services as it is. */
export const platformSettings = {
  /** The address that everything binds. */
  host: text("HEDDLE_HOST", "127.0.0.1"),
  /** Added to every standard port, so that several platforms fit on one machine. */
  portOffset: integer("HEDDLE_PORT_OFFSET", 0, 50_000, 0),
  /** The embedded registry's port, and where a Consul that runs already is looked for. Standard: 8500 + offset. */
  consulPort: unsetPort("HEDDLE_CONSUL_PORT"),
  /** The embedded PostgreSQL's port. Standard: 5480 + offset, or any free one when that is taken. */
  postgresPort: unsetPort("HEDDLE_POSTGRES_PORT"),
  /** A PostgreSQL server to use in place of the embedded one. */
  databaseUrl: optionalUrl("DATABASE_URL", "postgres:", "postgresql:"),
  /** A Consul to use in place of the embedded registry. */
  consulAddress: text("CONSUL_HTTP_ADDR", ""),
  consulToken: text("CONSUL_HTTP_TOKEN", ""),
  /** The resident set, in MiB, above which a service is restarted. */
  memoryMb: integer("HEDDLE_MEMORY_MB", 64, 65_536, 256),
  /** How large a log file grows before it is started over, in MiB. */
  logMb: integer("HEDDLE_LOG_MB", 1, 10_240, 10),
};

/** The values of the environment of `heddle up`. */
export type PlatformSettings = Values<typeof platformSettings>;

/** What the environment says of one service. */
export interface ServiceSettings {
  /** -1: its standard port; 0: any free one. */
  readonly port: number;
  readonly memoryMb: number;
}

/**
 * Reads the platform's settings and those of each service, HEDDLE_<SERVICE>_PORT (the gateway: GATEWAY_PORT) and HEDDLE_<SERVICE>_MEMORY_MB.
 *
 * @throws ConfigError that names every mistake.
 */
export function readPlatformSettings(
  env: Readonly<Record<string, string | undefined>>,
  services: readonly PlatformService[],
): { readonly platform: PlatformSettings; readonly service: (name: string) => ServiceSettings } {
  const own: Record<string, Setting<number>> = {};
  for (const { name, portVariable } of services) {
    own[`${name} port`] = unsetPort(portVariable);
    own[`${name} memory`] = integer(`HEDDLE_${name.toUpperCase().replaceAll("-", "_")}_MEMORY_MB`, 64, 65_536, -1);
  }
  // One reading of both groups, so that all mistakes are reported at once.
  const values: Record<string, unknown> = readConfig(env, { ...platformSettings, ...own });
  const platform = values as PlatformSettings;
  const service = (name: string): ServiceSettings => {
    const memory = Number(values[`${name} memory`]);
    return { port: Number(values[`${name} port`]), memoryMb: memory === -1 ? platform.memoryMb : memory };
  };
  return { platform, service };
}

function unsetPort(variable: string): Setting<number> {
  return { ...port(variable), fallback: { value: -1 } };
}
