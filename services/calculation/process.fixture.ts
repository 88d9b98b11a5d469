/** The service as a process of its own, with the flags and the compile cache that `heddle up` gives it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { CalculationService } from "#gen/calculation/v1/calculation_pb.ts";
import type { TestMesh } from "#mesh/testing.ts";

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
  // Several in a row: a breaker that opened while there was no process lets a few through before all.
  let answered = 0;
  for (const end = Date.now() + 20_000; answered < 30; ) {
    try {
      await mesh.client(CalculationService).evaluate({ expression: "1" });
      answered++;
    } catch (error) {
      answered = 0;
      if (child.exitCode !== null || Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return child;
}

/** Ends it, in order unless `signal` says otherwise. */
export async function stopProcess(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  child.kill(signal);
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

function here(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}
