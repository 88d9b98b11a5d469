/** Where a service can be called: by the registry, else by the variable <SERVICE>_SERVICE_URL of the environment. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Instance, Registry } from "./registry.ts";

/** Who knew a URL. */
export type UrlSource = "registry" | "environment";

/** Where a service is. */
export interface ServiceUrls {
  /** At least one, sorted. */
  readonly urls: readonly string[];
  readonly source: UrlSource;
}

/** What is asked. */
export interface ServiceUrlOptions {
  readonly registry: Registry;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds that the registry may take to answer before the environment is asked instead. Default 2,000. */
  readonly patienceMs?: number;
}

/** The URLs of the instances of `service` that are not critical; else its URL of the environment; undefined when neither is there. */
export async function serviceUrls(service: string, options: ServiceUrlOptions): Promise<ServiceUrls | undefined> {
  const { registry, env, patienceMs = 2000 } = options;
  return instanceUrls(await instancesOf(registry, service, patienceMs)) ?? environmentUrls(service, env);
}

/** Whether an instance of `service` passes its checks; false when the registry does not answer within `patienceMs`. */
export async function isHealthy(service: string, registry: Registry, patienceMs = 2000): Promise<boolean> {
  return (await instancesOf(registry, service, patienceMs)).some(({ status }) => status === "passing");
}

/** The URLs of those `instances` that are not critical; undefined when all are. */
export function instanceUrls(instances: readonly Instance[]): ServiceUrls | undefined {
  const urls = instances.filter(({ status }) => status !== "critical").map(instanceUrl);
  return urls.length === 0 ? undefined : { urls: urls.toSorted(), source: "registry" };
}

/** What <SERVICE>_SERVICE_URL says; undefined when it is unset or empty. */
export function environmentUrls(service: string, env: Readonly<Record<string, string | undefined>>): ServiceUrls | undefined {
  const url = env[serviceUrlVariable(service)];
  return url === undefined || url === "" ? undefined : { urls: [url], source: "environment" };
}

/** `AUTH_SERVICE_URL` for `auth`, `PRICE_LIST_SERVICE_URL` for `price-list`. */
export function serviceUrlVariable(service: string): string {
  return `${service.toUpperCase().replaceAll("-", "_")}_SERVICE_URL`;
}

/** `http://host:port`, or https for an instance whose meta says so; an IPv6 address stands in brackets. */
export function instanceUrl({ address, port, meta }: Pick<Instance, "address" | "port" | "meta">): string {
  const host = address.includes(":") ? `[${address}]` : address;
  return `${meta.protocol === "https" ? "https" : "http"}://${host}:${port}`;
}

/** The first state that the registry tells of `service`; none when it does not answer in time. */
async function instancesOf(registry: Registry, service: string, patienceMs: number): Promise<readonly Instance[]> {
  let instances: readonly Instance[] = [];
  using watch = registry.watchService(service, (seen) => {
    instances = seen;
  });
  const patience = new AbortController();
  const late = sleep(patienceMs, undefined, { signal: patience.signal }).catch(() => undefined);
  await Promise.race([watch.first, late]).catch(() => undefined);
  patience.abort();
  return instances;
}
