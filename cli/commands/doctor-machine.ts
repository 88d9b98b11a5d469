import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { freemem, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { ConfigError } from "#mesh/config.ts";
import { platform } from "../../services/platform.ts";
import type { CommandContext } from "../command-context.ts";
import { installState, stampOf } from "../install.mjs";
import { platformStatus } from "../supervisor/control-client.ts";
import { makePlan } from "../supervisor/plan.ts";
import { isFree, portOwner, takenSentence } from "../supervisor/ports.ts";
import { consulUrl } from "../supervisor/registry-probe.ts";
import { readPlatformSettings } from "../supervisor/settings.ts";
import { humanBytes } from "../terminal/quantity.ts";
import { type Finding, fail, ok, warn } from "./doctor.ts";

const run = promisify(execFile);

/** The Node that runs the services. */
export async function checkNode({ root }: CommandContext): Promise<Finding> {
  const node = join(root, "node_modules/.bin/node");
  if (!existsSync(node)) return fail(`${node} is missing`, "run `npm ci`");
  const { stdout } = await run(node, ["--version"]);
  const version = stdout.trim();
  return Number(/^v(\d+)/.exec(version)?.[1]) >= 26
    ? ok(version)
    : fail(`${version}, and Heddle needs 26 or later`, "run `npm ci`");
}

/** npm, which installs the dependencies. */
export async function checkNpm(): Promise<Finding> {
  try {
    const { stdout } = await run("npm", ["--version"], { shell: process.platform === "win32" });
    return ok(stdout.trim());
  } catch {
    return warn("npm was not found", "it comes with Node; the platform runs without it, but nothing can be installed");
  }
}

/** Whether node_modules is what package-lock.json says. */
export async function checkDependencies({ root }: CommandContext): Promise<Finding> {
  const lock = readFileSync(join(root, "package-lock.json"), "utf8");
  const modules = join(root, "node_modules");
  const read = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : undefined);
  const state = installState({
    stamp: stampOf(lock),
    kept: read(join(modules, ".heddle-lock")),
    lock,
    record: read(join(modules, ".package-lock.json")),
    present: existsSync(modules),
    node: existsSync(join(modules, ".bin/node")),
  });
  return state === "fresh" || state === "unstamped"
    ? ok("as package-lock.json says")
    : fail(`${state}`, "run `npm ci`, or just `npm start`");
}

/** Whether gen/ was made from the contracts as they are. */
export async function checkContracts({ root }: CommandContext): Promise<Finding> {
  const buf = join(root, "node_modules/.bin/buf");
  if (!existsSync(buf)) return ok("not checked: buf is not installed here");
  const folder = mkdtempSync(join(tmpdir(), "heddle-doctor-"));
  try {
    await run(process.execPath, [join(root, "cli/generate.ts"), "--modules-only"], { cwd: root });
    const image = join(folder, "contracts.binpb");
    await run(buf, ["build", "proto", "-o", image], { cwd: root });
    const same = readFileSync(image).equals(readFileSync(join(root, "gen/contracts.binpb")));
    return same ? ok("gen/ is up to date") : warn("proto/ has changed since gen/ was made", "run `npm run generate`");
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : String(error);
    return fail(`the contracts do not build: ${said.split("\n")[0]}`, "run `npm run generate` to see all");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Whether the platform's own settings make sense; each service reads its own at its start. */
export async function checkSettings({ env }: CommandContext): Promise<Finding> {
  try {
    const { platform: settings } = readPlatformSettings(env, platform);
    if (settings.consulAddress !== "") consulUrl(settings.consulAddress);
    return ok("HEDDLE_*, DATABASE_URL and CONSUL_HTTP_ADDR make sense");
  } catch (error) {
    if (error instanceof ConfigError) return fail(error.mistakes.join("; "), "correct or unset it");
    throw error;
  }
}

/** Whether the platform's ports are free, or held by the platform itself. */
export async function checkPorts({ root, env, folder }: CommandContext): Promise<Finding> {
  const running = await platformStatus(folder);
  if (running !== undefined) return ok("held by the platform, which runs");
  const plan = await makePlan(root, env, []);
  const taken: string[] = [];
  for (const { name, port, adminPort, portVariable } of plan.specs) {
    for (const wanted of new Set([port, adminPort])) {
      if (!(await isFree(plan.settings.host, wanted))) taken.push(takenSentence(wanted, name, portVariable, portOwner(wanted)));
    }
  }
  const [first] = taken;
  if (first !== undefined) {
    const others = taken.length === 1 ? "" : ` (and ${taken.length - 1} more ports are taken)`;
    return fail(`${first}${others}`, "or HEDDLE_PORT_OFFSET=100, which moves all ports");
  }
  return ok(`${plan.specs.map(({ port }) => port).join(", ")} are free`);
}

/** Space for the database and the logs. */
export async function checkDisk({ folder }: CommandContext): Promise<Finding> {
  const { bavail, bsize } = await statfs(nearestFolder(folder.path));
  const free = bavail * bsize;
  const remedy = "free some, or put HEDDLE_DATA on another disk";
  if (free < 300 * 2 ** 20) return fail(`${humanBytes(free)} free`, remedy);
  return free < 2 ** 30 ? warn(`${humanBytes(free)} free`, remedy) : ok(`${humanBytes(free)} free`);
}

/** Memory for about 700 MiB of processes. */
export async function checkMemory(): Promise<Finding> {
  const info = existsSync("/proc/meminfo") ? readFileSync("/proc/meminfo", "utf8") : "";
  const kilobytes = /^MemAvailable:\s+(\d+) kB$/m.exec(info)?.[1];
  const free = kilobytes === undefined ? freemem() : Number(kilobytes) * 1024;
  if (free < 400 * 2 ** 20) return fail(`${humanBytes(free)} available`, "the platform takes about 700 MiB: end other programs");
  return free < 2 ** 30
    ? warn(`${humanBytes(free)} available`, "the platform takes about 700 MiB")
    : ok(`${humanBytes(free)} available`);
}

/** Whether the data folder can be written, and its secret is nobody else's. */
export async function checkData({ folder }: CommandContext): Promise<Finding> {
  try {
    accessSync(nearestFolder(folder.path), constants.W_OK);
  } catch {
    return fail(`${folder.path} cannot be written`, "give it to this user, or name another folder with HEDDLE_DATA");
  }
  if (!existsSync(folder.path)) return ok(`${folder.path} will be made`);
  const readable = existsSync(folder.secret) && (statSync(folder.secret).mode & 0o077) !== 0;
  return readable ? fail(`others can read ${folder.secret}`, `chmod 600 ${folder.secret}`) : ok(folder.path);
}

function nearestFolder(path: string): string {
  return existsSync(path) ? path : nearestFolder(dirname(path));
}
