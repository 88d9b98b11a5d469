/** The registry as the mesh uses it: Consul, real or embedded, behind one interface. */

/** How well an instance is, in Consul's words; the worst of its checks. */
export type InstanceStatus = "passing" | "warning" | "critical";

/** One running process of a service. */
export interface Instance {
  /** Unique per process, for example `auth-7001-4f1c`. */
  readonly id: string;
  /** The service's name, for example `auth`. */
  readonly service: string;
  readonly address: string;
  readonly port: number;
  /** `grpc` and the full names of the contracts that it serves, for example `auth.v1.AuthService`. */
  readonly tags: readonly string[];
  /** version, contracts (comma-separated), admin (port), protocol, zone. */
  readonly meta: Readonly<Record<string, string>>;
  /** Consul's Weights for the instance's present status; 1 when unset. */
  readonly weight: number;
  readonly status: InstanceStatus;
}

/** How the agent finds out whether an instance is well. */
export type InstanceCheck =
  /** grpc.health.v1.Health/Check at the instance's address:port; `service` is "" for the whole process. */
  | { readonly kind: "grpc"; readonly service: string }
  /** `GET url`: 2xx passes, 429 is a warning, all else is critical. */
  | { readonly kind: "http"; readonly url: string };

/** What is registered of an instance: mostly by a process of itself, and then the defaults are meant for it. */
export interface Registration {
  readonly id: string;
  readonly service: string;
  readonly address: string;
  readonly port: number;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
  /** Milliseconds between checks. */
  readonly checkIntervalMs: number;
  /** The agent forgets the instance after it was critical for so many milliseconds; Consul's least is 60,000. 0: never. */
  readonly deregisterAfterMs: number;
  /** Default: gRPC, the whole process. */
  readonly check?: InstanceCheck;
  /** Milliseconds that an answer to the check may take. Default: the interval, at least 3,000. */
  readonly checkTimeoutMs?: number;
  /** The status until the first check. Default passing, since a process registers when it already serves. */
  readonly initialStatus?: InstanceStatus;
  /**
   * True: the instance is another process, so it stays registered when the handle is disposed, until `deregister`; and it takes no
   * other instance for its own predecessor. Default false.
   */
  readonly outlives?: boolean;
}

/**
 * Keeps an instance registered: again after the agent forgot it, whenever the agent comes back. Disposing deregisters, unless the
 * registration outlives its handle.
 */
export interface RegistrationHandle extends AsyncDisposable {
  readonly id: string;
}

/** A running watch. Disposing stops it and its request. */
export interface Watch extends Disposable {
  /** Milliseconds since the registry last confirmed the state; Infinity before the first answer. */
  ageMs(): number;
  /** Settles when the first state, from the registry or from the snapshot of an earlier run, was published. */
  readonly first: Promise<void>;
}

/** A live value of the key-value store; undefined when the key does not exist or was deleted. */
export type KvListener = (value: string | undefined) => void;

/**
 * Finds and keeps instances. Watches share one blocking query per service and process, keep the last good state through
 * an outage, and start from a snapshot file when the registry is away at boot.
 */
export interface Registry extends AsyncDisposable {
  /** Registers and keeps registered. Settles once the registry took it; rejects when `signal` aborts first. */
  register(registration: Registration, signal?: AbortSignal): Promise<RegistrationHandle>;
  /** Removes an instance from the agent; nothing when the agent does not have it. Dispose its handle first, or it comes back. */
  deregister(id: string): Promise<void>;
  /** All instances of `service` with their status, at every change, from the first answer on; an empty list is published. */
  watchService(service: string, listener: (instances: readonly Instance[]) => void): Watch;
  /** Every service's name and the union of its instances' tags, at every change. */
  watchCatalog(listener: (services: ReadonlyMap<string, readonly string[]>) => void): Watch;
  /** One key, at every change; a deletion publishes undefined. */
  watchKey(key: string, listener: KvListener): Watch;
  /** Every key that begins with `prefix`, with its value, at every change. */
  watchKeys(prefix: string, listener: (entries: ReadonlyMap<string, string>) => void): Watch;
  getKey(key: string): Promise<string | undefined>;
  setKey(key: string, value: string): Promise<void>;
  deleteKey(key: string): Promise<void>;
  /** The registry's address, for messages, and whether its last answer was good. */
  status(): { readonly address: string; readonly connected: boolean; readonly ageMs: number };
}
