/** The settings that every process of the mesh reads, services and gateway alike. */
import { networkInterfaces } from "node:os";
import { duration, integer, oneOf, optionalUrl, port, type Setting, secret, text, type Values } from "./config.ts";

/**
 * The mesh's own environment. An unset port reads as -1: the process puts its own standard port in HEDDLE_PORT's place, and
 * HEDDLE_PORT + 1000 in HEDDLE_ADMIN_PORT's (0 stays 0).
 */
export const processSettings = {
  /**
   * The address to bind and to advertise; for 0.0.0.0 the machine's first address is advertised. Loopback by default, since
   * the wire is not encrypted.
   */
  host: text("HEDDLE_HOST", "127.0.0.1"),
  port: { ...port("HEDDLE_PORT"), fallback: { value: -1 } },
  adminPort: { ...integer("HEDDLE_ADMIN_PORT", 0, 65535, -1), expected: "a port from 0 to 65535" },
  /** The folder for all files that a process keeps. */
  dataDir: text("HEDDLE_DATA", ".heddle"),
  logLevel: oneOf("HEDDLE_LOG_LEVEL", ["trace", "debug", "info", "warn", "error", "fatal", "silent"], "info"),
  version: text("HEDDLE_VERSION", "0.1.0"),
  /** Signs the tokens by which services prove to each other who they are; the same in every process. */
  meshSecret: minimumLength(secret("HEDDLE_MESH_SECRET"), 32),
  databaseUrl: optionalUrl("DATABASE_URL", "postgres:", "postgresql:"),
  consulAddress: text("CONSUL_HTTP_ADDR", "http://127.0.0.1:8500"),
  consulToken: secret("CONSUL_HTTP_TOKEN", ""),
  consulDatacenter: text("CONSUL_DATACENTER", ""),
  consulNamespace: text("CONSUL_NAMESPACE", ""),
  otlpEndpoint: optionalUrl("OTEL_EXPORTER_OTLP_ENDPOINT", "http:", "https:"),
  /** How long a service waits at boot for the services it needs. */
  needsTimeoutMs: duration("HEDDLE_NEEDS_TIMEOUT", "60s"),
  /** How long the calls in flight may take at the end. */
  drainMs: duration("HEDDLE_DRAIN", "10s"),
  /** How long the registry's watchers take to hear of a change; blocking queries tell them within a few milliseconds. */
  propagationMs: duration("HEDDLE_PROPAGATION", "250ms"),
};

/** What openConsul takes of the settings; an empty text means that the variable is unset. */
export function consulOptions(values: Values<typeof processSettings>) {
  return {
    address: values.consulAddress,
    ...(values.consulToken === "" ? {} : { token: values.consulToken }),
    ...(values.consulDatacenter === "" ? {} : { datacenter: values.consulDatacenter }),
    ...(values.consulNamespace === "" ? {} : { namespace: values.consulNamespace }),
  };
}

/** The port of the admin listener of a process whose standard port is `standard`. */
export function adminPort(base: Values<typeof processSettings>, standard: number): number {
  if (base.adminPort !== -1) return base.adminPort;
  const port = base.port === -1 ? standard : base.port;
  return port === 0 ? 0 : port + 1000;
}

/** Where others reach a process that binds `host`: a wildcard is no address, so the machine's own first one stands for it. */
export function advertisedAddress(host: string): string {
  if (host !== "0.0.0.0" && host !== "::") return host;
  const addresses = Object.values(networkInterfaces()).flatMap((of) => of ?? []);
  return addresses.find((address) => !address.internal && address.family === "IPv4")?.address ?? "127.0.0.1";
}

/**
 * The database of a service: what <SERVICE>_DATABASE_URL says, else `heddle_<service>` on the server.
 *
 * @throws Error when neither is set.
 */
export function databaseUrl(service: string, server: URL | undefined, env: Readonly<Record<string, string | undefined>>): string {
  const exact = env[`${service.toUpperCase().replaceAll("-", "_")}_DATABASE_URL`];
  if (exact !== undefined && exact !== "") return exact;
  if (server === undefined) throw new Error("DATABASE_URL: expected a postgres:// URL, got nothing");
  const url = new URL(server);
  url.pathname = `/heddle_${service.replaceAll("-", "_")}`;
  return url.href;
}

function minimumLength(setting: Setting<string>, length: number): Setting<string> {
  return {
    ...setting,
    expected: `a text of at least ${length} characters`,
    parse: (value) => (value.length >= length ? value : undefined),
  };
}
