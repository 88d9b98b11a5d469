/** What the tests of discovery share: a program outside the mesh, and an agent that can lose its memory. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { startAgent } from "#mesh/registry/agent.ts";

/** A program that answers every request with `status`. */
export interface Program extends AsyncDisposable {
  status: number;
  readonly port: number;
  /** The paths that were asked, in order. */
  readonly paths: readonly string[];
}

/** Starts a program on a free port of 127.0.0.1. */
export async function startProgram(): Promise<Program> {
  const paths: string[] = [];
  const server = createServer((incoming, outgoing) => {
    paths.push(incoming.url ?? "");
    outgoing.writeHead(program.status).end("as ever");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const program = {
    status: 200,
    port: (server.address() as AddressInfo).port,
    paths,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      if (server.listening) await new Promise((closed) => server.close(closed));
    },
  };
  return program;
}

/** An embedded agent that can be killed and started again at its address. */
export interface MortalAgent extends AsyncDisposable {
  readonly address: string;
  stop(): Promise<void>;
  /** With what it knew, or knowing nothing. */
  restart(memory: "kept" | "lost"): Promise<void>;
}

/** Starts the agent. */
export async function mortalAgent(): Promise<MortalAgent> {
  const dataDir = await mkdtemp(join(tmpdir(), "heddle-discovery-"));
  const options = { host: "127.0.0.1", dataDir, log: pino({ level: "silent" }) };
  let agent = await startAgent({ ...options, port: 0 });
  const { address, port } = agent;
  let running = true;
  const stop = async () => {
    if (running) await agent.close();
    running = false;
  };
  return {
    address,
    stop,
    async restart(memory) {
      if (memory === "lost") await rm(dataDir, { recursive: true, force: true });
      agent = await startAgent({ ...options, port });
      running = true;
    },
    async [Symbol.asyncDispose]() {
      await stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Settles when `condition` holds. @throws Error when it does not within `ms` milliseconds. */
export async function until(condition: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`expected within ${ms} ms: ${condition}`);
    await sleep(20);
  }
}
