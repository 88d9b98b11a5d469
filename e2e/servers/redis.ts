/** A real Redis: Debian's redis-server, or any other on PATH, on a port of its own and without files. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { needTool } from "../tools.ts";
import { until } from "../until.ts";

/** A Redis that runs. Disposing ends it. */
export interface RedisServer extends AsyncDisposable {
  /** redis://127.0.0.1:port */
  readonly url: string;
  /** Ends the process at once, as a crash would. */
  kill(): Promise<void>;
  /** Starts it again at the same port, knowing nothing. */
  restart(): Promise<void>;
  /** Stops and continues the process: it then takes connections and answers nothing. */
  signal(name: "SIGSTOP" | "SIGCONT"): void;
}

/** The binary, or a printed skip of the test; in CI a missing one is an error. */
export function needRedis(test: Mocha.Context): string {
  return needTool(test, "redis-server");
}

/** Starts Redis; settles when it answers. */
export async function startRedis(binary: string): Promise<RedisServer> {
  const port = await freePort();
  const args = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"].map(String);
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    child = spawn(binary, args, { stdio: "ignore", cwd: "/" });
    await until("redis-server to answer", () => answers(port));
  }

  async function kill(): Promise<void> {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const exited = once(running, "exit");
    running.kill("SIGKILL");
    await exited;
  }

  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    kill,
    restart: start,
    signal: (name) => void child?.kill(name),
    [Symbol.asyncDispose]: kill,
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    const settle = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once("data", (data) => settle(data.toString().startsWith("+PONG")));
    socket.once("error", () => settle(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
