/** The registry over Consul's HTTP API: a real Consul (1.8 and later) or Heddle's embedded agent. */
import type { Logger } from "#mesh/telemetry/log.ts";
import { readCatalog, readInstances, readValue, readValues } from "./consul/answers.ts";
import { type Answer, Connection } from "./consul/connection.ts";
import { deregister, keepRegistered } from "./consul/registration.ts";
import { Snapshot } from "./consul/snapshot.ts";
import { Watcher } from "./consul/watcher.ts";
import type { RegistrationHandle, Registry, Watch } from "./registry.ts";

/** Where Consul is, and how to speak with it. */
export interface ConsulOptions {
  /** `http://127.0.0.1:8500`, or `https://...`; without a scheme it is http, as for Consul's own tools. */
  readonly address: string;
  /** The ACL token of every request. Default: none, Consul's anonymous token. */
  readonly token?: string;
  /** The datacenter to ask about. Default: the agent's own. */
  readonly datacenter?: string;
  /** The namespace (Consul Enterprise). Default: none sent. */
  readonly namespace?: string;
  /** TLS for https: the CA's certificate as PEM (CONSUL_CACERT; default the system's), verify (CONSUL_HTTP_SSL_VERIFY; default true). */
  readonly tls?: { readonly ca?: string | Buffer; readonly verify?: boolean };
  /** This process's own file for the last good answers, read at a start while Consul is away. Default: none. */
  readonly snapshotFile?: string;
  /**
   * Milliseconds that Consul may hold a watching query. Default 60,000: short enough that an age tells an outage, long enough
   * to cost nothing. A hung connection is noticed a sixteenth and a second later.
   */
  readonly waitMs?: number;
  readonly log: Logger;
}

/**
 * Opens the registry. Connects nowhere yet and never fails because Consul is away: watches and registrations go on asking.
 *
 * @throws ConnectError INVALID_ARGUMENT when the address is none.
 */
export function openConsul(options: ConsulOptions): Registry {
  const { log, waitMs = 60_000 } = options;
  const connection = new Connection(options);
  const snapshot = new Snapshot(options.snapshotFile, log, Date.now());
  const watchers = new Set<{ close(): void }>();
  const registrations = new Set<RegistrationHandle>();
  const closing = new AbortController();

  /** Watches of one kind, one watcher for each path. */
  function watches<T>(read: (answer: Answer) => T, isEmpty: (state: T) => boolean) {
    const byPath = new Map<string, Watcher<T>>();
    return (path: string, listener: (state: T) => void): Watch => {
      const known = byPath.get(path);
      if (known !== undefined) return known.watch(listener);
      const onIdle = () => {
        byPath.delete(path);
        watchers.delete(watcher);
      };
      const watcher = new Watcher<T>({ connection, path, read, isEmpty, snapshot, waitMs, log, onIdle });
      byPath.set(path, watcher);
      watchers.add(watcher);
      return watcher.watch(listener);
    };
  }
  const watchInstances = watches(readInstances, (instances) => instances.length === 0);
  const watchServices = watches(readCatalog, (services) => [...services.keys()].every((name) => name === "consul"));
  const watchValue = watches(readValue, () => false);
  const watchValues = watches(readValues, (values) => values.size === 0);

  /** @throws ConnectError: UNAVAILABLE when the registry is away, else what it refused. */
  async function call<T>(what: string, work: Parameters<typeof connection.call<T>>[0]): Promise<T> {
    try {
      return await connection.call(work);
    } catch (failure) {
      throw connection.errorFor(what, failure);
    }
  }

  return {
    async register(registration, signal) {
      const either = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]);
      const kept = await keepRegistered(connection, registration, log, either);
      const handle: RegistrationHandle = {
        id: kept.id,
        [Symbol.asyncDispose]: () => {
          registrations.delete(handle);
          return kept[Symbol.asyncDispose]();
        },
      };
      registrations.add(handle);
      return handle;
    },
    async deregister(id) {
      try {
        await deregister(connection, id);
      } catch (failure) {
        throw connection.errorFor(`deregister ${id}`, failure);
      }
    },
    watchService: (service, listener) => watchInstances(`/v1/health/service/${encodeURIComponent(service)}`, listener),
    watchCatalog: (listener) => watchServices("/v1/catalog/services", listener),
    watchKey: (key, listener) => watchValue(`/v1/kv/${keyPath(key)}`, listener),
    watchKeys: (prefix, listener) => watchValues(`/v1/kv/${keyPath(prefix)}?recurse=true`, listener),
    async getKey(key) {
      const entry = await call(`get ${key}`, (consul) => consul.kv.get(key));
      return entry === null || entry === undefined ? undefined : (entry.Value ?? "");
    },
    async setKey(key, value) {
      await call(`set ${key}`, (consul) => consul.kv.set(key, value));
    },
    async deleteKey(key) {
      await call(`delete ${key}`, (consul) => consul.kv.del(key));
    },
    status: () => connection.status(Date.now()),
    async [Symbol.asyncDispose]() {
      closing.abort();
      await Promise.all([...registrations].map((handle) => handle[Symbol.asyncDispose]()));
      for (const watcher of [...watchers]) watcher.close();
      await snapshot.flush();
      connection.close();
    },
  };
}

/** A key keeps its slashes; all else that a URL would read otherwise is escaped. */
function keyPath(key: string): string {
  return key.split("/").map(encodeURIComponent).join("/");
}
