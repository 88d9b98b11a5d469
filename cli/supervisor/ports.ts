/** Ports of this machine: whether one is free, which one is, and who holds one. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { commandOf, runningPids } from "./process-table.ts";

/** Whether this process could listen on the port. */
export async function isFree(host: string, port: number): Promise<boolean> {
  try {
    await close(await listen(host, port));
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") return false;
    throw error;
  }
}

/** `count` different ports that are free just now. */
export async function freePorts(host: string, count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listen(host, 0)));
  const ports = servers.map(portOf);
  await Promise.all(servers.map(close));
  return ports;
}

/** The process that listens on a port: its name and id, as far as this user may know. */
export interface PortOwner {
  readonly name: string;
  readonly pid: number;
}

/** Who listens on `port`: by /proc on Linux, by `lsof` elsewhere. Undefined when neither tells. */
export function portOwner(port: number): PortOwner | undefined {
  const inodes = listeningInodes(port);
  if (inodes === undefined) return ownerByLsof(port);
  const wanted = new Set(inodes.map((inode) => `socket:[${inode}]`));
  for (const pid of runningPids()) {
    if (socketsOf(pid).some((socket) => wanted.has(socket))) return { name: nameOf(pid), pid };
  }
  return undefined;
}

/** The sentence for a port that is taken. `what` wants it, `variable` changes it. */
export function takenSentence(port: number, what: string, variable: string, owner: PortOwner | undefined): string {
  const by = owner === undefined ? "another process" : `${owner.name} (pid ${owner.pid})`;
  return `port ${port}, which ${what} wants, is taken by ${by}: end that, or choose another port with ${variable}`;
}

/**
 * The socket inodes that listen on `port`, from the text of /proc/net/tcp or tcp6.
 *
 * A line is `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode ...`, the address in hex as
 * `0100007F:1F90`, st 0A being LISTEN.
 */
export function inodesListening(table: string, port: number): readonly string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return table
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === "0A" && fields[1]?.endsWith(suffix))
    .map((fields) => fields[9] ?? "");
}

function listeningInodes(port: number): readonly string[] | undefined {
  try {
    return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((table) => inodesListening(readFileSync(table, "utf8"), port));
  } catch {
    return undefined;
  }
}

function socketsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        return "";
      }
    });
  } catch {
    return [];
  }
}

/** A name that says more than `node`: the program, and its script where it runs one. */
function nameOf(pid: number): string {
  const [program = "a process", ...words] = commandOf(pid);
  const name = (program.split("/").at(-1) ?? program).replace(/:$/, "");
  const script = words.find((word) => !word.startsWith("-"));
  const runsScript = /^(node|python[\d.]*|ruby)$/.test(name) && script !== undefined && /^[^\s()]{1,100}$/.test(script);
  return runsScript ? `${name} ${script}` : name;
}

function ownerByLsof(port: number): PortOwner | undefined {
  try {
    const words = ["-nP", "-Fpc", `-iTCP:${port}`, "-sTCP:LISTEN"];
    const text = execFileSync("lsof", words, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    const pid = Number(/^p(\d+)$/m.exec(text)?.[1]);
    return Number.isInteger(pid) ? { name: /^c(.+)$/m.exec(text)?.[1] ?? "a process", pid } : undefined;
  } catch {
    return undefined;
  }
}

function listen(host: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject).listen({ host, port, exclusive: true }, () => resolve(server));
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server without a port");
  return address.port;
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
