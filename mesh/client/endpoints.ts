/** The live endpoints of one service, and the choice among them. */
import type { ConnectError } from "@connectrpc/connect";
import { unavailable } from "../errors.ts";
import type { ConnectionOptions } from "../net/connection.ts";
import { type Balancer, type BalancerPolicy, createBalancer } from "../policy/balancer.ts";
import { type BreakerSettings, defaultBreaker, viewBreaker } from "../policy/breaker.ts";
import { Endpoint, type EndpointInfo, type Pick } from "./endpoint.ts";

/** Why nothing could be picked. */
export interface Lack {
  readonly kind: "empty" | "unreachable" | "breakers";
  /** Milliseconds since the epoch when it may be otherwise; undefined when only news can change it. */
  readonly until: number | undefined;
}

/** What a set of endpoints is made with. */
export interface EndpointsOptions {
  readonly name: string;
  readonly connection: ConnectionOptions;
  readonly clock: () => number;
  readonly random: () => number;
  /** There were no passing endpoints, and now there are. */
  readonly onRecovered?: (name: string) => void;
}

/** Share of passing instances below which the registry is not believed and all are used: Envoy's panic threshold. */
const panicShare = 0.5;

/** All instances of a service. What is known of an endpoint stays from update to update as long as its id stays. */
export class ServiceEndpoints {
  /** The service's name in the registry. */
  readonly name: string;
  readonly #options: EndpointsOptions;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #listeners = new Set<() => void>();
  #balancer: { policy: BalancerPolicy; balancer: Balancer } = { policy: "p2c", balancer: createBalancer("p2c") };
  #breaker: BreakerSettings = defaultBreaker;
  #known = false;

  constructor(options: EndpointsOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** Whether the registry has said anything about the service yet. */
  get known(): boolean {
    return this.#known;
  }

  /** Whether an instance is passing. */
  get passing(): boolean {
    for (const endpoint of this.#endpoints.values()) if (endpoint.passing) return true;
    return false;
  }

  /** Takes the policies of a service config: the balancer, and the breaker of endpoints still to come. */
  configure(policy: BalancerPolicy, breaker: BreakerSettings): void {
    if (policy !== this.#balancer.policy) this.#balancer = { policy, balancer: createBalancer(policy) };
    this.#breaker = breaker;
  }

  /** The present set. A connection to an instance that has gone closes when its calls have ended. */
  update(infos: readonly EndpointInfo[]): void {
    const wasPassing = this.#known ? this.passing : true;
    this.#known = true;
    const { clock, connection } = this.#options;
    const ids = new Set(infos.map(({ id }) => id));
    for (const [id, endpoint] of this.#endpoints) {
      if (ids.has(id)) continue;
      this.#endpoints.delete(id);
      endpoint.connection.close();
    }
    for (const info of infos) {
      const present = this.#endpoints.get(info.id);
      if (present?.address === info.address) present.update(info);
      else {
        present?.connection.close();
        this.#endpoints.set(info.id, new Endpoint(info, this.#breaker, clock(), connection, () => this.#tell()));
      }
    }
    if (!wasPassing && this.passing) this.#options.onRecovered?.(this.name);
    this.#tell();
  }

  /**
   * Chooses an endpoint: among the connected ones first, those not in `tried` before all others. Endpoints without a connection
   * get one meanwhile, so that calls wait for a connection only when there is none at all.
   *
   * An open breaker leaves its endpoint out for the sake of better ones. Where all are open there is none, and holding calls back
   * is up to the service's breaker alone: two breakers in a row would each add their open time to a recovery.
   */
  pick(now: number, tried: ReadonlySet<string>): Pick | Lack {
    const pool = this.#pool();
    const ready: Endpoint[] = [];
    const reachable: Endpoint[] = [];
    for (const endpoint of pool) {
      const { state } = endpoint.connection;
      if (state === "ready") ready.push(endpoint);
      else if (state === "idle" || state === "connecting") reachable.push(endpoint);
    }
    const chosen = this.#choose(ready, reachable, now, tried, false);
    for (const { connection } of reachable) connection.connect();
    const taken = chosen?.take(now, false) ?? this.#choose(ready, reachable, now, tried, true)?.take(now, true);
    return taken ?? this.#lack(pool, ready.length + reachable.length, now);
  }

  /** Hears of every change that may make a pick possible. Returns how to stop. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** All endpoints, for views and resets. */
  get all(): Iterable<Endpoint> {
    return this.#endpoints.values();
  }

  /** No more calls; running ones may finish. */
  close(): void {
    for (const endpoint of this.#endpoints.values()) endpoint.connection.close();
  }

  /** Ends every connection at once. */
  destroy(): void {
    for (const endpoint of this.#endpoints.values()) endpoint.connection.destroy();
  }

  #pool(): Endpoint[] {
    const all = [...this.#endpoints.values()];
    const passing = all.filter((endpoint) => endpoint.passing);
    return passing.length < all.length * panicShare ? all : passing;
  }

  #choose(
    ready: Endpoint[],
    reachable: Endpoint[],
    now: number,
    tried: ReadonlySet<string>,
    lastResort: boolean,
  ): Endpoint | undefined {
    const options = { now, random: this.#options.random, tried, lastResort };
    const connected = this.#balancer.balancer.pick(ready, options);
    if (connected !== undefined && !tried.has(connected.id)) return connected;
    const other = this.#balancer.balancer.pick(reachable, options);
    return other !== undefined && (connected === undefined || !tried.has(other.id)) ? other : connected;
  }

  #lack(pool: readonly Endpoint[], usable: number, now: number): Lack {
    if (pool.length === 0) return { kind: "empty", until: undefined };
    if (usable === 0) return { kind: "unreachable", until: Math.min(...pool.map(({ connection }) => connection.retryAt)) };
    const until = Math.min(...pool.map(({ breaker }) => viewBreaker(breaker, now).openUntil ?? Number.POSITIVE_INFINITY));
    return { kind: "breakers", until: until === Number.POSITIVE_INFINITY ? undefined : until };
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** UNAVAILABLE for a lack, with RetryInfo when it is known when to come back. `service` is undefined when nobody serves `contract`. */
export function lackError(
  service: string | undefined,
  contract: string,
  lack: Lack,
  waitMs: number | undefined,
  cause: ConnectError | undefined,
): ConnectError {
  if (service === undefined) return unavailable(`no running service serves ${contract}`);
  if (lack.kind === "empty") return unavailable(`no instance of ${service} is running`);
  if (lack.kind === "breakers") return unavailable(`every instance of ${service} was taken out of service by hand`, waitMs);
  return unavailable(`no instance of ${service} can be reached`, waitMs, cause);
}
