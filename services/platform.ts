/** The platform's processes: what `heddle up` starts, in the order of what they need. */

/** One service of the platform. */
export interface PlatformService {
  /** The name of its folder, in Consul, and of its database. */
  readonly name: string;
  /** The module that runs as the service's own process, from the root of the project. */
  readonly entry: string;
  /** The gRPC port (of the gateway: HTTP); the admin port is 1000 above. */
  readonly port: number;
  /** The variable that moves the port. */
  readonly portVariable: string;
  /** The services that must be ready before it starts. One that it only calls later is not among them. */
  readonly needs: readonly string[];
  /** Whether it keeps state in PostgreSQL, and so waits for it. */
  readonly database: boolean;
  /**
   * Whether clients find it through the registry, so that a second instance on any port can stand in while it restarts. The
   * gateway's clients know its address instead.
   */
  readonly discovered: boolean;
}

/** Every service, by port. The same names and ports stand in each service's definition; a test holds the two together. */
export const platform: readonly PlatformService[] = [
  service("auth", 7001, []),
  service("notification", 7002, []),
  service("ledger", 7003, []),
  service("payment", 7004, ["ledger", "notification"]),
  service("analytics", 7005, ["ledger"]),
  service("sensor", 7006, []),
  service("events", 7007, []),
  service("queue", 7008, []),
  service("metrics", 7009, ["discovery"]),
  // Without a database: it is a view over the registry.
  { ...service("discovery", 7010, []), database: false },
  { ...service("calculation", 7014, []), database: false },
  service("etl", 7011, []),
  service("vector", 7012, []),
  { ...service("analysis", 7013, []), database: false },
  service("value-architect", 7015, []),
  service("value-committer", 7016, []),
  service("value-executor", 7017, []),
  service("value-amplifier", 7018, []),
  {
    name: "gateway",
    entry: "gateway/service.ts",
    port: 8080,
    portVariable: "GATEWAY_PORT",
    needs: [],
    database: false,
    discovered: false,
  },
];

function service(name: string, port: number, needs: readonly string[]): PlatformService {
  const portVariable = `HEDDLE_${name.toUpperCase().replaceAll("-", "_")}_PORT`;
  return { name, entry: `services/${name}/service.ts`, port, portVariable, needs, database: true, discovered: true };
}
