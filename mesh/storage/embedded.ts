/** A PostgreSQL of our own, from npm, for machines that have none. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { type Cluster, clusterUser, prepareCluster } from "./cluster.ts";

/** Where the embedded PostgreSQL keeps its data and where it listens. */
export interface EmbeddedOptions {
  /** The folder for data and password; made when absent. One server at a time. */
  readonly dataDir: string;
  /** On 127.0.0.1; 0: any free one. */
  readonly port: number;
  readonly log: Logger;
  /** Start it again when it dies by itself. Default true. */
  readonly restart?: boolean;
}

/** A running PostgreSQL. */
export interface EmbeddedPostgres {
  /** With user and password, for the database `postgres`. */
  readonly url: string;
  readonly port: number;
  /** Of the postmaster now running; another after a restart. */
  readonly pid: number;
  /** Stops it cleanly: clients are cut off, open transactions rolled back. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Starts PostgreSQL on the cluster in `dataDir` and settles when it takes connections: under 1 s for a new cluster, under 0.1 s after.
 *
 * It listens on loopback only, with a random password that lies in the folder (mode 0600), since other users of the machine can reach
 * loopback too. It runs in a session of its own, so Ctrl-C in a terminal does not reach it, and a tiny watcher stops it when this
 * process ends in any way, kill -9 too. What an earlier, killed run left (postmaster.pid, a server without its supervisor) is cleared.
 *
 * @throws Error with one sentence when the port is taken, another process runs on the folder, or the binaries are missing.
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { log } = options;
  const cluster = await prepareCluster(options.dataDir);
  await clearLeftovers(cluster, log);
  let server = await launch(cluster, options.port, log);
  await writeFile(join(cluster.folder, "supervisor.pid"), `${process.pid}\n`);
  const { port } = server;
  const closing = new AbortController();

  async function keepRunning(): Promise<void> {
    for (let failures = 0; ; ) {
      await server.exited;
      if (closing.signal.aborted) return;
      log.error({ pid: server.pid, restart: options.restart !== false }, "the embedded PostgreSQL ended by itself");
      if (options.restart === false) return;
      for (;;) {
        await sleep(Math.min(100 * 2 ** failures, 5000), undefined, { signal: closing.signal, ref: false }).catch(
          () => undefined,
        );
        if (closing.signal.aborted) return;
        try {
          server = await launch(cluster, port, log);
          failures = 0;
          break;
        } catch (error) {
          failures = Math.min(failures + 1, 6);
          log.error({ err: error }, "the embedded PostgreSQL does not start again");
        }
      }
    }
  }
  const kept = keepRunning();

  return {
    url: `postgres://${clusterUser}:${cluster.password}@127.0.0.1:${port}/postgres`,
    port,
    get pid() {
      return server.pid;
    },
    async close() {
      closing.abort();
      await server.stop();
      await kept;
      // A restart that was under way when closing began.
      await server.stop();
      await rm(join(cluster.folder, "supervisor.pid"), { force: true });
    },
  };
}

interface RunningServer {
  readonly pid: number;
  readonly port: number;
  readonly exited: Promise<void>;
  stop(): Promise<void>;
}

/** Settings for a laptop: little memory, few processes, no loss of what was committed. */
const settings: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "400",
  shared_buffers: "32MB",
  huge_pages: "off",
  jit: "off",
  fsync: "on",
  autovacuum: "on",
  autovacuum_max_workers: "1",
  max_wal_size: "256MB",
  wal_level: "minimal",
  max_wal_senders: "0",
  max_logical_replication_workers: "0",
  max_parallel_workers: "0",
  io_method: "sync",
  timezone: "UTC",
  log_timezone: "UTC",
  lc_messages: "C",
  // Statement errors reach the client; the server's own log keeps to what concerns the server.
  log_min_messages: "log",
  log_checkpoints: "off",
};

async function launch(cluster: Cluster, wantedPort: number, log: Logger): Promise<RunningServer> {
  const until = Date.now() + 15_000;
  for (;;) {
    const port = wantedPort === 0 ? await freePort() : wantedPort;
    const { server, said } = await attempt(cluster, port, log);
    if (server !== undefined) return server;
    const taken = /could not bind|already in use/i.test(said) && !/shared memory/i.test(said);
    if (taken && wantedPort !== 0) throw new Error(`port ${port} is taken, so the embedded PostgreSQL cannot listen on it`);
    // Backends of a killed server hold on to its memory until they notice.
    const passing = taken || /shared memory block|lock file/i.test(said);
    if (!passing || Date.now() > until) throw new Error(`the embedded PostgreSQL does not start: ${said.trim()}`);
    await sleep(100);
  }
}

async function attempt(cluster: Cluster, port: number, log: Logger): Promise<{ server?: RunningServer; said: string }> {
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const [program = "", ...args] = [...cluster.command, "-D", cluster.data, "-p", String(port), ...flags];
  const child = spawn(program, args, {
    ...cluster.owner,
    cwd: cluster.folder,
    detached: true,
    env: { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const pid = child.pid;
  if (pid === undefined) return new Promise((settle) => child.once("error", (error) => settle({ said: error.message })));
  const guard = guardOf(pid);
  const exited = new Promise<void>((settle) => {
    child.once("exit", () => {
      guard?.kill("SIGKILL");
      settle();
    });
  });
  child.unref();

  const lines: string[] = [];
  const output = createInterface({ input: child.stderr });
  const ready = new Promise<boolean>((settle) => {
    output.on("line", (line) => {
      const text = line.replace(/^\S+ \S+ \S+ \[\d+\] /, "");
      log.debug({ pid }, `postgres: ${text}`);
      if (lines.length < 20) lines.push(text);
      if (text.includes("ready to accept connections")) settle(true);
    });
    output.on("close", () => settle(false));
  });
  const good = await ready;
  (child.stderr as unknown as { unref(): void }).unref();
  if (!good) {
    await exited;
    return { said: lines.join("; ") };
  }
  return { said: "", server: { pid, port, exited, stop: () => stop(child, exited) } };
}

/** Ends when its standard input does, that is with this process, and then stops the server. Costs about 0.2 MB. */
function guardOf(pid: number): ChildProcess | undefined {
  if (process.platform === "win32") return undefined;
  const guard = spawn("/bin/sh", ["-c", 'read -r _; kill -INT "$0"', String(pid)], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.on("error", () => undefined);
  guard.stdin?.on("error", () => undefined);
  guard.unref();
  (guard.stdin as unknown as { unref?(): void } | null)?.unref?.();
  return guard;
}

/** Fast shutdown, after 10 s an immediate one, after 5 more the hard way (PostgreSQL manual, 18.5). */
async function stop(child: ChildProcess, exited: Promise<void>): Promise<void> {
  for (const [signal, patienceMs] of [
    ["SIGINT", 10_000],
    ["SIGQUIT", 5_000],
    ["SIGKILL", 5_000],
  ] as const) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    child.kill(signal);
    const patience = new AbortController();
    const inTime = exited.then(() => true);
    const late = sleep(patienceMs, false, { signal: patience.signal }).catch(() => false);
    const done = await Promise.race([inTime, late]);
    patience.abort();
    if (done) break;
  }
  await exited;
}

/** Removes a stale postmaster.pid and stops a server whose supervisor is gone. */
async function clearLeftovers(cluster: Cluster, log: Logger): Promise<void> {
  const lock = join(cluster.data, "postmaster.pid");
  const supervisor = await pidIn(join(cluster.folder, "supervisor.pid"));
  const until = Date.now() + 15_000;
  for (let asked = false; existsSync(lock); await sleep(50)) {
    const pid = await pidIn(lock);
    if (pid === undefined || !(await isServerOf(cluster.data, pid))) {
      await rm(lock, { force: true });
      return;
    }
    const orphan = supervisor === undefined || supervisor === process.pid || !isAlive(supervisor);
    if (!orphan || Date.now() > until) throw new Error(`another PostgreSQL (process ${pid}) runs on ${cluster.folder}`);
    if (!asked) {
      log.warn({ pid }, "stopping a PostgreSQL that an earlier run left behind");
      process.kill(pid, "SIGINT");
      asked = true;
    }
  }
}

async function pidIn(file: string): Promise<number | undefined> {
  const first = Number((await readFile(file, "utf8").catch(() => "")).split("\n")[0]?.trim());
  return Number.isInteger(first) && first > 0 ? first : undefined;
}

/** A process id alone proves nothing: it may have been given to another program since. */
async function isServerOf(data: string, pid: number): Promise<boolean> {
  if (!isAlive(pid)) return false;
  if (process.platform !== "linux") return true;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return commandLine.split("\0").includes(data);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function freePort(): Promise<number> {
  return new Promise((settle, fail) => {
    const probe = createServer();
    probe.once("error", fail);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => settle(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
