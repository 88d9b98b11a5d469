/** The definitions of services and checks as Consul's agent takes them, read strictly. */
import { Fields } from "./fields.ts";
import type { CheckPlan, CheckRecord, CheckStatus, Probe, ServiceRecord } from "./model.ts";
import { refuse } from "./refusal.ts";
import type { Unindexed } from "./state.ts";

/** A service with its checks, as one registration brings them. */
export interface ServiceDefinition {
  readonly service: Unindexed<ServiceRecord>;
  readonly checks: readonly Unindexed<CheckRecord>[];
}

const serviceFields = [
  ...["ID", "Name", "Tags", "Address", "TaggedAddresses", "Meta", "Port", "Weights", "EnableTagOverride", "Check", "Checks"],
  ...["Kind", "Proxy", "Connect", "Namespace", "Partition", "SocketPath", "Locality", "Ports"],
];
const unsupportedServiceFields = ["Kind", "Proxy", "Connect", "Namespace", "Partition", "SocketPath", "Ports"];

const checkFields = [
  ...["ID", "CheckID", "Name", "Notes", "ServiceID", "Status", "TTL", "Interval", "Timeout", "DeregisterCriticalServiceAfter"],
  ...["HTTP", "Header", "Method", "Body", "TCP", "GRPC", "GRPCUseTLS", "TLSSkipVerify", "TLSServerName", "OutputMaxSize"],
  ...["SuccessBeforePassing", "FailuresBeforeCritical", "FailuresBeforeWarning", "DisableRedirects"],
  ...["Args", "ScriptArgs", "Script", "Shell", "DockerContainerID", "AliasNode", "AliasService", "UDP", "H2PING", "H2PingUseTLS"],
  ...["OSService", "TCPUseTLS", "Namespace", "Partition"],
];
const unsupportedCheckFields = [
  ...["Args", "ScriptArgs", "Script", "DockerContainerID", "AliasNode", "AliasService", "UDP", "H2PING", "OSService"],
  ...["TCPUseTLS", "TLSServerName", "Namespace", "Partition"],
];

/** Go's time.Second: an interval below it is taken as this, as Consul does. In milliseconds. */
const minIntervalMs = 1000;

/** The body of PUT /v1/agent/service/register. @throws Refusal with Consul's status and words. */
export function readService(body: unknown): ServiceDefinition {
  const fields = new Fields(body, serviceFields);
  refuseUnsupported(fields, unsupportedServiceFields, "");
  const name = fields.text("Name");
  if (name === "") refuse(400, "Missing service name");
  const id = fields.text("ID") || name;
  const weights = fields.object("Weights", ["Passing", "Warning"]);
  const checks = [fields.raw("Check"), ...fields.list("Checks")].filter((check) => check !== undefined && check !== null);
  const service = {
    id,
    name,
    tags: fields.texts("Tags"),
    address: fields.text("Address"),
    port: fields.whole("Port", 65_535),
    meta: fields.textMap("Meta"),
    taggedAddresses: readTaggedAddresses(fields),
    weights: { Passing: weights?.whole("Passing", 65_535, 1) ?? 1, Warning: weights?.whole("Warning", 65_535, 1) ?? 1 },
    enableTagOverride: fields.flag("EnableTagOverride"),
  };
  return {
    service,
    checks: checks.map((check, at) => {
      const fallbackId = `service:${id}${checks.length > 1 ? `:${at + 1}` : ""}`;
      return {
        ...readCheckFields(new Fields(check, checkFields, "Check"), fallbackId, `Service '${name}' check`),
        serviceId: id,
      };
    }),
  };
}

/** The body of PUT /v1/agent/check/register. @throws Refusal with Consul's status and words. */
export function readCheck(body: unknown): Unindexed<CheckRecord> {
  const fields = new Fields(body, checkFields);
  const name = fields.text("Name");
  if (name === "") refuse(400, "Missing check name");
  return readCheckFields(fields, name, name);
}

/** A check's status by name. @throws Refusal 400. */
export function readStatus(text: string, message: string): CheckStatus {
  return text === "passing" || text === "warning" || text === "critical" ? text : refuse(400, message);
}

function readCheckFields(fields: Fields, fallbackId: string, fallbackName: string): Unindexed<CheckRecord> {
  refuseUnsupported(fields, unsupportedCheckFields, "check ");
  const status = fields.text("Status") || "critical";
  const plan = readPlan(fields);
  return {
    id: fields.text("CheckID") || fields.text("ID") || fallbackId,
    name: fields.text("Name") || fallbackName,
    serviceId: fields.text("ServiceID"),
    notes: fields.text("Notes"),
    status: readStatus(status, "Status for checks must 'passing', 'warning', 'critical'"),
    output: "",
    type: plan.probe.kind,
    plan,
  };
}

function readPlan(fields: Fields): CheckPlan {
  const probe = readProbe(fields);
  const intervalMs = fields.duration("Interval");
  if (probe.kind === "ttl" && probe.ttlMs <= 0) refuse(400, "Invalid check: TTL must be > 0 for TTL checks");
  if (probe.kind !== "ttl" && intervalMs <= 0) refuse(400, "Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks");
  const failuresBeforeCritical = fields.whole("FailuresBeforeCritical", 1000);
  return {
    probe,
    intervalMs: Math.max(minIntervalMs, intervalMs),
    timeoutMs: fields.duration("Timeout") || 10_000,
    successBeforePassing: fields.whole("SuccessBeforePassing", 1000),
    failuresBeforeWarning: fields.whole("FailuresBeforeWarning", 1000, failuresBeforeCritical),
    failuresBeforeCritical,
    deregisterAfterMs: fields.duration("DeregisterCriticalServiceAfter"),
  };
}

function readProbe(fields: Fields): Probe {
  const kinds = ["GRPC", "HTTP", "TCP"].filter((name) => fields.has(name));
  if (kinds.length > 1) refuse(400, `Invalid check: expected one of ${kinds.join(", ")}, got all of them`);
  const verify = !fields.flag("TLSSkipVerify");
  if (fields.has("GRPC")) return { kind: "grpc", target: fields.text("GRPC"), tls: fields.flag("GRPCUseTLS"), verify };
  if (fields.has("TCP")) return { kind: "tcp", target: fields.text("TCP") };
  if (!fields.has("HTTP")) return { kind: "ttl", ttlMs: fields.duration("TTL") };
  const url = fields.text("HTTP");
  if (!URL.canParse(url) || !/^https?:/.test(url)) refuse(400, `Invalid check: HTTP: expected an http or https URL, got ${url}`);
  return {
    kind: "http",
    url,
    method: fields.text("Method") || "GET",
    headers: readHeaders(fields),
    body: fields.text("Body"),
    verify,
  };
}

function readHeaders(fields: Fields): Record<string, readonly string[]> {
  const value = fields.raw("Header") ?? {};
  const isTexts = (item: unknown) => Array.isArray(item) && item.every((text) => typeof text === "string");
  if (typeof value === "object" && Object.values(value).every(isTexts)) return value as Record<string, readonly string[]>;
  return refuse(400, "Request decode failed: Header: expected lists of texts by name");
}

/** Consul names an address of the service twice more: for the datacenter and for other datacenters. */
function readTaggedAddresses(fields: Fields): ServiceRecord["taggedAddresses"] {
  const given = fields.raw("TaggedAddresses");
  if (given !== undefined) {
    const entries = Object.entries(given as object).map(([tag, value]) => {
      const address = new Fields(value, ["Address", "Port"], `TaggedAddresses.${tag}`);
      return [tag, { Address: address.text("Address"), Port: address.whole("Port", 65_535) }] as const;
    });
    return Object.fromEntries(entries);
  }
  const address = fields.text("Address");
  if (address === "") return {};
  const family = address.includes(":") ? "ipv6" : "ipv4";
  const tagged = { Address: address, Port: fields.whole("Port", 65_535) };
  return /^[\d.]+$/.test(address) || family === "ipv6" ? { [`lan_${family}`]: tagged, [`wan_${family}`]: tagged } : {};
}

function refuseUnsupported(fields: Fields, names: readonly string[], what: string): void {
  const name = names.find((field) => fields.has(field));
  if (name !== undefined) refuse(400, `${what}${name}: Heddle's embedded agent does not have this; run a real Consul for it`);
}
