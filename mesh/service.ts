/**
 * A service from its definition to its end. `run` is the whole life of a process, one line a step; `runMain` is `run` for a
 * process of its own, with signals and exit codes.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import type { Meter } from "@opentelemetry/api";
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { createMeshClient, type MeshClient } from "./client/client.ts";
import { loadServiceConfigs } from "./client/service-configs.ts";
import { ConfigError, readConfig, type Settings, type Values } from "./config.ts";
import { callerToken, callerVerifier } from "./identity/caller.ts";
import { type RecordRefusal, RefusalReporter, recordThrough } from "./identity/refusal-reporter.ts";
import { remoteTokenVerifier, type TokenVerifier } from "./identity/tokens.ts";
import { openConsul } from "./registry/consul.ts";
import type { Registry } from "./registry/registry.ts";
import { startAdmin } from "./server/admin.ts";
import type { AdminRoute } from "./server/admin-route.ts";
import { HealthBoard, type HealthCheck } from "./server/health.ts";
import { processChecks } from "./server/health-checks.ts";
import type { Implementation } from "./server/implementation.ts";
import { startServer } from "./server/server.ts";
import { adminPort, advertisedAddress, consulOptions, databaseUrl, processSettings } from "./settings.ts";
import { type Database, openDatabase } from "./storage/database.ts";
import { migrate } from "./storage/migrate.ts";
import { createLogger, type Logger } from "./telemetry/log.ts";
import { createMetrics } from "./telemetry/metrics.ts";
import { createTracing } from "./telemetry/trace.ts";
import { boundThreadsByThemselves } from "./thread-bounds.ts";

/** What a service is: its name, its contracts, what it needs, and how it starts. */
export interface ServiceDefinition<S extends Settings> {
  /** The name of its folder, in Consul, and of its database. */
  readonly name: string;
  /** The gRPC port when HEDDLE_PORT does not say otherwise; the admin port is 1000 above. */
  readonly port: number;
  readonly contracts: readonly DescService[];
  /** Its own settings, beside those that every process reads (mesh/settings.ts). */
  readonly settings: S;
  /** The folder of NNN_what.sql files; a service that gives it has a database. */
  readonly migrations?: URL;
  /** Contracts that must have a healthy endpoint before the service starts. */
  readonly needs?: readonly DescService[];
  /** Builds the implementations. What must be undone at the end goes on `parts.scope`. */
  start(parts: ServiceParts<S>): Promise<StartedService> | StartedService;
}

/** What a service is built from. */
export interface ServiceParts<S extends Settings> {
  readonly config: Values<S>;
  /** The service's own database, migrated. Reading it throws when the definition has no migrations. */
  readonly db: Database;
  readonly mesh: MeshClient;
  /** The registry itself, for what calls by contract do not need: who runs, and where. */
  readonly registry: Registry;
  /** The environment, for variables whose names are not known before; all others are settings. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  readonly meter: Meter;
  /** The folder for the service's files. */
  readonly dataDir: string;
  /** The secret that the mesh's processes share, for keys derived from it. */
  readonly meshSecret: string;
  /** What to undo at the end, after the last call has been answered; the reverse of the order in which it was added. */
  readonly scope: AsyncDisposableStack;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

/** What a started service gives the host. */
export interface StartedService {
  readonly implementations: readonly Implementation[];
  /** Verifies access tokens in place of the mesh's own verifier; auth gives its own, which needs no call. */
  readonly verifier?: TokenVerifier;
  /** Adds refusals to the audit log in place of a call to auth; auth gives its own. */
  readonly recordRefusal?: RecordRefusal;
  readonly checks?: readonly HealthCheck[];
  /** More routes of the admin listener: `[...sagaRoutes(sagas), ...outboxRoutes(outbox)]`. */
  readonly admin?: readonly AdminRoute[];
}

/** A service that runs. */
export interface RunningService {
  readonly instance: string;
  readonly port: number;
  readonly adminPort: number;
  /** The end of the life: not serving, out of the registry, calls finished, everything undone. Can be called again. */
  stop(): Promise<void>;
}

/** Types a definition; it does nothing else. */
export function defineService<const S extends Settings>(definition: ServiceDefinition<S>): ServiceDefinition<S> {
  return definition;
}

/**
 * The life of a service's process up to the point where it serves.
 *
 * @throws StartError that names the step which failed, after what had been built was undone.
 */
export async function run<S extends Settings>(
  definition: ServiceDefinition<S>,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<RunningService> {
  const undo = new AsyncDisposableStack();
  let step = "read the configuration";
  try {
    const { name } = definition;
    const { base, own } = readBoth(definition.settings, env);
    const instance = `${name}-${randomBytes(4).toString("hex")}`;
    const dataDir = join(base.dataDir, name);

    step = "start telemetry";
    const log = createLogger({ service: name, instance, level: base.logLevel });
    const metrics = undo.use(createMetrics({ service: name, instance, version: base.version }));
    const tracing = undo.use(createTracing({ service: name, instance, endpoint: base.otlpEndpoint }));

    step = "join the mesh";
    const snapshotFile = join(dataDir, "registry-snapshot.json");
    const registry = undo.use(openConsul({ ...consulOptions(base), snapshotFile, log }));
    const serviceConfigs = undo.use(await loadServiceConfigs({ root: new URL("../proto/", import.meta.url), registry, log }));
    const caller = callerToken(name, base.meshSecret);
    const mesh = undo.use(
      createMeshClient({ service: name, registry, serviceConfigs, caller, log, meter: metrics.meter, tracer: tracing.tracer }),
    );

    step = "open the database";
    let db: Database | undefined;
    let health: HealthBoard | undefined;
    if (definition.migrations !== undefined) {
      const url = databaseUrl(name, base.databaseUrl, env);
      db = undo.use(await openDatabase({ url, service: name, onAvailability: () => health?.recheck(), log }));
      step = "migrate the database";
      await migrate(db, definition.migrations, log);
    }

    step = "wait for the services it needs";
    const patience = AbortSignal.timeout(base.needsTimeoutMs);
    await Promise.all((definition.needs ?? []).map((needed) => mesh.ready(needed.typeName, patience)));

    step = "start";
    const scope = undo.use(new AsyncDisposableStack());
    const { meshSecret } = base;
    const parts = { config: own, mesh, registry, env, log, meter: metrics.meter, dataDir, meshSecret, scope, clock: Date.now };
    const started = await definition.start({
      ...parts,
      get db() {
        if (db === undefined) throw new Error(`${name} has no migrations, so it has no database`);
        return db;
      },
    });

    step = "listen";
    const services = definition.contracts.map((contract) => contract.typeName);
    const needs = (definition.needs ?? []).map((contract) => contract.typeName);
    const itself = undo.use(processChecks({ folder: dataDir, needs, ready: mesh.ready }));
    health = new HealthBoard({ services, checks: [...databaseCheck(db), ...itself, ...(started.checks ?? [])] });
    const breakers = { breakers: () => mesh.breakers(), resetBreaker: (service: string) => mesh.resetBreaker(service) };
    const { host } = base;
    const routes = started.admin ?? [];
    const admin = await startAdmin({ host, port: adminPort(base, definition.port), health, metrics, ...breakers, routes, log });
    undo.defer(() => admin.close());
    const found = (signal: AbortSignal) => mesh.ready(AuthService.typeName, signal);
    const verifier = started.verifier ?? undo.use(remoteTokenVerifier({ auth: mesh.client(AuthService), found, log }));
    const record = started.recordRefusal ?? recordThrough(mesh.client(AuthService));
    const refusals = undo.use(new RefusalReporter({ record, log, meter: metrics.meter }));
    const { implementations } = started;
    const verifyCaller = callerVerifier(base.meshSecret);
    const port = base.port === -1 ? definition.port : base.port;
    const identity = { verifier, verifyCaller, refusals };
    const server = await startServer({ host, port, implementations, health, ...identity, log, metrics, tracing });
    undo.defer(() => server.drain(base.drainMs));
    health.start();
    undo.defer(() => health.close());

    step = "register";
    // Serving comes first: what stands in the registry can be called from its first moment.
    health.setServing(true);
    await firstFindings(health);
    const meta = { version: base.version, contracts: services.join(","), admin: String(admin.port), protocol: "h2c" };
    const registration = await registry.register({
      id: instance,
      service: name,
      address: advertisedAddress(host),
      port: server.port,
      tags: ["grpc", ...services],
      meta,
      checkIntervalMs: 2000,
      deregisterAfterMs: 60_000,
    });
    undo.defer(async () => {
      health.setServing(false);
      await registration[Symbol.asyncDispose]();
      // Clients learn of it by their blocking queries; until they have, the calls that still come are served.
      await new Promise((resolve) => setTimeout(resolve, base.propagationMs));
    });

    log.info({ port: server.port, admin: admin.port }, "serving");
    return { instance, port: server.port, adminPort: admin.port, stop: () => undo.disposeAsync() };
  } catch (cause) {
    await undo.disposeAsync();
    throw new StartError(definition.name, step, cause);
  }
}

/** A step of `run` that failed: its message names the service, the step and the reason. */
export class StartError extends Error {
  override readonly name = "StartError";

  constructor(service: string, step: string, cause: unknown) {
    super(`${service} could not ${step}: ${reasonOf(cause)}`, { cause });
  }
}

/** An error's message and that of its cause, which is kept from callers: whoever starts the process needs both. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node gives a connection that fails at every address of a name no message, but a code.
  const own = (error instanceof ConnectError ? error.rawMessage : error.message) || String("code" in error ? error.code : "");
  return error.cause === undefined ? own : `${own}: ${reasonOf(error.cause)}`;
}

/**
 * Runs a service as the whole of this process: serves until SIGTERM or SIGINT (or, under `heddle up`, until the supervisor
 * is gone), then ends in order. Exits with 1 when a step fails.
 */
export async function runMain<S extends Settings>(definition: ServiceDefinition<S>): Promise<void> {
  await untilStopped(() => run(definition));
}

/** The process around anything that starts and stops: signals, the supervisor's pipe, exit codes. */
export async function untilStopped(start: () => Promise<{ stop(): Promise<void> }>): Promise<void> {
  const asked = stopAsked();
  boundThreadsByThemselves();
  try {
    const running = await start();
    await asked;
    await running.stop();
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

function stopAsked(): Promise<void> {
  return new Promise((resolve) => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
    if (process.env.HEDDLE_SUPERVISED !== "1") return;
    // The supervisor holds the other end of stdin; it ends with the supervisor however that dies, so no orphan stays.
    process.stdin.once("end", resolve).once("close", resolve).once("error", resolve).resume();
    // Under a terminal Ctrl-C reaches the whole group; the supervisor alone decides the order of the end.
    process.removeAllListeners("SIGINT").on("SIGINT", () => {});
  });
}

function readBoth<S extends Settings>(settings: S, env: Readonly<Record<string, string | undefined>>) {
  const mistakes: string[] = [];
  const read = <T extends Settings>(group: T): Values<T> | undefined => {
    try {
      return readConfig(env, group);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      mistakes.push(...error.mistakes);
      return undefined;
    }
  };
  const [base, own] = [read(processSettings), read(settings)];
  if (base === undefined || own === undefined) throw new ConfigError(mistakes);
  return { base, own };
}

function databaseCheck(db: Database | undefined): readonly HealthCheck[] {
  return db === undefined ? [] : [{ name: "database", critical: true, check: (signal) => db.check(signal) }];
}

/**
 * Settles when every check has found something: a registry that probes before would read UNKNOWN, take the process for critical and
 * ask again only an interval later. A check that hangs has a timeout, so this ends.
 */
function firstFindings(health: HealthBoard): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const watch = health.watch("", (status) => {
    if (status !== "UNKNOWN") resolve();
  });
  return promise.finally(() => watch[Symbol.dispose]());
}
