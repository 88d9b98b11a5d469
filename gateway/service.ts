/** The process `gateway`: REST on GATEWAY_PORT, the admin listener 1000 above. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { createMeshClient } from "#mesh/client/client.ts";
import { loadServiceConfigs } from "#mesh/client/service-configs.ts";
import { list, oneOf, port, readConfig, text } from "#mesh/config.ts";
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
import { dutyOptions } from "./duty-settings.ts";
import { startGateway } from "./gateway.ts";
import { servingOptions, servingSettings } from "./serving-settings.ts";
import { openContracts } from "./sources/open-contracts.ts";
import { registryTargets } from "./sources/targets.ts";

/** The gateway's own environment, beside what every process reads (mesh/settings.ts). */
export const gatewaySettings = {
  gatewayPort: port("GATEWAY_PORT", 8080),
  /** The gateway's own keys for X-API-Key, separated by commas: `key`, `name:key`, or `name:key:role|scope|...`. */
  gatewayApiKeys: { ...list("ALLOWED_API_KEYS"), secret: true },
  /** Where the contracts come from: the image that is built with the platform, what services tell by gRPC reflection, or both. */
  gatewayContracts: oneOf("GATEWAY_CONTRACTS", ["image", "reflection", "both"], "image"),
  /** The image, followed as it changes. Empty: gen/contracts.binpb. */
  gatewayContractsFile: text("GATEWAY_CONTRACTS_FILE", ""),
  ...servingSettings,
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
      ...servingOptions(config),
      title: "Heddle",
      duties: dutyOptions(config, { log, meter, undo }),
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
