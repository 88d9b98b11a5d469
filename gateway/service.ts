/** The process `gateway`: REST on GATEWAY_PORT, the admin listener 1000 above. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { createMeshClient } from "#mesh/client/client.ts";
import { loadServiceConfigs } from "#mesh/client/service-configs.ts";
import { duration, flag, integer, list, oneOf, port, readConfig, text } from "#mesh/config.ts";
import { callerToken } from "#mesh/identity/caller.ts";
import { RefusalReporter, recordThrough } from "#mesh/identity/refusal-reporter.ts";
import { remoteTokenVerifier } from "#mesh/identity/tokens.ts";
import { openConsul } from "#mesh/registry/consul.ts";
import { startAdmin } from "#mesh/server/admin.ts";
import { HealthBoard } from "#mesh/server/health.ts";
import { processChecks } from "#mesh/server/health-checks.ts";
import { untilStopped } from "#mesh/service.ts";
import { consulOptions, processSettings } from "#mesh/settings.ts";
import { createLogger } from "#mesh/telemetry/log.ts";
import { createMetrics } from "#mesh/telemetry/metrics.ts";
import { createTracing } from "#mesh/telemetry/trace.ts";
import { dutyOptions, dutySettings, matchingOf } from "./duty-settings.ts";
import { startGateway } from "./gateway.ts";
import { openContracts } from "./sources/open-contracts.ts";
import { registryTargets } from "./sources/targets.ts";

/** The gateway's own environment, beside what every process reads (mesh/settings.ts). */
export const gatewaySettings = {
  gatewayPort: port("GATEWAY_PORT", 8080),
  /** The address to bind; empty: HEDDLE_HOST. */
  gatewayHost: text("GATEWAY_HOST", ""),
  /** The gateway's own keys for X-API-Key, separated by commas: `key`, `name:key`, or `name:key:role|scope|...`. */
  gatewayApiKeys: { ...list("ALLOWED_API_KEYS"), secret: true },
  /** Origins whose pages may call, separated by commas; `*` for every one. */
  gatewayCorsOrigins: list("GATEWAY_CORS_ORIGINS"),
  /** How many proxies stand in front; so many entries of X-Forwarded-For are believed. */
  gatewayTrustedHops: integer("GATEWAY_TRUSTED_HOPS", 0, 100, 0),
  /** Requests per second for each client and contract; 0 for no limit. */
  gatewayRateLimit: integer("GATEWAY_RATE_LIMIT", 0, 1_000_000, 2000),
  /** Requests at once after a pause. */
  gatewayRateBurst: integer("GATEWAY_RATE_BURST", 1, 1_000_000, 4000),
  /** Bytes of a request's body, 4 MiB unless it says otherwise. */
  gatewayMaxBodyBytes: integer("GATEWAY_MAX_BODY_BYTES", 1, 2 ** 30, 4 * 2 ** 20),
  /** How long a body may take to arrive. */
  gatewayBodyTimeoutMs: duration("GATEWAY_BODY_TIMEOUT", "30s"),
  /** Skips what the contract does not know in queries and bodies, in place of refusing it. */
  gatewayLenient: flag("GATEWAY_LENIENT", false),
  /** Serves `/openapi.json` and `/docs`. */
  gatewayDocs: flag("GATEWAY_DOCS", true),
  /** Where the contracts come from: the image that is built with the platform, what services tell by gRPC reflection, or both. */
  gatewayContracts: oneOf("GATEWAY_CONTRACTS", ["image", "reflection", "both"], "image"),
  /** The image, followed as it changes. Empty: gen/contracts.binpb. */
  gatewayContractsFile: text("GATEWAY_CONTRACTS_FILE", ""),
  ...dutySettings,
};

/** A gateway that runs. */
export interface RunningGateway {
  readonly port: number;
  readonly adminPort: number;
  /** Finishes what is in flight, then undoes everything. */
  stop(): Promise<void>;
}

/**
 * The life of the gateway's process up to the point where it serves. It waits for nothing: it answers `/health` while
 * everything else is down, and 503 for a service that is.
 *
 * It does not register in the registry: checks there are gRPC, and clients know the gateway's address.
 *
 * @throws ConfigError, ContractError, or the error of a socket, after what had been built was undone.
 */
export async function runGateway(env: Readonly<Record<string, string | undefined>> = process.env): Promise<RunningGateway> {
  const undo = new AsyncDisposableStack();
  try {
    const config = readConfig(env, { ...processSettings, ...gatewaySettings });
    const host = config.gatewayHost === "" ? config.host : config.gatewayHost;
    const instance = `gateway-${randomBytes(4).toString("hex")}`;
    const log = createLogger({ service: "gateway", instance, level: config.logLevel });
    const metrics = undo.use(createMetrics({ service: "gateway", instance, version: config.version }));
    const tracing = undo.use(createTracing({ service: "gateway", instance, endpoint: config.otlpEndpoint }));

    const root = new URL("../", import.meta.url);
    const snapshotFile = join(config.dataDir, "gateway", "registry-snapshot.json");
    const registry = undo.use(openConsul({ ...consulOptions(config), snapshotFile, log }));
    const serviceConfigs = undo.use(await loadServiceConfigs({ root: new URL("proto/", root), registry, log }));
    const { gatewayContracts: from, gatewayContractsFile } = config;
    const contracts = undo.use(
      await openContracts({
        image: from === "reflection" ? undefined : gatewayContractsFile || fileURLToPath(new URL("gen/contracts.binpb", root)),
        targets: from === "image" ? undefined : registryTargets(registry),
        log,
      }),
    );
    const caller = callerToken("gateway", config.meshSecret);
    const { meter } = metrics;
    const mesh = undo.use(
      createMeshClient({ service: "gateway", registry, serviceConfigs, caller, log, meter, tracer: tracing.tracer }),
    );
    const auth = mesh.client(AuthService);
    const verifier = undo.use(remoteTokenVerifier({ auth, found: (signal) => mesh.ready(AuthService.typeName, signal), log }));

    const refusals = undo.use(new RefusalReporter({ record: recordThrough(auth), log, meter }));

    const itself = undo.use(processChecks({ folder: config.dataDir, needs: [], ready: mesh.ready }));
    const health = new HealthBoard({ services: [], checks: itself });
    const gateway = await startGateway({
      host,
      port: config.gatewayPort,
      contracts,
      mesh,
      registry,
      serviceConfigs,
      verifier,
      refusals,
      exchangeApiKey: async (key) => (await auth.exchangeApiKey({ apiKey: key })).accessToken,
      staticApiKeys: config.gatewayApiKeys,
      cors: { origins: config.gatewayCorsOrigins },
      rateLimit: { perSecond: config.gatewayRateLimit, burst: config.gatewayRateBurst },
      trustedHops: config.gatewayTrustedHops,
      maxBodyBytes: config.gatewayMaxBodyBytes,
      bodyTimeoutMs: config.gatewayBodyTimeoutMs,
      lenient: config.gatewayLenient,
      docs: config.gatewayDocs,
      title: "Heddle",
      templates: matchingOf(config),
      duties: dutyOptions(config, { log, meter, trustedHops: config.gatewayTrustedHops, undo }),
      log,
      metrics,
      tracing,
    });
    undo.defer(() => gateway.drain(config.drainMs));
    const admin = await startAdmin({
      host,
      port: config.adminPort === -1 ? (config.gatewayPort === 0 ? 0 : config.gatewayPort + 1000) : config.adminPort,
      health,
      metrics,
      breakers: () => mesh.breakers(),
      resetBreaker: (service) => mesh.resetBreaker(service),
      log,
    });
    undo.defer(() => admin.close());
    health.start();
    undo.defer(() => health.close());
    health.setServing(true);
    undo.defer(() => health.setServing(false));
    log.info({ port: gateway.port, admin: admin.port }, "serving");
    return { port: gateway.port, adminPort: admin.port, stop: () => undo.disposeAsync() };
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

if (import.meta.main) await untilStopped(() => runGateway());
