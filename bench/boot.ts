/** From `heddle up` to all healthy, and the memory of everything then. */
import { readdir, readFile } from "node:fs/promises";
import { smallPlatform, startPlatform } from "../e2e/platform.ts";
import { platform as services } from "../services/platform.ts";
import { median } from "./median.ts";

/** Five starts of two services and the gateway, and five of the whole platform, each in a new folder with a new database; prints medians. */
export async function boot(): Promise<void> {
  await starts("two services and the gateway", smallPlatform);
  await starts(
    "the whole platform",
    services.map(({ name }) => name),
  );
}

async function starts(what: string, names: readonly string[]): Promise<void> {
  const bootMs: number[] = [];
  const memoryMb: number[] = [];
  for (let round = 0; round < 5; round++) {
    await using platform = await startPlatform({}, names);
    bootMs.push(platform.bootMs);
    memoryMb.push((await proportionalSetSize(platform.supervisor.pid ?? 0)) / 2 ** 20);
  }
  console.log(`${what}, start to all healthy: median ${Math.round(median(bootMs))} ms of ${bootMs.map(Math.round).join(", ")}`);
  console.log(
    `${what}, PSS of all processes: median ${Math.round(median(memoryMb))} MB of ${memoryMb.map(Math.round).join(", ")}`,
  );
}

/** Bytes of the process and all its descendants, shared pages counted by their share (Linux' smaps_rollup). */
async function proportionalSetSize(root: number): Promise<number> {
  const parents = new Map<number, number>();
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    // The command name may hold blanks and brackets; the parent is the second field after its last bracket.
    const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
    const parent = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const isBelow = (pid: number): boolean => pid === root || (pid > 1 && isBelow(parents.get(pid) ?? 0));
  let bytes = 0;
  for (const pid of parents.keys()) {
    if (!isBelow(pid)) continue;
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
    bytes += 1024 * Number(/^Pss: +(\d+) kB/m.exec(rollup)?.[1] ?? 0);
  }
  return bytes;
}
