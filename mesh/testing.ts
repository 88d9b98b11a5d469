/**
 * Services in tests through the real seams: real sockets, real PostgreSQL, the embedded registry, every port free.
 *
 * Also mocha's root hooks: `.mocharc.json` requires this file, so that the shared PostgreSQL ends with the test run.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type { Settings } from "./config.ts";
import type { Registry } from "./registry/registry.ts";
import type { RunningService, ServiceDefinition } from "./service.ts";

/** A mesh that runs inside the test's process. */
export interface TestMesh extends AsyncDisposable {
  /** The running services by name. */
  readonly services: ReadonlyMap<string, RunningService>;
  readonly registry: Registry;
  /** The environment that the services were given. */
  readonly env: Readonly<Record<string, string>>;
  /** A client in the name of a service called `test`, through discovery and policies. */
  client<S extends DescService>(service: S): Client<S>;
}

/** What a test may set beside the definitions. */
export interface TestMeshOptions {
  /** More environment for every service. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts `definitions` in order, each on free ports with a fresh database. Dispose it to stop all and fail on leaks. */
export async function startMesh(
  definitions: readonly ServiceDefinition<Settings>[],
  options: TestMeshOptions = {},
): Promise<TestMesh> {
  const { createMeshClient } = await import("./client/client.ts");
  const { loadServiceConfigs } = await import("./client/service-configs.ts");
  const { callerToken } = await import("./identity/caller.ts");
  const { startAgent } = await import("./registry/agent.ts");
  const { openConsul } = await import("./registry/consul.ts");
  const { run } = await import("./service.ts");
  const { createLogger } = await import("./telemetry/log.ts");
  const { createMetrics } = await import("./telemetry/metrics.ts");
  const { createTracing } = await import("./telemetry/trace.ts");

  const undo = new AsyncDisposableStack();
  try {
    const dataDir = await mkdtemp(join(tmpdir(), "heddle-test-"));
    undo.defer(() => rm(dataDir, { recursive: true, force: true }));
    const log = createLogger({ service: "test", instance: "test", level: process.env.HEDDLE_LOG_LEVEL ?? "silent" });
    const agent = await startAgent({ host: "127.0.0.1", port: 0, dataDir: join(dataDir, "agent"), log });
    undo.defer(() => agent.close());
    const meshSecret = randomBytes(32).toString("hex");
    const env: Record<string, string> = {
      HEDDLE_PORT: "0",
      HEDDLE_DATA: dataDir,
      HEDDLE_LOG_LEVEL: process.env.HEDDLE_LOG_LEVEL ?? "silent",
      HEDDLE_MESH_SECRET: meshSecret,
      HEDDLE_PROPAGATION: "0ms",
      CONSUL_HTTP_ADDR: agent.address,
      ...options.env,
    };
    for (const { name, migrations } of definitions) {
      if (migrations !== undefined) env[databaseVariable(name)] ??= await testDatabase();
    }
    const registry = undo.use(openConsul({ address: agent.address, log }));
    const serviceConfigs = undo.use(await loadServiceConfigs({ root: new URL("../proto/", import.meta.url), registry, log }));
    const metrics = undo.use(createMetrics({ service: "test", instance: "test", version: "0" }));
    const tracing = undo.use(createTracing({ service: "test", instance: "test", endpoint: undefined }));
    const caller = callerToken("test", meshSecret);
    const { meter } = metrics;
    const mesh = undo.use(
      createMeshClient({ service: "test", registry, serviceConfigs, caller, log, meter, tracer: tracing.tracer }),
    );
    const services = new Map<string, RunningService>();
    for (const definition of definitions) {
      const running = await run(definition, env);
      undo.defer(() => running.stop());
      services.set(definition.name, running);
      for (const contract of definition.contracts) await mesh.ready(contract.typeName, AbortSignal.timeout(10_000));
    }
    return {
      services,
      registry,
      env,
      client: (service) => mesh.client(service),
      [Symbol.asyncDispose]: () => undo.disposeAsync(),
    };
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}

let shared: Promise<{ url: string; close(): Promise<void> }> | undefined;

/** The URL of a fresh, empty database on a PostgreSQL that the tests of this process share; it is started on first use. */
export async function testDatabase(): Promise<string> {
  shared ??= startShared();
  const server = await shared;
  const { default: pg } = await import("pg");
  const name = `test_${randomBytes(6).toString("hex")}`;
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return url.href;
}

/** Mocha's root hooks. */
export const mochaHooks = {
  async afterAll(): Promise<void> {
    const server = await shared;
    shared = undefined;
    await server?.close();
  },
};

async function startShared() {
  const { startEmbeddedPostgres } = await import("./storage/embedded.ts");
  const { createLogger } = await import("./telemetry/log.ts");
  const dataDir = await mkdtemp(join(tmpdir(), "heddle-test-postgres-"));
  const log = createLogger({ service: "test", instance: "postgres", level: process.env.HEDDLE_LOG_LEVEL ?? "silent" });
  const server = await startEmbeddedPostgres({ dataDir, port: 0, log });
  return {
    url: server.url,
    async close() {
      await server.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

function databaseVariable(service: string): string {
  return `${service.toUpperCase().replaceAll("-", "_")}_DATABASE_URL`;
}
