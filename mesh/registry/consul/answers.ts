/**
 * Consul's answers as values of the mesh. Each reader takes an answer whole or throws: half of a list of instances would be
 * worse than the last good one.
 */
import type { Instance, InstanceStatus } from "#mesh/registry/registry.ts";
import type { Answer } from "./connection.ts";

/** /v1/health/service/<name> as instances, in the order of their ids, so that equal states are equal texts. */
export function readInstances(answer: Answer): readonly Instance[] {
  const entries = list(json(answer, 200), "health entries");
  return entries.map(readInstance).sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}

/** /v1/catalog/services as names with their tags, both sorted. */
export function readCatalog(answer: Answer): ReadonlyMap<string, readonly string[]> {
  const services = record(json(answer, 200), "services");
  const names = Object.keys(services).sort();
  return new Map(names.map((name) => [name, texts(services[name], `tags of ${name}`).sort()]));
}

/** /v1/kv/<key> as its value; a 404 that carries an index is Consul's word that the key does not exist. */
export function readValue(answer: Answer): string | undefined {
  if (answer.status === 404 && answer.index !== undefined) return undefined;
  return entryValue(record(list(json(answer, 200), "entries")[0], "entry"));
}

/** /v1/kv/<prefix>?recurse as values by key, in the order of the keys; none is a 404 that carries an index. */
export function readValues(answer: Answer): ReadonlyMap<string, string> {
  if (answer.status === 404 && answer.index !== undefined) return new Map();
  const entries = list(json(answer, 200), "entries").map((entry) => record(entry, "entry"));
  const values = entries.map((entry) => [text(entry.Key, "Key"), entryValue(entry)] as const);
  return new Map(values.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The worst of an instance's checks, its node's among them; no check at all is passing. An unknown word is critical. */
export function worstStatus(statuses: readonly unknown[]): InstanceStatus {
  if (statuses.every((status) => status === "passing")) return "passing";
  return statuses.every((status) => status === "passing" || status === "warning") ? "warning" : "critical";
}

function entryValue(entry: Record<string, unknown>): string {
  const value = entry.Value ?? "";
  if (typeof value !== "string") throw new Error(`expected a base64 value, got ${typeof value}`);
  return Buffer.from(value, "base64").toString();
}

function readInstance(entry: unknown): Instance {
  const { Node, Service, Checks } = record(entry, "health entry");
  const service = record(Service, "Service");
  const status = worstStatus(list(Checks ?? [], "Checks").map((check) => record(check, "check").Status));
  const address = text(service.Address ?? "", "Service.Address");
  return {
    id: text(service.ID, "Service.ID"),
    service: text(service.Service, "Service.Service"),
    // An instance without an address of its own is at its node's.
    address: address === "" ? text(record(Node, "Node").Address, "Node.Address") : address,
    port: whole(service.Port, "Service.Port"),
    tags: texts(service.Tags ?? [], "Service.Tags"),
    meta: textMap(service.Meta ?? {}, "Service.Meta"),
    weight: readWeight(service.Weights, status),
    status,
  };
}

/**
 * Consul has a weight for passing and one for warning. A critical instance is only ever called when most are critical, and
 * then its share is that of its good days.
 */
function readWeight(weights: unknown, status: InstanceStatus): number {
  if (weights === undefined || weights === null) return 1;
  const { Passing, Warning } = record(weights, "Service.Weights");
  const weight = status === "warning" ? Warning : Passing;
  return typeof weight === "number" && weight > 0 ? weight : 1;
}

function json(answer: Answer, status: number): unknown {
  if (answer.status !== status) {
    throw new Error(`expected status ${status}, got ${answer.status} ${answer.body.slice(0, 200)}`.trimEnd());
  }
  return JSON.parse(answer.body);
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error(`expected ${what}, got ${kind(value)}`);
  return value as Record<string, unknown>;
}

function list(value: unknown, what: string): unknown[] {
  if (!Array.isArray(value)) throw new Error(`expected a list of ${what}, got ${kind(value)}`);
  return value;
}

function text(value: unknown, what: string): string {
  if (typeof value !== "string") throw new Error(`expected ${what} to be a text, got ${kind(value)}`);
  return value;
}

function texts(value: unknown, what: string): string[] {
  return list(value, what).map((item) => text(item, what));
}

function textMap(value: unknown, what: string): Record<string, string> {
  return Object.fromEntries(Object.entries(record(value, what)).map(([name, item]) => [name, text(item, `${what}.${name}`)]));
}

function whole(value: unknown, what: string): number {
  if (!Number.isInteger(value)) throw new Error(`expected ${what} to be a whole number, got ${kind(value)}`);
  return value as number;
}

function kind(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "a list" : value === undefined ? "nothing" : `a ${typeof value}`;
}
