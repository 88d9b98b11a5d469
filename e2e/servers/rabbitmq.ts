/** A real RabbitMQ for tests: a broker of its own on free ports, with a node name and a folder of its own, as an ordinary process. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { until } from "../until.ts";

/** A RabbitMQ that runs. Disposing ends it and removes its folder. */
export interface RabbitServer extends AsyncDisposable {
  /** amqp://guest:guest@127.0.0.1:port */
  readonly url: string;
  /** Ends the broker at once, as a crash would; its folder stays. */
  kill(): Promise<void>;
  /** Starts it again at the same port, with what it had on disk. */
  restart(): Promise<void>;
}

/** The folder of the server's own scripts: Debian's wrapper on PATH would change user and log to /var. */
export function findRabbit(): string | undefined {
  const folders = [
    ...(process.env.RABBITMQ_HOME === undefined ? [] : [join(process.env.RABBITMQ_HOME, "sbin")]),
    "/usr/lib/rabbitmq/bin",
    ...(process.env.PATH ?? "").split(delimiter),
  ];
  return folders.map((folder) => join(folder, "rabbitmq-server")).find((file) => existsSync(file));
}

/**
 * The program, or a skipped test that says so. In CI a missing one is a failure.
 *
 * @throws Error when CI is set and there is none.
 */
export function needRabbit(test: Mocha.Context): string {
  const found = findRabbit();
  if (found !== undefined) return found;
  const message = "no RabbitMQ here: `sh e2e/servers/install-rabbitmq.sh` installs one";
  if (process.env.CI) throw new Error(message);
  console.log(`      skipped: ${message}`);
  return test.skip();
}

/** Starts RabbitMQ; settles when it takes connections. */
export async function startRabbit(program: string): Promise<RabbitServer> {
  const folder = await mkdtemp(join(tmpdir(), "heddle-rabbit-"));
  const [port = 0, distribution = 0, epmd = 0] = await freePorts(3);
  const home = join(folder, "home");
  await mkdir(home);
  await writeFile(join(folder, "rabbitmq.conf"), config(port));
  await writeFile(join(folder, "enabled_plugins"), "[].\n");
  const env = {
    ...process.env,
    HOME: home,
    RABBITMQ_NODENAME: `heddle-${port}@localhost`,
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_MNESIA_BASE: join(folder, "mnesia"),
    RABBITMQ_LOG_BASE: join(folder, "log"),
    RABBITMQ_LOGS: "-",
    RABBITMQ_CONFIG_FILE: join(folder, "rabbitmq.conf"),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "enabled_plugins"),
    RABBITMQ_PID_FILE: join(folder, "pid"),
    RABBITMQ_CONF_ENV_FILE: "/dev/null",
    // A port mapper of its own, started below: Erlang would start one for the whole machine, and leave it.
    ERL_EPMD_PORT: String(epmd),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    // Little memory, few threads: it shares the machine with the tests.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "+S 1:1 +SDio 4 +A 4",
  };
  let child: ChildProcess | undefined;
  let output = "";
  const mapper = spawn("epmd", ["-port", String(epmd), "-address", "127.0.0.1"], { env, cwd: "/", stdio: "ignore" });

  async function start(): Promise<void> {
    // A group of its own, so that the shell and the emulator end together.
    const started = spawn(program, [], { env, cwd: folder, stdio: ["ignore", "pipe", "pipe"], detached: true });
    child = started;
    for (const stream of [started.stdout, started.stderr]) stream?.on("data", (text) => (output = (output + text).slice(-4000)));
    await until(
      "RabbitMQ to answer",
      () => {
        if (started.exitCode !== null) throw new Error(`RabbitMQ did not start:\n${output}`);
        return answers(port);
      },
      90_000,
    );
  }

  // A test run that is cut short disposes of nothing.
  const onExit = () => {
    if (child?.pid !== undefined) killGroup(child.pid);
    mapper.kill("SIGKILL");
  };
  process.once("exit", onExit);

  async function kill(): Promise<void> {
    const running = child;
    child = undefined;
    if (running?.pid === undefined) return;
    const ended = running.exitCode !== null || running.signalCode !== null ? undefined : once(running, "exit");
    killGroup(running.pid);
    await ended;
    await until("RabbitMQ to be gone", async () => !(await answers(port)));
  }

  async function stop(): Promise<void> {
    process.off("exit", onExit);
    await kill();
    const ended =
      mapper.exitCode !== null || mapper.signalCode !== null || mapper.pid === undefined ? undefined : once(mapper, "exit");
    mapper.kill("SIGKILL");
    await ended;
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }

  try {
    await Promise.race([once(mapper, "spawn"), once(mapper, "error").then(([error]) => Promise.reject(error))]);
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `amqp://guest:guest@127.0.0.1:${port}`, kill, restart: start, [Symbol.asyncDispose]: stop };
}

function config(port: number): string {
  return [
    `listeners.tcp.1 = 127.0.0.1:${port}`,
    "vm_memory_high_watermark.absolute = 400MiB",
    "disk_free_limit.absolute = 10MB",
    "",
  ].join("\n");
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** Whether it speaks AMQP: a port that is open may be one that is just being taken. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("AMQP\x00\x00\x09\x01"));
    const settle = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once("data", (data) => settle(data.length > 8));
    socket.once("error", () => settle(false));
    socket.once("close", () => settle(false));
    socket.setTimeout(2000, () => settle(false));
  });
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const { promise, resolve } = Promise.withResolvers<ReturnType<typeof createServer>>();
      const server = createServer().listen(0, "127.0.0.1", () => resolve(server));
      return promise;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}
