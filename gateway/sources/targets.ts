/** Whom to ask for contracts: services of the registry, or servers at fixed addresses. */
import type { Instance, Registry, Watch } from "#mesh/registry/registry.ts";

/** A server that may be asked. */
export interface TargetInstance {
  /** Unique among the instances of its target, and another for another process. */
  readonly id: string;
  /** host:port. */
  readonly address: string;
  /** Empty when it is not known. */
  readonly version: string;
}

/** A service whose instances all serve the same contracts, but for the time of a rollout. */
export interface Target {
  readonly name: string;
  /** The full names of its contracts; undefined: those that it lists. */
  readonly contracts: readonly string[] | undefined;
  /** Those that are well. */
  readonly instances: readonly TargetInstance[];
}

/** Tells of each target, and again when it changes. Disposing ends it. */
export type WatchTargets = (listener: (target: Target) => void) => Disposable;

/**
 * Every service of the registry that speaks gRPC, with its passing instances. Contracts are what the instances' meta
 * `contracts` says, else their tags that look like the full name of a service.
 */
export function registryTargets(registry: Registry): WatchTargets {
  return (listener) => {
    const watches = new Map<string, Watch>();
    const catalog = registry.watchCatalog((services) => {
      for (const [name, tags] of services) {
        if (watches.has(name) || !tags.includes("grpc")) continue;
        watches.set(
          name,
          registry.watchService(name, (instances) => listener(targetOf(name, instances))),
        );
      }
    });
    return {
      [Symbol.dispose]() {
        catalog[Symbol.dispose]();
        for (const watch of watches.values()) watch[Symbol.dispose]();
      },
    };
  };
}

/**
 * Fixed servers: the addresses of each contract, and the addresses that are asked what they serve. Nobody tells when they
 * change, so they are told again every `everyMs` milliseconds, as if they had.
 */
export function fixedTargets(
  upstreams: ReadonlyMap<string, readonly string[]>,
  addresses: readonly string[],
  everyMs = 30_000,
): WatchTargets {
  // A copy: what an address turns out to serve may become an upstream meanwhile.
  const contracts = [...upstreams];
  return (listener) => {
    let round = 0;
    const tell = () => {
      round++;
      const instance = (address: string) => ({ id: `${address} ${round}`, address, version: "" });
      for (const [name, at] of contracts) listener({ name, contracts: [name], instances: at.map(instance) });
      for (const address of addresses) listener({ name: address, contracts: undefined, instances: [instance(address)] });
    };
    const timer = setInterval(tell, everyMs).unref();
    tell();
    return { [Symbol.dispose]: () => clearInterval(timer) };
  };
}

function targetOf(name: string, instances: readonly Instance[]): Target {
  const passing = instances.filter(({ status }) => status !== "critical").toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const contracts = new Set(passing.flatMap(contractsOf));
  return {
    name,
    contracts: contracts.size === 0 ? undefined : [...contracts].sort(),
    instances: passing.map(({ id, address, port, meta }) => ({
      id,
      address: `${address.includes(":") ? `[${address}]` : address}:${port}`,
      version: meta.version ?? "",
    })),
  };
}

function contractsOf({ meta, tags }: Instance): string[] {
  const told = (meta.contracts ?? "").split(",").filter((contract) => contract !== "");
  return told.length > 0 ? told : tags.filter((tag) => /^([a-z_]\w*\.)+[A-Z]\w*$/.test(tag));
}
