/** The folder in which a process keeps its indexes: one that no other process on this machine uses at the same time. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A folder of one's own. */
export interface IndexHome extends Disposable {
  readonly path: string;
}

/** Processes that may share a data folder. */
const most = 64;

/**
 * The first of `index-0`, `index-1`, ... in `dataDir` that no living process holds, so that the only process finds its files again. A process that
 * died holds nothing; neither does one with our own number, which is what the first process of a container was called before too.
 */
export function openIndexHome(dataDir: string): IndexHome {
  for (let number = 0; number < most; number++) {
    const path = join(dataDir, `index-${number}`);
    const lock = join(path, "pid");
    mkdirSync(path, { recursive: true });
    if (!claim(lock) && !(isStale(lock) && (rmSync(lock, { force: true }), claim(lock)))) continue;
    held.add(lock);
    return {
      path,
      [Symbol.dispose]() {
        held.delete(lock);
        rmSync(lock, { force: true });
      },
    };
  }
  throw new Error(`${dataDir}: ${most} processes have their indexes here already`);
}

/** Those that this very process holds. */
const held = new Set<string>();

function claim(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch {
    return false;
  }
}

function isStale(lock: string): boolean {
  let pid: number;
  try {
    pid = Number(readFileSync(lock, "utf8"));
  } catch {
    return true;
  }
  if (pid === process.pid) return !held.has(lock);
  if (!Number.isInteger(pid) || pid <= 0) return true;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
