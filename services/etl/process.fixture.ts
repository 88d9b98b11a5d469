/** The service as a process of its own, with the flags and the compile cache that `heddle up` gives it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { EtlService } from "#gen/etl/v1/etl_pb.ts";
import type { TestMesh } from "#mesh/testing.ts";
import { ann } from "./etl.fixture.ts";

/** Starts it in `mesh`, and waits until it answers. `loaded` names a module beside this one that is loaded before it. */
export async function startProcess(
  mesh: TestMesh,
  env: Readonly<Record<string, string>>,
  loaded?: string,
): Promise<ChildProcess> {
  const flags = ["--max-old-space-size=192", "--max-semi-space-size=8"];
  const before = loaded === undefined ? [] : ["--import", here(loaded)];
  const child = spawn(process.execPath, [...flags, ...before, here("./service.ts")], {
    env: { ...mesh.env, PATH: process.env.PATH, NODE_COMPILE_CACHE: here("../../node_modules/.cache/heddle"), ...env },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  for (const end = Date.now() + 20_000; ; ) {
    try {
      await mesh.client(EtlService).listTables({ userId: ann });
      return child;
    } catch (error) {
      if (child.exitCode !== null || Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Ends it, in order unless `signal` says otherwise. */
export async function stopProcess(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  const exit = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
  child.kill(signal);
  await exit;
}

/** Bytes of memory that a process has for itself and its share of what it has with others (PSS); 0 when it is gone. */
export async function memoryOf({ pid }: ChildProcess): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024;
}

function here(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}
