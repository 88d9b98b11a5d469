/** The gateway as a process of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { stopProcess } from "#mesh/process.fixture.ts";
import type { TestMesh } from "#mesh/testing.ts";
import { eventually } from "./events.fixture.ts";

/** Starts the gateway in `mesh`; settles when it answers. */
export async function startGateway({ env }: TestMesh): Promise<AsyncDisposable & { readonly url: string }> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as { port: number };
  probe.close();
  const child = spawn(process.execPath, [fileURLToPath(new URL("../../gateway/service.ts", import.meta.url))], {
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
