import { existsSync, readFileSync } from "node:fs";
import type { ControlActions, PlatformStatus } from "./control-server.ts";
import type { DataFolder } from "./data-folder.ts";
import type { ManagedProcess } from "./managed-process.ts";
import { type Plan, processEnvironment } from "./plan.ts";
import { untilDiscovered } from "./registry-probe.ts";
import { Supervisor } from "./supervisor.ts";

/** What a platform is run with. */
export interface PlatformOptions {
  readonly plan: Plan;
  readonly folder: DataFolder;
  readonly root: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly secret: string;
  readonly onChange: (process: ManagedProcess) => void;
  readonly onProcesses: (pids: readonly number[]) => void;
}

/** A planned platform under a supervisor. */
export interface Platform extends ControlActions {
  /** Starts it; settles when every process is ready. @throws Failure as Supervisor.start does. */
  start(): Promise<void>;
  stop(report?: (step: string) => void): Promise<void>;
  /** Stops what runs since the start failed; `status` tells why. */
  fail(why: string): Promise<void>;
  /** Ends everything at once. */
  kill(): void;
  /** Settles when it was stopped, by whomever. */
  readonly stopped: Promise<void>;
}

/** How long an instance may take from ready to found in the registry: its first check comes within 2 s. */
const discoveryPatienceMs = 15_000;

/** Puts the plan's processes under a supervisor; nothing starts yet. */
export function runPlatform({ plan, folder, root, env, secret, onChange, onProcesses }: PlatformOptions): Platform {
  const startedAt = Date.now();
  const stopped = Promise.withResolvers<void>();
  let phase: PlatformStatus["phase"] = "starting";
  let why = "";
  const listeners = new Set<(process: ManagedProcess) => void>();
  const supervisor = new Supervisor({
    specs: plan.specs,
    host: plan.settings.host,
    cwd: root,
    logs: folder.logs,
    logBytes: plan.settings.logMb * 2 ** 20,
    environment: (spec) => processEnvironment(plan, folder, secret, env, spec),
    untilDiscovered: async (spec) => void (await untilDiscovered(plan.consul, spec.name, spec.port, discoveryPatienceMs)),
    onChange: (process) => {
      onChange(process);
      for (const listener of listeners) listener(process);
    },
    onProcesses,
  });

  const stop = async (report: (step: string) => void = () => {}) => {
    if (phase !== "failed") phase = "stopping";
    const listener = ({ state, spec }: ManagedProcess) => state.kind === "stopped" && report(`${spec.instance} is stopped`);
    listeners.add(listener);
    await supervisor.stop();
    listeners.delete(listener);
    stopped.resolve();
  };

  return {
    async start() {
      await supervisor.start();
      if (phase === "starting") phase = "running";
    },
    status: () => ({
      pid: process.pid,
      phase,
      why,
      startedAt,
      data: folder.path,
      registry: { address: plan.consul.address.origin, embedded: plan.consul.embedded },
      postgres: postgresOf(plan, folder),
      processes: supervisor.status(Date.now()),
    }),
    restart: (service, report) => supervisor.restart(service, report),
    scale: (service, count, report) => supervisor.scale(service, count, report),
    stop,
    async fail(reason) {
      if (phase !== "stopping") [phase, why] = ["failed", reason];
      await stop();
    },
    kill: () => supervisor.kill(),
    stopped: stopped.promise,
  };
}

function postgresOf(plan: Plan, folder: DataFolder): PlatformStatus["postgres"] {
  if (plan.settings.databaseUrl !== undefined) return { url: plan.settings.databaseUrl.href, embedded: false };
  if (!plan.embeddedPostgres || !existsSync(folder.postgresUrl)) return undefined;
  return { url: readFileSync(folder.postgresUrl, "utf8").trim(), embedded: true };
}
