/** A service as a process of its own, with the flags and the environment that `heddle up` gives it: for tests that measure it or kill it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { TestMesh } from "./testing.ts";

/** What to start, and where. */
export interface ProcessOptions {
  readonly mesh: TestMesh;
  /** The service's service.ts. */
  readonly module: URL;
  /** Environment beside that of the mesh. */
  readonly env?: Readonly<Record<string, string>>;
  /** A module that is loaded before it. */
  readonly loaded?: URL;
  /** A call that it answers once it serves. */
  readonly ask: () => Promise<unknown>;
  /** How many calls it must answer in a row. Default 1; more, where a breaker that is open lets a few through before all. */
  readonly inARow?: number;
}

/** See cli/supervisor/plan.ts. */
const supervised = { MALLOC_MMAP_THRESHOLD_: "32768", MALLOC_ARENA_MAX: "2" };

/** Starts the service, and waits until it answers. @throws what the call says after 20 s, or when the process has ended. */
export async function startProcess({ mesh, module, env, loaded, ask, inARow = 1 }: ProcessOptions): Promise<ChildProcess> {
  const flags = ["--max-old-space-size=192", "--max-semi-space-size=8"];
  const before = loaded === undefined ? [] : ["--import", loaded.href];
  const cache = fileURLToPath(new URL("../node_modules/.cache/heddle", import.meta.url));
  const child = spawn(process.execPath, [...flags, ...before, fileURLToPath(module)], {
    env: { ...mesh.env, PATH: process.env.PATH, ...supervised, NODE_COMPILE_CACHE: cache, ...env },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const end = Date.now() + 20_000;
  for (let answered = 0; answered < inARow; ) {
    try {
      await ask();
      answered++;
    } catch (error) {
      answered = 0;
      if (child.exitCode !== null || Date.now() > end) throw error;
      await sleep(50);
    }
  }
  return child;
}

/** Ends a process, in order unless `signal` says otherwise; settles when it has ended. */
export async function stopProcess(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill(signal);
  await exited;
}
