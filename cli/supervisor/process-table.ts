/** What the system knows of running processes: /proc where there is one, `ps` elsewhere. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** Whether a process with this id runs; a zombie, which only waits for its parent, does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, as somebody else.
    if (!(error instanceof Error && "code" in error && error.code === "EPERM")) return false;
  }
  return statOf(pid)?.state !== "Z";
}

/**
 * When a process started, as a text that is the same at every look: with the id it names a process for good, since ids are
 * reused. Undefined when it does not run.
 */
export function birthOf(pid: number): string | undefined {
  if (!isRunning(pid)) return undefined;
  return statOf(pid)?.start ?? ps(pid, "lstart");
}

/** The memory that a process holds, in bytes (resident set); undefined when it does not run. */
export function residentBytes(pid: number): number | undefined {
  const status = read(`/proc/${pid}/status`);
  if (status !== undefined) {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  }
  const kilobytes = process.platform === "linux" ? undefined : ps(pid, "rss");
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

/**
 * Bytes of a process and all that descend from it, shared pages divided among those that share them (PSS), so that PostgreSQL's
 * processes do not count their common buffers many times. Where the system does not tell, the process's own resident set.
 */
export function treeBytes(pid: number, children: ReadonlyMap<number, readonly number[]>): number | undefined {
  let total = 0;
  const pending = [pid];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(read(`/proc/${next}/smaps_rollup`) ?? "")?.[1];
    if (kilobytes === undefined && next === pid) return residentBytes(pid);
    total += Number(kilobytes ?? 0) * 1024;
    pending.push(...(children.get(next) ?? []));
  }
  return total;
}

/** The words of a process's command line; empty when the system does not tell. */
export function commandOf(pid: number): readonly string[] {
  const line = read(`/proc/${pid}/cmdline`);
  if (line !== undefined) return line.split("\0").slice(0, -1);
  return process.platform === "linux" ? [] : (ps(pid, "command")?.split(" ") ?? []);
}

/** The ids of the processes that run, where there is a /proc. */
export function runningPids(): readonly number[] {
  try {
    return readdirSync("/proc").map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

/** Every process's children. */
export function childrenByParent(): ReadonlyMap<number, readonly number[]> {
  return Map.groupBy(runningPids(), (pid) => statOf(pid)?.parent ?? 0);
}

/** Fields 3, 4 and 22 of /proc/<pid>/stat; the name in field 2 may hold blanks and brackets, so counting starts after it. */
function statOf(pid: number): { state: string; parent: number; start: string } | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", parent: Number(fields[1]), start: fields[19] ?? "" };
}

function ps(pid: number, field: string): string | undefined {
  try {
    return execFileSync("ps", ["-o", `${field}=`, "-p", String(pid)], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return undefined;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
