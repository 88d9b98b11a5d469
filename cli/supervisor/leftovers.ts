import { setTimeout as sleep } from "node:timers/promises";
import { type DataFolder, readJson, writePrivately } from "./data-folder.ts";
import { birthOf } from "./process-table.ts";

interface Leftover {
  readonly pid: number;
  readonly birth: string;
}

/** Writes down which processes run, so that a later command finds them when the supervisor was killed. */
export function recordProcesses(folder: DataFolder, pids: readonly number[]): void {
  const known = pids.flatMap((pid) => {
    const birth = birthOf(pid);
    return birth === undefined ? [] : [{ pid, birth }];
  });
  writePrivately(folder.processes, JSON.stringify(known));
}

/** The processes of an earlier run that still run. */
export function leftovers(folder: DataFolder): readonly number[] {
  const recorded = readJson<readonly Leftover[]>(folder.processes) ?? [];
  return recorded.filter(({ pid, birth }) => birthOf(pid) === birth).map(({ pid }) => pid);
}

/**
 * Waits until the processes of an earlier run are gone: they end by themselves once they see that their supervisor is. Those that
 * have not after `patienceMs` milliseconds are killed. Call it only when no supervisor runs on the folder.
 */
export async function clearLeftovers(folder: DataFolder, patienceMs: number, report: (line: string) => void): Promise<void> {
  const found = leftovers(folder);
  if (found.length === 0) return;
  report(`waiting for ${found.length} ${found.length === 1 ? "process" : "processes"} of an earlier run to end`);
  const until = Date.now() + patienceMs;
  while (leftovers(folder).length > 0 && Date.now() < until) await sleep(50);
  for (const pid of leftovers(folder)) killGroup(pid);
  while (leftovers(folder).length > 0 && Date.now() < until + 5000) await sleep(20);
}

function killGroup(pid: number): void {
  try {
    // Each process of the platform leads a group of its own.
    process.kill(-pid, "SIGKILL");
  } catch {
    // It ended meanwhile.
  }
}
