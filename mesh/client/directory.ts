/** Which service serves a contract, and where it runs: from a static list, else from the registry. */
import { runWithoutContext } from "../context.ts";
import type { ConnectionOptions } from "../net/connection.ts";
import type { Instance, Registry, Watch } from "../registry/registry.ts";
import type { Logger } from "../telemetry/log.ts";
import type { EndpointInfo } from "./endpoint.ts";
import { ServiceEndpoints } from "./endpoints.ts";

/** What the directory is made with. */
export interface DirectoryOptions {
  readonly registry: Registry;
  /** host:port lists by contract or service name; these need no registry. */
  readonly upstreams: ReadonlyMap<string, readonly string[]>;
  readonly connection: ConnectionOptions;
  readonly clock: () => number;
  readonly random: () => number;
  readonly log: Logger;
  readonly onRecovered: (service: string) => void;
}

/** What is known about a contract: its service; or that the registry has not answered yet; or that nobody serves it. */
export type Lookup = { readonly service: ServiceEndpoints } | { readonly service: undefined; readonly pending: boolean };

/** Milliseconds in which calls wait for the registry's first answer instead of failing. */
const graceMs = 5000;

/** Watches the catalog and each service from the first call on; one watch each, shared by all calls of the process. */
export class Directory {
  readonly #options: DirectoryOptions;
  readonly #services = new Map<string, ServiceEndpoints>();
  /** By service; the catalog's under the empty name. */
  readonly #watches = new Map<string, Watch>();
  readonly #waitedSince = new Map<string, number>();
  readonly #listeners = new Set<() => void>();
  readonly #shared = new Set<string>();
  #catalogWatched = false;
  #closed = false;
  #serviceByContract: ReadonlyMap<string, string> | undefined;

  constructor(options: DirectoryOptions) {
    this.#options = options;
  }

  /** What is known now. Starts to watch what it needs to know more. */
  lookup(contract: string): Lookup {
    if (this.#closed) return { service: undefined, pending: false };
    const fixed = this.#upstreamOf(contract);
    if (fixed !== undefined) return { service: this.#staticService(fixed) };
    this.#watchCatalog();
    if (this.#serviceByContract === undefined) return this.#pending("");
    const name = this.#serviceByContract.get(contract);
    if (name === undefined) return { service: undefined, pending: false };
    const service = this.#services.get(name) ?? this.#watchService(name);
    return service.known || !this.#pending(name).pending ? { service } : { service: undefined, pending: true };
  }

  /** Hears of every change of the catalog, and of first answers. Returns how to stop. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Services that were called so far. */
  get services(): Iterable<ServiceEndpoints> {
    return this.#services.values();
  }

  /** Milliseconds since the registry confirmed what is known of each watched service. */
  *ages(): Iterable<readonly [service: string, ageMs: number]> {
    for (const [service, watch] of this.#watches) if (service !== "") yield [service, watch.ageMs()];
  }

  /** Stops the watches; connections close when their calls have ended. Nothing is found any more. */
  close(): void {
    this.#closed = true;
    for (const watch of this.#watches.values()) watch[Symbol.dispose]();
    for (const service of this.#services.values()) service.close();
  }

  /** Ends every connection at once. */
  destroy(): void {
    for (const service of this.#services.values()) service.destroy();
  }

  /** By contract, else by the service's name, which is the first segment of its contracts' names. */
  #upstreamOf(contract: string): string | undefined {
    const { upstreams } = this.#options;
    if (upstreams.has(contract)) return contract;
    const name = this.#serviceByContract?.get(contract) ?? contract.slice(0, contract.indexOf("."));
    return upstreams.has(name) ? name : undefined;
  }

  #staticService(name: string): ServiceEndpoints {
    const present = this.#services.get(name);
    if (present !== undefined) return present;
    const service = this.#newService(name);
    const addresses = this.#options.upstreams.get(name) ?? [];
    service.update(addresses.map((address): EndpointInfo => ({ id: address, address, weight: 1, status: "passing" })));
    return service;
  }

  #watchService(name: string): ServiceEndpoints {
    const service = this.#newService(name);
    const onChange = (instances: readonly Instance[]) => {
      service.update(instances.map(endpointOf));
      this.#tell();
    };
    // Watches outlive the call that starts them.
    const watch = runWithoutContext(() => this.#options.registry.watchService(name, onChange));
    this.#watches.set(name, watch);
    return service;
  }

  #newService(name: string): ServiceEndpoints {
    const { connection, clock, random, onRecovered } = this.#options;
    const service = new ServiceEndpoints({ name, connection, clock, random, onRecovered });
    this.#services.set(name, service);
    return service;
  }

  #watchCatalog(): void {
    if (this.#catalogWatched) return;
    this.#catalogWatched = true;
    const onChange = (services: ReadonlyMap<string, readonly string[]>) => {
      this.#serviceByContract = this.#index(services);
      this.#tell();
    };
    const watch = runWithoutContext(() => this.#options.registry.watchCatalog(onChange));
    this.#watches.set("", watch);
  }

  /**
   * By name, so that every process chooses the same service when two serve a contract. A contract that nobody serves any more
   * stays with its last service: whether that one has instances is for its own watch to say.
   */
  #index(services: ReadonlyMap<string, readonly string[]>): ReadonlyMap<string, string> {
    const index = new Map<string, string>();
    for (const name of [...services.keys()].sort()) {
      for (const tag of services.get(name) ?? []) {
        const first = index.get(tag);
        if (first === undefined) index.set(tag, name);
        else if (tag.includes(".")) this.#warnShared(tag, first, name);
      }
    }
    return new Map([...(this.#serviceByContract ?? []), ...index]);
  }

  #warnShared(contract: string, first: string, other: string): void {
    if (this.#shared.has(contract)) return;
    this.#shared.add(contract);
    this.#options.log.warn({ contract, used: first, ignored: other }, "two services in the registry serve the same contract");
  }

  #pending(name: string): { service: undefined; pending: boolean } {
    const now = this.#options.clock();
    const since = this.#waitedSince.get(name) ?? now;
    this.#waitedSince.set(name, since);
    return { service: undefined, pending: now - since < graceMs };
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function endpointOf({ id, address, port, weight, status }: Instance): EndpointInfo {
  return { id, address: address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`, weight, status };
}
