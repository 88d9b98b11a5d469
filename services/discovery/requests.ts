/** Requests to register, checked and made into programs. */
import type { BlockList } from "node:net";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { type Check, Protocol as ProtocolOf, type RegisterServiceRequest } from "#gen/discovery/v1/discovery_pb.ts";
import { failedPrecondition, invalidArgument } from "#mesh/errors.ts";
import { checkedAddress, type Resolve } from "./check-address.ts";
import { type Outside, type OutsideCheck, ownMeta, type Protocol } from "./outside.ts";

/** What belongs to the mesh. */
export interface Reserved {
  /** Names of services. */
  readonly services: ReadonlySet<string>;
  /** First parts of packages, `auth` for `auth.v1.AuthService`. */
  readonly packages: ReadonlySet<string>;
}

/** What a request is held against. */
export interface RequestRules {
  readonly reserved: Reserved;
  readonly networks: BlockList | undefined;
  readonly resolve?: Resolve;
}

/** Consul keeps values of at most 512 bytes. */
const maxContracts = 500;
const defaultIntervalMs = 10_000;
const defaultTimeoutMs = 5000;

/**
 * The program that a request describes.
 *
 * @throws FAILED_PRECONDITION (RESERVED) for a name or contract of the mesh's own: whoever took one would be sent its calls.
 *   INVALID_ARGUMENT for a field that makes no sense.
 */
export async function outsideOf(request: RegisterServiceRequest, rules: RequestRules): Promise<Outside> {
  const { service, port, contracts, version, tags, meta, adminPort } = request;
  assertFree(service, contracts, rules.reserved);
  const protocol = protocolOf[request.protocol] ?? (contracts.length > 0 ? "h2c" : "http");
  const violations = [
    ...(contracts.length > 0 && protocol !== "h2c"
      ? [["contracts", "expected none, since the program does not speak gRPC"]]
      : []),
    ...(contracts.join(",").length > maxContracts ? [["contracts", `expected at most ${maxContracts} characters together`]] : []),
    ...ownMeta.filter((name) => name in meta).map((name) => ["meta", `${name} is the registry's own`]),
  ].map(([field = "", description = ""]) => ({ field, description }));
  if (violations.length > 0) throw invalidArgument(violations);
  const intervalMs = millisOf(request.check?.interval) ?? defaultIntervalMs;
  return {
    service,
    address: await checkedAddress(request.address, rules.networks, rules.resolve),
    port,
    protocol,
    contracts,
    version,
    tags,
    meta: Object.fromEntries(Object.entries(meta).sort(([a], [b]) => (a < b ? -1 : 1))),
    adminPort,
    check: checkOf(request.check, protocol),
    intervalMs,
    timeoutMs: millisOf(request.check?.timeout) ?? defaultTimeoutMs,
  };
}

const protocolOf: Readonly<Record<number, Protocol>> = {
  [ProtocolOf.GRPC]: "h2c",
  [ProtocolOf.HTTP]: "http",
  [ProtocolOf.HTTPS]: "https",
};

function assertFree(service: string, contracts: readonly string[], { services, packages }: Reserved): void {
  if (services.has(service)) throw failedPrecondition("RESERVED", `${service} is a service of the mesh, which registers itself`);
  const own = contracts.find((contract) => packages.has(contract.split(".")[0] ?? ""));
  if (own !== undefined) throw failedPrecondition("RESERVED", `${own} is a contract of the mesh's own services`);
}

function checkOf(check: Check | undefined, protocol: Protocol): OutsideCheck {
  const probe = check?.probe;
  if (probe?.case === "grpc") return { kind: "grpc", service: probe.value.service };
  if (probe?.case === "http") return { kind: "http", path: probe.value.path || "/", port: probe.value.port };
  return protocol === "h2c" ? { kind: "grpc", service: "" } : { kind: "http", path: "/", port: 0 };
}

function millisOf(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : Math.round(durationMs(duration));
}
