/** The gateway over any image and any backend, with no Consul, no auth and no configuration. */
import { randomBytes } from "node:crypto";
import { createMeshClient } from "#mesh/client/client.ts";
import type { ServiceConfigSource } from "#mesh/client/service-configs.ts";
import { readConfig } from "#mesh/config.ts";
import { callerToken } from "#mesh/identity/caller.ts";
import { defaultServiceConfig, methodConfigOf } from "#mesh/policy/service-config.ts";
import type { Instance, Registry, Watch } from "#mesh/registry/registry.ts";
import { createLogger, type Logger } from "#mesh/telemetry/log.ts";
import { createMetrics } from "#mesh/telemetry/metrics.ts";
import { createTracing } from "#mesh/telemetry/trace.ts";
import { ContractError, type Contracts, contractsOf, loadContracts } from "./contracts.ts";
import { dutyOptions } from "./duty-settings.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { servingOptions, servingSettings } from "./serving-settings.ts";
import { openContracts } from "./sources/open-contracts.ts";
import type { ReflectionSourceOptions } from "./sources/reflection-source.ts";
import type { ContractSource } from "./sources/source.ts";
import { fixedTargets, registryTargets, type WatchTargets } from "./sources/targets.ts";

/** What a standalone gateway serves. */
export interface StandaloneOptions {
  /** A buf image or FileDescriptorSet: its bytes, which stay, or the path of a file, which is followed. */
  readonly image?: Uint8Array | string;
  /** The addresses (`host:port`) of each contract by its full name, `pkg.Service`. */
  readonly upstreams: ReadonlyMap<string, readonly string[]>;
  /** True: contracts come from gRPC reflection too, of the upstreams, the servers and the registry's services. */
  readonly reflect?: boolean;
  /** With `reflect`: addresses (`host:port`) of servers that are asked what they serve, and become upstreams of all that. */
  readonly servers?: readonly string[];
  /** Opens the registry that knows what is not among the upstreams. Default: none. */
  readonly openRegistry?: (log: Logger) => Registry;
  readonly port: number;
  /** Default info. */
  readonly logLevel?: string;
  /** The variables of serving-settings.ts (GATEWAY_*, REDIS_URL, MONOLITH_*). Default: none is set. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Runs `heddle gateway --contracts FILE.binpb --reflect --upstream pkg.Service=host:port --port N`.
 *
 * Nobody is authenticated here: methods without a heddle.v1.access rule are open to everybody, and Authorization is passed on
 * for the backend to judge. Methods with a rule other than public are refused, since nobody can be known.
 *
 * @throws ConfigError; ContractError for a bad image, bad rules, or an upstream of a contract that is not in the image; the error of the
 *   socket.
 */
export async function runStandaloneGateway(options: StandaloneOptions): Promise<Gateway> {
  const undo = new AsyncDisposableStack();
  try {
    const config = readConfig(options.env ?? {}, servingSettings);
    const instance = `gateway-${randomBytes(4).toString("hex")}`;
    const log = createLogger({ service: "gateway", instance, level: options.logLevel ?? "info" });
    const metrics = undo.use(createMetrics({ service: "gateway", instance, version: "standalone" }));
    const tracing = undo.use(createTracing({ service: "gateway", instance, endpoint: undefined }));
    const registry = undo.use(options.openRegistry?.(log) ?? noRegistry);
    // Grows as servers tell what they serve.
    const upstreams = new Map(options.upstreams);
    const contracts = await openedContracts(options, registry, upstreams, log);
    if ("subscribe" in contracts) undo.use(contracts);
    const mesh = undo.use(
      createMeshClient({
        service: "gateway",
        registry,
        serviceConfigs,
        // Signed with a secret that nobody else has: foreign backends do not look at it.
        caller: callerToken("gateway", randomBytes(32).toString("hex")),
        log,
        meter: metrics.meter,
        tracer: tracing.tracer,
        upstreams,
      }),
    );
    const gateway = await startGateway({
      host: config.gatewayHost || "127.0.0.1",
      port: options.port,
      contracts,
      mesh,
      ...(options.openRegistry === undefined ? {} : { registry }),
      serviceConfigs,
      openByDefault: true,
      ...servingOptions(config),
      duties: dutyOptions(config, { log, meter: metrics.meter, undo }),
      log,
      metrics,
      tracing,
    });
    return {
      port: gateway.port,
      address: gateway.address,
      async drain(ms) {
        await gateway.drain(ms);
        await undo.disposeAsync();
      },
    };
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

async function openedContracts(
  options: StandaloneOptions,
  registry: Registry,
  upstreams: Map<string, readonly string[]>,
  log: Logger,
): Promise<Contracts | ContractSource> {
  const { image, servers = [] } = options;
  if (options.reflect !== true && image instanceof Uint8Array) return checkUpstreams(loadContracts(image), upstreams);
  if (image instanceof Uint8Array) throw new TypeError("image: expected a path together with reflect");
  const targets: WatchTargets | undefined =
    options.reflect !== true
      ? undefined
      : options.openRegistry === undefined
        ? fixedTargets(upstreams, servers)
        : registryTargets(registry);
  const onServices: ReflectionSourceOptions["onServices"] = ({ name, contracts }, services) => {
    if (contracts !== undefined || !servers.includes(name)) return;
    for (const service of services) {
      const known = upstreams.get(service) ?? [];
      if (!known.includes(name)) upstreams.set(service, [...known, name]);
    }
  };
  const source = await openContracts({ image, targets, onServices, log });
  if (options.reflect !== true) checkUpstreams(contractsOf(source.current), upstreams);
  return source;
}

/** @throws ContractError for an upstream of a contract that is not there: most likely its name is misspelt. */
function checkUpstreams(contracts: Contracts, upstreams: ReadonlyMap<string, readonly string[]>): Contracts {
  const unknown = [...upstreams.keys()].filter((name) => contracts.types.getService(name) === undefined);
  if (unknown.length > 0) throw new ContractError(unknown.map((name) => `--upstream ${name}: no such service in the image`));
  return contracts;
}

/** Every method has the defaults. */
const serviceConfigs: ServiceConfigSource = {
  methodConfig: (contract, method) => methodConfigOf(defaultServiceConfig, contract, method),
  serviceConfig: () => defaultServiceConfig,
};

const noWatch: Watch = { ageMs: () => Number.POSITIVE_INFINITY, first: Promise.resolve(), [Symbol.dispose]() {} };

/** A registry that knows nothing: every address comes from the command line. */
const noRegistry: Registry = {
  register: () => Promise.reject(new Error("a standalone gateway has no registry")),
  deregister: async () => {},
  watchService(_service: string, listener: (instances: readonly Instance[]) => void) {
    listener([]);
    return noWatch;
  },
  watchCatalog: () => noWatch,
  watchKey: () => noWatch,
  watchKeys: () => noWatch,
  getKey: async () => undefined,
  setKey: async () => {},
  deleteKey: async () => {},
  status: () => ({ address: "", connected: false, ageMs: Number.POSITIVE_INFINITY }),
  async [Symbol.asyncDispose]() {},
};
