/** For tests: a registry in memory. */
import type { Instance, InstanceStatus, Registry, Watch } from "../registry/registry.ts";

/** A registry whose content the test sets. */
export interface FakeRegistry extends Registry {
  /** Publishes the instances of `service`, and the catalog with echo.v1.Echo as their contract. */
  publish(service: string, instances: readonly (readonly [id: string, port: number, status?: InstanceStatus])[]): void;
  /** Services that are watched, in order. */
  readonly watched: string[];
  catalogWatches: number;
}

/** Knows nothing, and answers nothing, until publish(). */
export function fakeRegistry(contracts: Readonly<Record<string, readonly string[]>> = {}): FakeRegistry {
  const services = new Map<string, readonly Instance[]>();
  const listeners = new Map<string, Set<(instances: readonly Instance[]) => void>>();
  const catalogListeners = new Set<(services: ReadonlyMap<string, readonly string[]>) => void>();
  const watched: string[] = [];
  const catalog = () =>
    new Map([...services.keys()].map((name) => [name, ["grpc", ...(contracts[name] ?? ["echo.v1.Echo"])] as const]));
  const watch = (stop: () => void): Watch => ({ ageMs: () => 0, first: Promise.resolve(), [Symbol.dispose]: stop });
  const unused = () => Promise.reject(new Error("not part of this test"));
  return {
    watched,
    catalogWatches: 0,
    publish(service, instances) {
      services.set(
        service,
        instances.map(([id, port, status = "passing"]) => ({
          id,
          service,
          address: "127.0.0.1",
          port,
          tags: ["grpc"],
          meta: {},
          weight: 1,
          status,
        })),
      );
      for (const listener of catalogListeners) listener(catalog());
      for (const listener of listeners.get(service) ?? []) listener(services.get(service) ?? []);
    },
    watchService(service, listener) {
      watched.push(service);
      const set = listeners.get(service) ?? new Set();
      listeners.set(service, set.add(listener));
      const present = services.get(service);
      if (present !== undefined) queueMicrotask(() => listener(present));
      return watch(() => set.delete(listener));
    },
    watchCatalog(listener) {
      this.catalogWatches += 1;
      catalogListeners.add(listener);
      if (services.size > 0) queueMicrotask(() => listener(catalog()));
      return watch(() => catalogListeners.delete(listener));
    },
    watchKey: () => watch(() => {}),
    watchKeys: () => watch(() => {}),
    register: unused,
    deregister: unused,
    getKey: unused,
    setKey: unused,
    deleteKey: unused,
    status: () => ({ address: "fake", connected: true, ageMs: 0 }),
    async [Symbol.asyncDispose]() {},
  };
}
