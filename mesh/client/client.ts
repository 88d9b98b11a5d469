/** The mesh as a client sees it: typed clients of any contract, found by the registry and guarded by its service config. */
import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import type { Meter, Tracer } from "@opentelemetry/api";
import { canceled } from "../errors.ts";
import type { CallerToken } from "../identity/caller.ts";
import type { ConnectionOptions } from "../net/connection.ts";
import type { Registry } from "../registry/registry.ts";
import type { Logger } from "../telemetry/log.ts";
import { Directory } from "./directory.ts";
import { observeClient } from "./gauges.ts";
import { type BreakerView, Guards } from "./guards.ts";
import { Instruments } from "./instruments.ts";
import type { ServiceConfigSource } from "./service-configs.ts";
import { meshTransport } from "./transport.ts";

export type { BreakerView } from "./guards.ts";

/** What a mesh client is made with. */
export interface MeshClientOptions {
  /** The calling service's own name. */
  readonly service: string;
  readonly registry: Registry;
  readonly serviceConfigs: ServiceConfigSource;
  /** Proves the calling service to those it calls. */
  readonly caller: CallerToken;
  readonly log: Logger;
  readonly meter: Meter;
  readonly tracer: Tracer;
  /** Fixed host:port lists by contract or service name; the registry is not asked for these. */
  readonly upstreams?: ReadonlyMap<string, readonly string[]>;
  /** Milliseconds since the epoch. Default Date.now. */
  readonly clock?: () => number;
  /** Uniform in [0, 1), for picks and jitter. Default Math.random. */
  readonly random?: () => number;
  /** How to connect; see ConnectionOptions for the defaults. The seam for TLS. */
  readonly connection?: ConnectionOptions;
}

/** All outgoing calls of a process. Disposing ends its watches and closes its connections, running calls with UNAVAILABLE. */
export interface MeshClient extends AsyncDisposable {
  /** Connect's; works for any DescMethod, also of contracts loaded at run time. */
  readonly transport: Transport;
  client<S extends DescService>(service: S): Client<S>;
  /** Settles when at least one passing endpoint of the contract is known; rejects with CANCELLED when `signal` aborts first. */
  ready(contract: string, signal: AbortSignal): Promise<void>;
  /** Breakers known so far: of contracts, and of their services' endpoints. */
  breakers(): readonly BreakerView[];
  /** Closes the breakers of a service, by its name or a contract's; false when none is known by that name. */
  resetBreaker(service: string): boolean;
}

/** Makes a client. Nothing is watched or connected before the first call. */
export function createMeshClient(options: MeshClientOptions): MeshClient {
  const { registry, serviceConfigs, caller, meter, tracer, clock = Date.now, random = Math.random } = options;
  const log = options.log;
  const guards = new Guards();
  const directory = new Directory({
    registry,
    upstreams: options.upstreams ?? new Map(),
    connection: { ...options.connection, clock, random },
    clock,
    random,
    log,
    onRecovered: (service) => guards.recovered(service),
  });
  const instruments = new Instruments(meter, tracer);
  const gauges = observeClient(meter, directory, guards, clock);
  const transport = meshTransport({ directory, guards, serviceConfigs, caller, log, instruments, clock, random });
  return {
    transport,
    client: (service) => createClient(service, transport),
    ready: (contract, signal) => ready(directory, contract, signal),
    breakers: () => guards.views(directory.services, clock()),
    resetBreaker: (service) => guards.reset(service, directory.services),
    async [Symbol.asyncDispose]() {
      gauges[Symbol.dispose]();
      directory.close();
      directory.destroy();
    },
  };
}

function ready(directory: Directory, contract: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (how: () => void) => {
      unsubscribe();
      signal.removeEventListener("abort", onAbort);
      how();
    };
    const onAbort = () => settle(() => reject(canceled(`gave up waiting for an instance that serves ${contract}`)));
    const look = () => {
      if (directory.lookup(contract).service?.passing === true) settle(resolve);
    };
    const unsubscribe = directory.subscribe(look);
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    else look();
  });
}
