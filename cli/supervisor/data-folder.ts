import { createHash, randomBytes } from "node:crypto";
import { chmodSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Failure } from "../failure.ts";
import { birthOf } from "./process-table.ts";

/** The folder that holds all state of a platform: HEDDLE_DATA, or `.heddle` in the project. */
export interface DataFolder {
  readonly path: string;
  readonly logs: string;
  /** The socket that the supervisor is told what to do by. */
  readonly controlSocket: string;
  /** Names the supervisor that owns the folder. */
  readonly lock: string;
  /** The secret that the mesh's processes share. */
  readonly secret: string;
  /** The ids and births of the processes that run, to find them again when the supervisor was killed. */
  readonly processes: string;
  /** The address of the embedded PostgreSQL, its password included. */
  readonly postgresUrl: string;
}

/** The folder's paths; nothing is made yet. `given` is HEDDLE_DATA, relative to the working folder. */
export function dataFolder(root: string, given: string | undefined): DataFolder {
  const path = given === undefined || given === "" ? join(root, ".heddle") : resolve(given);
  return {
    path,
    logs: join(path, "logs"),
    controlSocket: socketPath(path),
    lock: join(path, "supervisor.json"),
    secret: join(path, "secret"),
    processes: join(path, "processes.json"),
    postgresUrl: join(path, "postgres-url"),
  };
}

/** Makes the folder, where it is absent. */
export function createDataFolder(folder: DataFolder): void {
  // 0711: PostgreSQL runs as a user of its own when root starts it, and must get through to its part.
  mkdirSync(folder.path, { recursive: true, mode: 0o711 });
  mkdirSync(folder.logs, { recursive: true, mode: 0o700 });
}

/** The secret of the mesh: the one given, else the folder's, made at its first use (0600). */
export function meshSecret(folder: DataFolder, given: string | undefined): string {
  if (given !== undefined && given !== "") return given;
  const fresh = `${folder.secret}.${process.pid}`;
  writePrivately(fresh, `${randomBytes(32).toString("base64url")}\n`);
  try {
    // A link is made only where no file stands, so of two that start at once both read the same secret.
    linkSync(fresh, folder.secret);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  } finally {
    rmSync(fresh, { force: true });
  }
  return readFileSync(folder.secret, "utf8").trim();
}

/** Who owns the folder. */
export interface Owner {
  readonly pid: number;
  readonly birth: string;
}

/** The supervisor that runs on the folder; undefined when there is none, also when one died and left its file behind. */
export function ownerOf(folder: DataFolder): Owner | undefined {
  const owner = readJson<Owner>(folder.lock);
  return owner !== undefined && birthOf(owner.pid) === owner.birth ? owner : undefined;
}

/**
 * Takes the folder for this process, until the returned function is called.
 *
 * @throws Failure when another supervisor runs on it.
 */
export function own(folder: DataFolder): () => void {
  const mine = { pid: process.pid, birth: birthOf(process.pid) ?? "" };
  const fresh = `${folder.lock}.${process.pid}`;
  writePrivately(fresh, JSON.stringify(mine));
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        linkSync(fresh, folder.lock);
        break;
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
        const owner = ownerOf(folder);
        if (owner !== undefined || attempt > 3) {
          throw new Failure(
            `the platform is running already (pid ${owner?.pid ?? "unknown"}): see \`heddle status\`, or end it with \`heddle down\``,
          );
        }
        rmSync(folder.lock, { force: true });
      }
    }
  } finally {
    rmSync(fresh, { force: true });
  }
  return () => rmSync(folder.lock, { force: true });
}

/** Writes a file that only its owner may read; whole or not at all. */
export function writePrivately(path: string, text: string): void {
  const fresh = `${path}.${process.pid}.new`;
  writeFileSync(fresh, text, { mode: 0o600 });
  chmodSync(fresh, 0o600);
  renameSync(fresh, path);
}

/** The JSON in a file; undefined when there is no such file or no JSON in it. */
export function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch {
    return undefined;
  }
}

/** The folder's own socket where its path fits into a socket address (108 bytes), else one in the system's folder for such. */
function socketPath(path: string): string {
  const own = join(path, "control.sock");
  if (Buffer.byteLength(own) < 100) return own;
  return join(tmpdir(), `heddle-${createHash("sha256").update(path).digest("hex").slice(0, 16)}.sock`);
}
