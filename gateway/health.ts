/** What the gateway knows of the mesh: every service of the registry with its instances, and the gateway's circuit breakers. */
import type { BreakerView } from "#mesh/client/client.ts";
import type { Instance, Registry, Watch } from "#mesh/registry/registry.ts";

/** How well the whole is. */
export type Status = "UP" | "DEGRADED" | "DOWN";

/** The answer of `GET /health`. */
export interface HealthReport {
  readonly status: Status;
  readonly services: Readonly<Record<string, { readonly status: Status; readonly instances: readonly object[] }>>;
  /** Contracts that the gateway has routes for and that no healthy instance serves. */
  readonly missing_contracts: readonly string[];
  readonly circuit_breakers: readonly object[];
  /** Undefined when the gateway runs without a registry. */
  readonly registry: object | undefined;
}

/** Keeps an eye on the mesh. */
export interface MeshView extends Disposable {
  /** `draining`: the gateway ends, so it is DOWN whatever else is. */
  health(draining: boolean): HealthReport;
  /** Every service with its instances, as `GET /registry` answers. */
  services(): readonly { readonly name: string; readonly tags: readonly string[]; readonly instances: readonly Instance[] }[];
}

/** What the view is taken of. */
export interface MeshViewOptions {
  readonly registry: Registry | undefined;
  /** The contracts that the gateway has routes for at the moment. */
  readonly contracts: () => readonly string[];
  readonly breakers: () => readonly BreakerView[];
}

/** Starts watching. Nothing is waited for: what is not known yet is missing from the view. */
export function watchMesh({ registry, contracts, breakers }: MeshViewOptions): MeshView {
  const known = new Map<string, { tags: readonly string[]; instances: readonly Instance[]; readonly watch: Watch }>();
  const catalog = registry?.watchCatalog((services) => {
    for (const [name, tags] of services) {
      const entry = known.get(name);
      if (entry !== undefined) entry.tags = tags;
      // Consul registers itself; it is no service of the mesh.
      else if (name !== "consul") known.set(name, { tags, instances: [], watch: watchInstances(registry, name) });
    }
    // A service that has left the catalog stays in the view without instances: that it is gone is what health must show.
  });

  function watchInstances(from: Registry, name: string): Watch {
    return from.watchService(name, (instances) => {
      const entry = known.get(name);
      if (entry !== undefined) entry.instances = instances;
    });
  }

  return {
    health(draining) {
      const services = [...known]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, { instances }]) => {
          return [name, { status: statusOf(instances), instances: instances.map(describe) }] as const;
        });
      const served = new Set(
        [...known.values()].flatMap(({ instances }) => instances.filter(isPassing).flatMap(({ tags }) => tags)),
      );
      const missing = registry === undefined ? [] : contracts().filter((contract) => !served.has(contract));
      const state = registry?.status();
      const well = missing.length === 0 && state?.connected !== false && services.every(([, { status }]) => status === "UP");
      return {
        status: draining ? "DOWN" : well ? "UP" : "DEGRADED",
        services: Object.fromEntries(services),
        missing_contracts: missing,
        circuit_breakers: breakers().map(describeBreaker),
        registry:
          state === undefined ? undefined : { address: state.address, connected: state.connected, age_ms: finite(state.ageMs) },
      };
    },
    services() {
      return [...known]
        .map(([name, { tags, instances }]) => ({ name, tags, instances }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    [Symbol.dispose]() {
      catalog?.[Symbol.dispose]();
      for (const { watch } of known.values()) watch[Symbol.dispose]();
    },
  };
}

function statusOf(instances: readonly Instance[]): Status {
  if (!instances.some(isPassing)) return "DOWN";
  return instances.every(isPassing) ? "UP" : "DEGRADED";
}

function isPassing({ status }: Instance): boolean {
  return status !== "critical";
}

function describe({ id, address, port, status, meta }: Instance): object {
  return { id, address: `${address}:${port}`, status, version: meta.version };
}

function describeBreaker({ service, endpoint, state, failureRate, calls, openUntil }: BreakerView): object {
  const until = openUntil === undefined ? undefined : new Date(openUntil).toISOString();
  return { service, endpoint, state, failure_rate: finite(failureRate), calls, open_until: until };
}

/** JSON has no Infinity: what was never heard of has no age. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
