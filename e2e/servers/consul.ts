/** A real Consul for tests: an agent in development mode on free ports, its data in memory. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A running real Consul. */
export interface ConsulServer extends AsyncDisposable {
  /** `http://127.0.0.1:port` */
  readonly address: string;
  /** Ends the process at once, as a crash would. */
  kill(): Promise<void>;
  /** Starts it again at the same address, knowing nothing. */
  restart(): Promise<void>;
}

/** The binary that install-consul.sh put in place, else the one on PATH; undefined when there is none. */
export function findConsul(): string | undefined {
  const tools = process.env.HEDDLE_TOOLS ?? resolve(import.meta.dirname, "../../.heddle/tools");
  const folders = [join(tools, "consul/usr/bin"), ...(process.env.PATH ?? "").split(":").filter((folder) => folder !== "")];
  return folders.map((folder) => join(folder, "consul")).find((file) => existsSync(file));
}

/**
 * The binary, or a skipped suite that says so. On a machine of continuous integration a missing one is a failure.
 *
 * @throws Error when CI is set and there is no binary.
 */
export function requireConsul(context: Mocha.Context): string {
  const binary = findConsul();
  if (binary !== undefined) return binary;
  const message = "no real Consul here: `sh e2e/servers/install-consul.sh` gets one";
  if (process.env.CI) throw new Error(message);
  console.log(`      skipped: ${message}`);
  return context.skip();
}

/** Starts Consul; settles when it has a leader and answers. */
export async function startConsul(binary: string): Promise<ConsulServer> {
  const [http = 0, server = 0, lan = 0, wan = 0] = await freePorts(4);
  const address = `http://127.0.0.1:${http}`;
  const bind = ["-bind", "127.0.0.1", "-client", "127.0.0.1", "-node", "test", "-log-level", "err", "-disable-host-node-id"];
  const ports = ["-http-port", http, "-server-port", server, "-serf-lan-port", lan, "-serf-wan-port", wan, "-dns-port", -1];
  // From 1.14 on there is one more port, which earlier ones do not know.
  const hasGrpcTls = Number(/v1\.(\d+)/.exec(version(binary))?.[1] ?? 0) >= 14;
  const grpc = ["-grpc-port", "-1", ...(hasGrpcTls ? ["-grpc-tls-port", "-1"] : [])];
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const started = spawn(binary, ["agent", "-dev", ...bind, ...ports.map(String), ...grpc], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    child = started;
    let output = "";
    for (const stream of [started.stdout, started.stderr]) stream?.on("data", (text) => (output = (output + text).slice(-4000)));
    const deadline = Date.now() + 30_000;
    while (!(await hasLeader(address))) {
      if (started.exitCode !== null || Date.now() > deadline) throw new Error(`Consul did not start:\n${output}`);
      await sleep(50);
    }
  }

  async function kill(): Promise<void> {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const { promise, resolve: exited } = Promise.withResolvers<void>();
    running.once("exit", () => exited());
    running.kill("SIGKILL");
    await promise;
  }

  try {
    await start();
  } catch (error) {
    await kill();
    throw error;
  }
  return { address, kill, restart: start, [Symbol.asyncDispose]: kill };
}

function version(binary: string): string {
  return execFileSync(binary, ["version"], { encoding: "utf8" });
}

/** A leader, and the agent's own node in the catalog: before that it takes registrations that nobody sees for a while. */
async function hasLeader(address: string): Promise<boolean> {
  try {
    const response = await fetch(`${address}/v1/health/service/consul`, { signal: AbortSignal.timeout(1000) });
    return response.ok && ((await response.json()) as unknown[]).length > 0;
  } catch {
    return false;
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const { promise, resolve: listening } = Promise.withResolvers<ReturnType<typeof createServer>>();
      const server = createServer().listen(0, "127.0.0.1", () => listening(server));
      return promise;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}
