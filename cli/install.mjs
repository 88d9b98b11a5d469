/**
 * Installs the locked dependencies when they are absent or stale; what `npm start` and `npm test` run first.
 *
 * Plain JavaScript for Node 20 with no dependency, since nothing may be installed yet. A stamp in node_modules, written after
 * an install that succeeded, holds the hash of the package-lock.json it came from: no stamp or another hash is stale, and so an
 * interrupted install is too. An `npm ci` or `npm install` by hand counts as well, by npm's own record of what it installed.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/**
 * Brings node_modules of `folder` to what its package-lock.json says.
 *
 * @param {string} folder
 * @returns {Promise<number>} the exit code: 0, or npm's when it failed.
 */
export async function install(folder) {
  const lock = readFileSync(join(folder, "package-lock.json"), "utf8");
  const stamp = stampOf(lock);
  const stampFile = join(folder, "node_modules/.heddle-lock");
  const state = installState({
    stamp,
    kept: read(stampFile),
    lock,
    record: read(join(folder, "node_modules/.package-lock.json")),
    present: existsSync(join(folder, "node_modules")),
    node: existsSync(join(folder, "node_modules/.bin/node")),
  });
  if (state === "unstamped") writeFileSync(stampFile, stamp);
  if (state === "fresh" || state === "unstamped") {
    linkCommand(folder);
    return 0;
  }
  console.log(
    state === "absent"
      ? "Installing the locked dependencies (once, about a minute)"
      : "Installing the locked dependencies again, since package-lock.json is newer or the last install did not finish",
  );
  const { code, output } = await npmCi(folder);
  if (code === 0 && existsSync(join(folder, "node_modules/.bin/node"))) {
    writeFileSync(stampFile, stamp);
    linkCommand(folder);
    return 0;
  }
  // npm follows its reason with pages of usage.
  const said = output
    .split(/^npm error (?:Clean install a project|Usage:)/m)[0]
    ?.split("\n")
    .slice(0, 30)
    .join("\n")
    .trim();
  console.error(`${said}\n\n${explain(code, output)}`.trimStart());
  return code === 0 ? 1 : code;
}

/**
 * What must be done about node_modules. `fresh`: nothing. `unstamped`: npm was run by hand and installed just what the lock says,
 * so only the stamp is missing. `absent` and `stale`: install.
 *
 * @param {{ stamp: string, kept: string | undefined, lock: string, record: string | undefined, present: boolean, node: boolean }} seen
 *   the stamp that a fresh install has, the one that was kept, the text of package-lock.json, npm's record of what it installed
 *   (node_modules/.package-lock.json), whether node_modules is there, and whether the Node that Heddle runs on is in it.
 * @returns {"absent" | "stale" | "unstamped" | "fresh"}
 */
export function installState(seen) {
  if (!seen.present) return "absent";
  if (!seen.node) return "stale";
  if (seen.kept === seen.stamp) return "fresh";
  return seen.record !== undefined && recordMatches(seen.lock, seen.record) ? "unstamped" : "stale";
}

/**
 * The stamp of an install from this package-lock.json on this kind of machine: some packages hold binaries.
 *
 * @param {string} lock
 * @returns {string}
 */
export function stampOf(lock) {
  return `${createHash("sha256").update(lock).digest("hex")} ${process.platform}-${process.arch}\n`;
}

/**
 * Puts `heddle` beside the dependencies' commands, where `npx heddle` and npm scripts look first: npm does not link the bin of the
 * package that it installs for. Where links are not allowed, `node cli/heddle.mjs` is the same.
 */
function linkCommand(folder) {
  const link = join(folder, "node_modules/.bin/heddle");
  if (existsSync(link)) return;
  try {
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync("../../cli/heddle.mjs", link);
  } catch {
    // Nothing depends on it.
  }
}

/** Whether npm's record holds every package of the lock that it had to install, and nothing else. */
function recordMatches(lock, record) {
  try {
    const wanted = JSON.parse(lock).packages;
    const installed = JSON.parse(record).packages;
    const same = (path) =>
      wanted[path]?.version === installed[path].version && wanted[path]?.integrity === installed[path].integrity;
    const mayLack = (path) => path === "" || wanted[path].optional || wanted[path].dev || wanted[path].devOptional;
    return Object.keys(installed).every(same) && Object.keys(wanted).every((path) => path in installed || mayLack(path));
  } catch {
    return false;
  }
}

/** Runs `npm ci`, by the npm and the Node that run this script where npm runs it: node_modules' own Node is about to go away. */
function npmCi(folder) {
  const { npm_node_execpath: node, npm_execpath: npm } = process.env;
  const known = node !== undefined && npm?.endsWith(".js") && existsSync(node) && !node.startsWith(join(folder, "node_modules"));
  const words = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  const options = { cwd: folder, stdio: ["ignore", "pipe", "pipe"] };
  const child = known
    ? spawn(node, [npm, ...words], options)
    : spawn("npm", words, { ...options, shell: process.platform === "win32" });
  const parts = [];
  child.stdout.on("data", (part) => parts.push(part));
  child.stderr.on("data", (part) => parts.push(part));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.on("error", (error) => resolve({ code: 1, output: String(error) }));
    child.on("close", (code) => resolve({ code: code ?? 1, output: Buffer.concat(parts).toString() }));
  });
}

const reasons = [
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET|ENETUNREACH/,
    "The registry could not be reached: check the network, or npm's `registry` and `proxy` settings, and run the command again.",
  ],
  [
    /EUSAGE|can only install packages when your package\.json/,
    "package.json and package-lock.json do not belong together: run `npm install` once and commit the lock.",
  ],
  [/EACCES|EPERM|EROFS/, "A folder could not be written: check who owns this folder and npm's cache (`npm config get cache`)."],
  [/ENOSPC/, "The disk is full: `npm cache clean --force` may free some of it."],
  [/EINTEGRITY/, "A package differs from what the lock says: `npm cache verify` repairs a damaged cache."],
  [/E404|ETARGET/, "The registry does not hold a locked package: check npm's `registry` setting."],
  [/spawn npm ENOENT/, "npm was not found: it comes with Node (20 or later)."],
];

/**
 * One sentence on why `npm ci` failed and what to do.
 *
 * @param {number} code npm's exit code.
 * @param {string} output what npm wrote.
 * @returns {string}
 */
export function explain(code, output) {
  if (code === 0)
    return "npm ran without the install script of the package `node`, which Heddle runs on: allow it (`ignore-scripts` must be false).";
  const reason = reasons.find(([pattern]) => pattern.test(output));
  return reason?.[1] ?? `npm ci failed with exit code ${code}; the lines above are npm's.`;
}

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

// Last, since what stands above must be there by then.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = await install(root);
}
