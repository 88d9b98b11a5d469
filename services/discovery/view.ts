/** The registry's services as this process sees them: kept by watches, told to whoever follows. */
import { setTimeout as sleep } from "node:timers/promises";
import { resourceExhausted, unavailable } from "#mesh/errors.ts";
import type { Instance, Registry, Watch } from "#mesh/registry/registry.ts";

/** A service and its instances, by id. */
export interface ServiceState {
  readonly name: string;
  readonly instances: readonly Instance[];
}

/** What a follower is told. */
export interface Change {
  /** New or changed, each whole; all of them when `complete`. */
  readonly services: readonly ServiceState[];
  /** Names that the registry knows no more. */
  readonly removed: readonly string[];
  readonly complete: boolean;
}

/** How long a call waits for the registry's first answers, in milliseconds. */
const patienceMs = 2000;
/** Open watches at once, at most. */
const maxFollowers = 2000;

interface Entry {
  readonly watch: Watch;
  /** Undefined until the registry has told the instances. */
  state: ServiceState | undefined;
}

interface Follower {
  /** "" for all services. */
  readonly service: string;
  /** The services that changed since it was told: one that reads slowly costs their names, however often they change. */
  readonly pending: Set<string>;
  ring(): void;
}

/** The view. It watches the registry until it is disposed. */
export class ServiceView implements Disposable {
  readonly #registry: Registry;
  readonly #entries = new Map<string, Entry>();
  readonly #followers = new Set<Follower>();
  readonly #catalog: Watch;
  readonly #complete = Promise.withResolvers<void>();
  #known = false;
  #closed = false;

  constructor(registry: Registry) {
    this.#registry = registry;
    this.#catalog = registry.watchCatalog((services) => this.#takeCatalog([...services.keys()]));
  }

  /** Settles when all services that the registry first named are known. @throws UNAVAILABLE when that takes too long. */
  async ready(): Promise<void> {
    if (this.#known) return;
    const patience = new AbortController();
    const late = sleep(patienceMs, undefined, { signal: patience.signal }).catch(() => undefined);
    await Promise.race([this.#complete.promise, late]);
    patience.abort();
    if (!this.#known) throw unavailable("the registry has not answered since the start", 1000);
  }

  /** Every service, by name. */
  services(): readonly ServiceState[] {
    const states = [...this.#entries.values()].flatMap(({ state }) => (state === undefined ? [] : [state]));
    return states.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  service(name: string): ServiceState | undefined {
    return this.#entries.get(name)?.state;
  }

  /** Whether the registry's last answer was good, and for how many milliseconds the list of services has not been confirmed. */
  freshness(): { readonly connected: boolean; readonly ageMs: number } {
    return { connected: this.#registry.status().connected, ageMs: this.#catalog.ageMs() };
  }

  /**
   * The services, or only `service`, as they are now, then each change, until `signal` aborts or the view is disposed.
   *
   * @throws UNAVAILABLE as `ready`; RESOURCE_EXHAUSTED when too many follow.
   */
  async *follow(service: string, signal: AbortSignal): AsyncGenerator<Change> {
    await this.ready();
    if (this.#followers.size >= maxFollowers) {
      throw resourceExhausted(`${maxFollowers} watches are open: close one, or watch one service in each`, 10_000);
    }
    let bell = Promise.withResolvers<void>();
    const follower: Follower = { service, pending: new Set(), ring: () => bell.resolve() };
    signal.addEventListener("abort", follower.ring, { once: true });
    this.#followers.add(follower);
    try {
      const all = this.services();
      yield { services: service === "" ? all : all.filter(({ name }) => name === service), removed: [], complete: true };
      while (!signal.aborted && !this.#closed) {
        // Hung up before the look, so that a change during it rings.
        bell = Promise.withResolvers();
        const names = [...follower.pending].sort();
        follower.pending.clear();
        const states = names.map((name) => this.service(name));
        const removed = names.filter((_, at) => states[at] === undefined);
        if (names.length > 0) yield { services: states.filter((state) => state !== undefined), removed, complete: false };
        else await bell.promise;
      }
    } finally {
      signal.removeEventListener("abort", follower.ring);
      this.#followers.delete(follower);
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#catalog[Symbol.dispose]();
    for (const { watch } of this.#entries.values()) watch[Symbol.dispose]();
    for (const { ring } of this.#followers) ring();
  }

  #takeCatalog(listed: readonly string[]): void {
    // Consul lists itself; it is no service of the mesh.
    const names = listed.filter((name) => name !== "consul");
    for (const name of names) if (!this.#entries.has(name)) this.#add(name);
    for (const [name, { watch, state }] of this.#entries) {
      if (names.includes(name)) continue;
      watch[Symbol.dispose]();
      this.#entries.delete(name);
      if (state !== undefined) this.#tell(name);
    }
    if (this.#known) return;
    // A service that has gone before its first state was told is not waited for.
    const firsts = [...this.#entries.values()].map(({ watch }) => watch.first.catch(() => undefined));
    void Promise.all(firsts).then(() => {
      this.#known = true;
      this.#complete.resolve();
    });
  }

  #add(name: string): void {
    const watch = this.#registry.watchService(name, (instances) => {
      const entry = this.#entries.get(name);
      if (entry === undefined || entry.state?.instances === instances) return;
      entry.state = { name, instances };
      this.#tell(name);
    });
    this.#entries.set(name, { watch, state: undefined });
  }

  #tell(name: string): void {
    for (const follower of this.#followers) {
      if (follower.service !== "" && follower.service !== name) continue;
      follower.pending.add(name);
      follower.ring();
    }
  }
}
