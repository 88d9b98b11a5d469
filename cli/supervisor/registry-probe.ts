import { setTimeout as sleep } from "node:timers/promises";
import { Failure } from "../failure.ts";
import { probe } from "./probe.ts";

/** CONSUL_HTTP_ADDR as a URL: Consul's own tools also take it without a scheme. @throws Failure when it is none. */
export function consulUrl(address: string): URL {
  const url = URL.parse(address.includes("://") ? address : `http://${address}`);
  if (url !== null && /^https?:$/.test(url.protocol)) return url;
  throw new Failure(`CONSUL_HTTP_ADDR: expected host:port or a URL with http: or https:, got ${JSON.stringify(address)}`, 2);
}

/** Whether a Consul agent answers at the address. Another program that happens to listen there does not answer as one. */
export async function answersAsConsul(address: URL): Promise<boolean> {
  // An agent behind TLS is not asked: whoever names one by https:// means it.
  if (address.protocol === "https:") return true;
  const result = await probe({ ...hostAndPort(address), path: "/v1/status/leader" }, 1000);
  return result.answered && result.status === 200 && /^"[^"]*"\s*$/.test(result.body);
}

/** Whether the agent serves Consul's web UI. */
export async function servesUi(address: URL): Promise<boolean> {
  if (address.protocol === "https:") return true;
  const result = await probe({ ...hostAndPort(address), path: "/ui/" }, 1000);
  return result.answered && result.status < 400;
}

/**
 * Waits until the registry gives the instance at `port` of this machine to those who look for `service`; after `patienceMs`
 * milliseconds it is taken to be away, and the wait ends all the same.
 */
export async function untilDiscovered(
  registry: { readonly address: URL; readonly token: string },
  service: string,
  port: number,
  patienceMs: number,
): Promise<boolean> {
  if (registry.address.protocol === "https:") return false;
  const target = { ...hostAndPort(registry.address), path: `/v1/health/service/${encodeURIComponent(service)}?passing=1` };
  const headers = registry.token === "" ? {} : { "x-consul-token": registry.token };
  const until = Date.now() + patienceMs;
  while (Date.now() < until) {
    const result = await probe(target, 1000, headers);
    if (result.answered && result.status === 200 && portsIn(result.body).includes(port)) return true;
    await sleep(100);
  }
  return false;
}

function portsIn(body: string): readonly number[] {
  try {
    const entries = JSON.parse(body) as readonly { readonly Service?: { readonly Port?: number } }[];
    return entries.flatMap((entry) => entry.Service?.Port ?? []);
  } catch {
    return [];
  }
}

/** Host and port of an http:// address. */
export function hostAndPort(address: URL): { host: string; port: number } {
  const host = address.hostname.replace(/^\[|\]$/g, "");
  return { host, port: address.port === "" ? 80 : Number(address.port) };
}
