/** A program outside the mesh, as it is kept in the registry's key-value store and as it is registered. */
import type { InstanceCheck, Registration } from "#mesh/registry/registry.ts";
import { instanceUrl } from "#mesh/registry/service-url.ts";

/** What a program speaks, in the words of the registry's meta. */
export type Protocol = "h2c" | "http" | "https";

/** How it is checked, always at its own address. */
export type OutsideCheck =
  | { readonly kind: "grpc"; readonly service: string }
  | { readonly kind: "http"; readonly path: string; readonly port: number };

/** A program. */
export interface Outside {
  readonly service: string;
  /** An IP address or a host name, in canonical form. */
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly contracts: readonly string[];
  readonly version: string;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
  /** Where it answers `GET /metrics`; 0: nowhere. */
  readonly adminPort: number;
  readonly check: OutsideCheck;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** What the registry keeps in the meta of every instance; nobody else may set it. */
export const ownMeta: readonly string[] = ["version", "contracts", "admin", "protocol", "outside"];

/** One id for each service, address and port, so that registering again replaces. No host name has an underscore. */
export function outsideId({ service, address, port }: Pick<Outside, "service" | "address" | "port">): string {
  return `outside-${service}-${address.replaceAll(":", "_")}-${port}`;
}

/** What is registered of it: critical until its check has passed, and there until it is removed. */
export function registrationOf(outside: Outside): Registration {
  const { service, address, port, protocol, contracts, version, meta, adminPort, intervalMs, timeoutMs } = outside;
  return {
    id: outsideId(outside),
    service,
    address,
    port,
    tags: [...(protocol === "h2c" ? ["grpc"] : []), ...contracts, ...outside.tags],
    meta: {
      ...meta,
      ...(version === "" ? {} : { version }),
      ...(contracts.length === 0 ? {} : { contracts: contracts.join(",") }),
      ...(adminPort === 0 ? {} : { admin: String(adminPort) }),
      protocol,
      outside: "true",
    },
    check: checkOf(outside),
    checkIntervalMs: intervalMs,
    checkTimeoutMs: timeoutMs,
    initialStatus: "critical",
    deregisterAfterMs: 0,
    outlives: true,
  };
}

/** The text that is kept. Equal programs give equal texts. */
export function outsideText(outside: Outside): string {
  const { service, address, port, protocol, contracts, version, tags, meta, adminPort, check, intervalMs, timeoutMs } = outside;
  const what = { service, address, port, protocol, contracts, version, tags, meta, adminPort };
  return JSON.stringify({ ...what, check, intervalMs, timeoutMs });
}

/** Reads what outsideText wrote; undefined for a text that somebody else wrote otherwise. */
export function readOutside(text: string): Outside | undefined {
  try {
    const value = JSON.parse(text) as Outside;
    const { service, address, port, protocol, contracts, version, tags, meta, adminPort, check, intervalMs, timeoutMs } = value;
    const texts = [service, address, protocol, version, ...contracts, ...tags, ...Object.values(meta)];
    const numbers = [port, adminPort, intervalMs, timeoutMs];
    const good = texts.every((item) => typeof item === "string") && numbers.every((item) => Number.isInteger(item));
    const checked = check.kind === "grpc" ? typeof check.service === "string" : typeof check.path === "string";
    return good && checked && (check.kind === "grpc" || check.kind === "http") ? value : undefined;
  } catch {
    return undefined;
  }
}

function checkOf({ address, port, protocol, check }: Outside): InstanceCheck {
  if (check.kind === "grpc") return check;
  const url = instanceUrl({ address, port: check.port || port, meta: { protocol } });
  return { kind: "http", url: `${url}${check.path}` };
}
