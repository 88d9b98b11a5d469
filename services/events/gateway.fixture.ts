/** The service, and the gateway, as processes of their own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import type { TestMesh } from "#mesh/testing.ts";
import { eventually } from "./events.fixture.ts";

/** Starts the service in `mesh`. */
export function startProcess(mesh: TestMesh, env: Readonly<Record<string, string>>): ChildProcess {
  return spawn(process.execPath, [here("./service.ts")], {
    env: { ...mesh.env, PATH: process.env.PATH, ...env },
    stdio: ["ignore", "inherit", "inherit"],
  });
}

/** Ends a process, in order unless `signal` says otherwise. */
export async function stopProcess(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  const exited = once(child, "exit");
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await exited;
}

/** Starts the gateway in `mesh`; settles when it answers. */
export async function startGateway({ env }: TestMesh): Promise<AsyncDisposable & { readonly url: string }> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  const child = spawn(process.execPath, [here("../../gateway/service.ts")], {
    env: { ...env, PATH: process.env.PATH, GATEWAY_PORT: String(port), HEDDLE_ADMIN_PORT: "0" },
    stdio: "inherit",
  });
  const url = `http://127.0.0.1:${port}`;
  // Without a token the answer is 401, as soon as there is one.
  await eventually("the gateway", () =>
    fetch(`${url}/api/v1/topics`).then(
      ({ status }) => status === 401,
      () => false,
    ),
  );
  return { url, [Symbol.asyncDispose]: () => stopProcess(child) };
}

function here(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}
