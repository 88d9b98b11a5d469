/** The whole platform as a user starts it, `heddle up` in a process of its own, on ports and in a folder of its own. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { platform } from "../services/platform.ts";
import { until } from "./until.ts";

const root = join(import.meta.dirname, "..");
const heddle = join(root, "cli/heddle.ts");

/** One process of the platform, as `heddle status --json` shows it. */
export interface PlatformProcess {
  readonly name: string;
  readonly service: string;
  readonly state: string;
  readonly pid: number | undefined;
  readonly port: number;
  readonly restarts: number;
}

/** A platform that runs. Disposing stops it as Ctrl-C would, fails when a process outlives it, and removes its folder. */
export interface Platform extends AsyncDisposable {
  /** The gateway, for example http://127.0.0.1:18080. */
  readonly gateway: string;
  /** Added to every standard port. */
  readonly offset: number;
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly supervisor: ChildProcess;
  /** Milliseconds from start to all healthy. */
  readonly bootMs: number;
  /** Runs a heddle command against this platform; answers with what it printed, rejects when it fails. */
  heddle(...args: string[]): Promise<string>;
  processes(): Promise<readonly PlatformProcess[]>;
  /** All that the supervisor printed. */
  output(): string;
}

/** What most tests need: people and something to send them. Few processes start fast and leave the processors to the test. */
export const smallPlatform: readonly string[] = ["auth", "notification", "gateway"];

/** Starts `services` with what they need, and waits until the gateway sees every one of them healthy. */
export async function startPlatform(
  env: Readonly<Record<string, string>> = {},
  services: readonly string[] = smallPlatform,
): Promise<Platform> {
  const dataDir = await mkdtemp(join(tmpdir(), "heddle-e2e-"));
  const offset = await freeOffset();
  const consul = env.CONSUL_HTTP_ADDR ?? `http://127.0.0.1:${8500 + offset}`;
  const environment = {
    ...process.env,
    HEDDLE_DATA: dataDir,
    HEDDLE_PORT_OFFSET: String(offset),
    CONSUL_HTTP_ADDR: consul,
    ...env,
  };
  if (env.CONSUL_HTTP_ADDR === undefined) delete (environment as Record<string, string | undefined>).CONSUL_HTTP_ADDR;
  const startedAt = performance.now();
  const supervisor = spawn(process.execPath, [heddle, "up", ...services], {
    cwd: root,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const keep = (chunk: Buffer) => {
    output += chunk.toString();
  };
  supervisor.stdout.on("data", keep);
  supervisor.stderr.on("data", keep);

  const run = async (...args: string[]) => {
    const { stdout } = await promisify(execFile)(process.execPath, [heddle, ...args], { cwd: root, env: environment });
    return stdout;
  };
  const processes = async () => {
    // Its exit code is 1 while a process is not ready; what it shows is whole all the same.
    const shown = await run("status", "--json").catch((error: { stdout?: string }) => error.stdout ?? "");
    return (JSON.parse(shown) as { processes: PlatformProcess[] }).processes;
  };
  const gateway = `http://127.0.0.1:${8080 + offset}`;
  const stop = async () => {
    const pids = supervisor.exitCode === null ? (await processes().catch(() => [])).map(({ pid }) => pid) : [];
    if (supervisor.exitCode === null && supervisor.signalCode === null) {
      supervisor.kill("SIGTERM");
      await once(supervisor, "exit");
    }
    for (const pid of pids) if (pid !== undefined) await until(`process ${pid} to end`, () => !alive(pid), 15_000);
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    await until(
      "the platform to be healthy",
      async () => {
        if (supervisor.exitCode !== null) throw new Error(`heddle up ended with ${supervisor.exitCode}:\n${output}`);
        return healthy(gateway, services);
      },
      60_000,
    );
  } catch (error) {
    await stop();
    throw new Error(`${String(error)}\n${output}`);
  }
  const bootMs = Math.round(performance.now() - startedAt);
  return {
    gateway,
    offset,
    dataDir,
    env: environment,
    supervisor,
    bootMs,
    heddle: run,
    processes,
    output: () => output,
    [Symbol.asyncDispose]: stop,
  };
}

/** Whether a process lives. */
export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function healthy(gateway: string, expected: readonly string[]): Promise<boolean> {
  const response = await fetch(`${gateway}/health`).catch(() => undefined);
  if (response?.status !== 200) return false;
  const { services } = (await response.json()) as { services: Record<string, { status: string }> };
  return expected.every((name) => name === "gateway" || services[name]?.status === "UP");
}

/** An offset below the ephemeral range whose ports are free. */
async function freeOffset(): Promise<number> {
  const standard = [...platform.flatMap(({ port }) => [port, port + 1000]), 8500, 5480];
  for (;;) {
    const offset = 3000 + 10 * Math.floor(Math.random() * 1800);
    const ports = standard.map((port) => port + offset);
    if ((await Promise.all(ports.map(free))).every((is) => is)) return offset;
  }
}

function free(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
