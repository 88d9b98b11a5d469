import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type PlatformService, platform } from "../../services/platform.ts";
import { Failure } from "../failure.ts";
import type { DataFolder } from "./data-folder.ts";
import { freePorts, isFree } from "./ports.ts";
import type { InstanceSpec, ProcessSpec } from "./process-spec.ts";
import { answersAsConsul, consulUrl } from "./registry-probe.ts";
import { type PlatformSettings, readPlatformSettings, type ServiceSettings } from "./settings.ts";
import { withNeeds } from "./start-order.ts";

/** What `heddle up` is going to run, decided before anything starts. */
export interface Plan {
  readonly specs: readonly ProcessSpec[];
  readonly settings: PlatformSettings;
  /** The registry: where it is, and whether it is one of the processes. */
  readonly consul: { readonly address: URL; readonly token: string; readonly embedded: boolean };
  /** Whether PostgreSQL is one of the processes. */
  readonly embeddedPostgres: boolean;
  /** The folder for compiled code. `npm ci` empties it with the rest of node_modules. */
  readonly compileCache: string;
  /** What the person at the terminal should know before the start. */
  readonly notes: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Plans the platform, or those `wanted` services and what they need.
 *
 * @throws ConfigError for settings that make no sense, Failure for a service that does not exist.
 */
export async function makePlan(root: string, env: Environment, wanted: readonly string[]): Promise<Plan> {
  const unknown = wanted.find((name) => !platform.some((service) => service.name === name));
  if (unknown !== undefined) {
    throw new Failure(`${unknown} is not a service of the platform: ${platform.map(({ name }) => name).join(", ")}`, 2);
  }
  const { platform: settings, service: serviceSettings } = readPlatformSettings(env, platform);
  const services = wanted.length === 0 ? platform : withNeeds(platform, wanted);
  const consul = await findConsul(settings);
  const embeddedPostgres = settings.databaseUrl === undefined && services.some(({ database }) => database);
  const infrastructure = [
    ...(consul.embedded ? [consulSpec(root, Number(consul.address.port))] : []),
    ...(embeddedPostgres ? [await postgresSpec(root, settings)] : []),
  ];
  const present = new Set(infrastructure.map(({ name }) => name));
  const specs = await Promise.all(
    services.map((service) => serviceSpec(root, settings, service, serviceSettings(service.name), present)),
  );
  const notes = consul.note === undefined ? [] : [consul.note];
  const compileCache = join(root, "node_modules/.cache/heddle");
  return { specs: [...infrastructure, ...specs], settings, consul, embeddedPostgres, compileCache, notes };
}

/** The environment of one process: that of `heddle up`, with what the plan decided in its place. */
export function processEnvironment(
  plan: Plan,
  folder: DataFolder,
  secret: string,
  env: Environment,
  spec: InstanceSpec,
): Environment {
  const embedded =
    plan.embeddedPostgres && existsSync(folder.postgresUrl) ? readFileSync(folder.postgresUrl, "utf8").trim() : undefined;
  return {
    ...env,
    HEDDLE_HOST: plan.settings.host,
    HEDDLE_PORT: String(spec.port),
    // A process with a variable of its own for the port reads that first.
    [spec.portVariable]: String(spec.port),
    HEDDLE_ADMIN_PORT: String(spec.adminPort),
    HEDDLE_DATA: folder.path,
    HEDDLE_MESH_SECRET: secret,
    HEDDLE_SUPERVISED: "1",
    // glibc: blocks such as argon2's, and the 64 KiB that each read from a socket is given, go back to the system when they are freed:
    // among small ones they leave holes, 50 MB after an upload of 1 GB. Threads share two pools of small ones.
    MALLOC_MMAP_THRESHOLD_: env.MALLOC_MMAP_THRESHOLD_ ?? "32768",
    MALLOC_ARENA_MAX: env.MALLOC_ARENA_MAX ?? "2",
    // Code compiled once serves every later start: types need not be stripped, and what strips them is not loaded.
    NODE_COMPILE_CACHE: env.NODE_COMPILE_CACHE ?? plan.compileCache,
    CONSUL_HTTP_ADDR: plan.consul.address.origin,
    ...publicUrl(plan, env),
    ...(spec.name === "metrics" ? metricsTargets(plan, env) : {}),
    ...(embedded === undefined ? {} : { DATABASE_URL: embedded }),
  };
}

/** Links in mails lead to the gateway that runs here, wherever its port was moved to. */
function publicUrl(plan: Plan, env: Environment): Environment {
  const gateway = plan.specs.find(({ name }) => name === "gateway");
  if (env.AUTH_PUBLIC_URL || gateway === undefined) return {};
  return { AUTH_PUBLIC_URL: `http://${callable(plan.settings.host)}:${gateway.port}` };
}

/** The gateway is in no registry: the metrics service is told where its admin listener is. */
function metricsTargets(plan: Plan, env: Environment): Environment {
  const gateway = plan.specs.find(({ name }) => name === "gateway");
  if (env.METRICS_TARGETS || gateway === undefined) return {};
  return { METRICS_TARGETS: `gateway=${callable(plan.settings.host)}:${gateway.adminPort}` };
}

async function findConsul(settings: PlatformSettings): Promise<Plan["consul"] & { readonly note?: string }> {
  const token = settings.consulToken;
  const given = settings.consulAddress === "" ? undefined : consulUrl(settings.consulAddress);
  if (given !== undefined && (await answersAsConsul(given))) return { address: given, token, embedded: false };
  const port = settings.consulPort === -1 ? shifted("consul", 8500, settings) : settings.consulPort;
  const [free = 0] = port === 0 ? await freePorts(settings.host, 1) : [port];
  const address = new URL(`http://${callable(settings.host)}:${free}`);
  const note =
    given === undefined ? undefined : `no Consul answers at CONSUL_HTTP_ADDR (${given.origin}): the embedded registry is used`;
  const embedded = port === 0 || !(await answersAsConsul(address));
  return { address, token, embedded, ...(note === undefined ? {} : { note }) };
}

function consulSpec(root: string, port: number): ProcessSpec {
  return {
    ...infrastructure(root, "consul", "agent-main.ts"),
    port,
    adminPort: port,
    readiness: { on: "port", path: "/v1/status/leader" },
  };
}

async function postgresSpec(root: string, settings: PlatformSettings): Promise<ProcessSpec> {
  const standard = shifted("postgres", 5480, settings);
  const [spare = 0, adminPort = 0] = await freePorts(settings.host, 2);
  const given = settings.postgresPort;
  // Nobody but the services connects to it, and they are told where: unless a port was asked for, any will do.
  const port = given > 0 ? given : given === 0 || !(await isFree(settings.host, standard)) ? spare : standard;
  return {
    ...infrastructure(root, "postgres", "postgres-main.ts"),
    port,
    adminPort,
    readiness: { on: "admin", path: "/readyz" },
  };
}

function infrastructure(root: string, name: string, entry: string) {
  return {
    name,
    entry: join(root, "cli/supervisor", entry),
    needs: [],
    portVariable: `HEDDLE_${name.toUpperCase()}_PORT`,
    memoryBytes: undefined,
    kind: "infrastructure",
    discovered: false,
  } as const;
}

async function serviceSpec(
  root: string,
  settings: PlatformSettings,
  service: PlatformService,
  own: ServiceSettings,
  present: ReadonlySet<string>,
): Promise<ProcessSpec> {
  const ports = own.port === 0 ? await freePorts(settings.host, 2) : undefined;
  const port = ports?.[0] ?? (own.port === -1 ? shifted(service.name, service.port, settings) : own.port);
  const beneath = ["consul", ...(service.database ? ["postgres"] : [])].filter((name) => present.has(name));
  return {
    name: service.name,
    entry: join(root, service.entry),
    needs: [...beneath, ...service.needs],
    port,
    adminPort: ports?.[1] ?? port + 1000,
    portVariable: service.portVariable,
    readiness: { on: "admin", path: "/readyz" },
    memoryBytes: own.memoryMb * 2 ** 20,
    kind: "service",
    discovered: service.discovered,
  };
}

function shifted(what: string, port: number, settings: PlatformSettings): number {
  const sum = port + settings.portOffset;
  if (sum + 1000 > 65_535) throw new Failure(`HEDDLE_PORT_OFFSET: ${settings.portOffset} puts ${what} beyond port 65535`, 2);
  return sum;
}

function callable(host: string): string {
  return host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
}
