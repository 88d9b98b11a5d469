/**
 * The embedded agent: the part of Consul's HTTP API that Heddle, the `consul` command and clients of that part ask, in one
 * small process. It runs the checks itself and keeps services, checks and keys in a file. consul/README.md says what it lacks.
 */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { hostname } from "node:os";
import type { Logger } from "#mesh/telemetry/log.ts";
import { agentRoutes } from "./agent/agent-routes.ts";
import { catalogRoutes } from "./agent/catalog-routes.ts";
import { ChangeIndex } from "./agent/change-index.ts";
import { CheckRunner } from "./agent/check-runner.ts";
import { KeyValues } from "./agent/key-values.ts";
import { kvRoutes } from "./agent/kv-routes.ts";
import { type CheckRecord, type NodeTable, noPlan } from "./agent/model.ts";
import type { AgentParts } from "./agent/parts.ts";
import { selfRoutes } from "./agent/self-routes.ts";
import { createAgentServer } from "./agent/server.ts";
import { AgentState } from "./agent/state.ts";
import { readStored, Store, type Stored, type StoredNode } from "./agent/store.ts";
import { serfHealthId } from "./agent/views.ts";

/** Where the agent listens and keeps its state. */
export interface AgentOptions {
  /** The address to bind, and the address of the agent's node. It has no access control: bind loopback only. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** The folder of its state file; made when absent. One agent at a time. */
  readonly dataDir: string;
  readonly log: Logger;
  /** Default dc1, as Consul's. */
  readonly datacenter?: string;
  /**
   * Names by which clients reach it, beside IP addresses, `localhost`, `host` and this machine's name; a request to any other is
   * refused, since a web page could have brought a browser to make it. Default none.
   */
  readonly names?: readonly string[];
}

/** A running agent. */
export interface RunningAgent {
  /** `http://host:port` */
  readonly address: string;
  readonly port: number;
  /** Ends every request, stops the checks and writes the state. */
  close(): Promise<void>;
}

/**
 * How far the index jumps at a start. Changes of status are written a moment later than they are told, so an agent that was
 * killed may have handed out higher indexes than it wrote; below those, clients would sleep through changes.
 */
const indexJump = 100_000;

/**
 * Starts the agent; settles when it listens.
 *
 * @throws ConnectError FAILED_PRECONDITION when the port is taken (ADDRESS_IN_USE) or cannot be bound; Error of the file
 * system when the data folder cannot be used.
 */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const { host, dataDir, log, datacenter = "dc1" } = options;
  const stored = await readStored(dataDir, log);
  const index = new ChangeIndex(stored.index + indexJump);
  const local = restoreLocal(stored.local, host, index.current);
  const keys = new KeyValues(stored.keys, index);
  const state = new AgentState(local, stored.others.map(restore), index, () => store.writeSoon());
  const collect = (): Stored => {
    const others = state.nodes().filter((table) => table !== state.local);
    return { version: 1, index: index.current, local: keep(state.local), others: others.map(keep), keys: keys.all() };
  };
  const store = new Store(dataDir, log, collect);
  const runner = new CheckRunner(state, (service, check) => {
    log.warn({ service, check }, "a service was critical for too long and is forgotten");
  });
  const settle = async (anew: readonly string[] = []) => {
    runner.sync(anew);
    await store.write();
  };

  const routes: ReturnType<typeof agentRoutes> = [];
  const server = createAgentServer({ routes, index, datacenter, names: [host, ...(options.names ?? [])], log });
  const port = await listen(server, host, options.port).catch((error) => {
    runner.close();
    throw error;
  });
  const shown = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const parts: AgentParts = { state, keys, runner, datacenter, address: shown, settle };
  routes.push(...selfRoutes(parts), ...agentRoutes(parts), ...catalogRoutes(parts), ...kvRoutes(parts));
  await settle();
  log.info({ address: shown, services: local.services.size, keys: keys.all().length }, "registry agent listens");

  return {
    address: `http://${shown}`,
    port,
    async close() {
      runner.close();
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
      await store.write();
    },
  };
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  try {
    server.listen(port, host);
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  } catch (error) {
    // Only a failure needs it: it brings the protobuf runtime, a third of this process's memory.
    const { failedPrecondition } = await import("#mesh/errors.ts");
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "EADDRINUSE")
      throw failedPrecondition("ADDRESS_NOT_USABLE", `the registry agent cannot listen on ${host}:${port}: ${message}`);
    const advice = "a Consul may run there: set CONSUL_HTTP_ADDR to use it, or to another port for the embedded agent";
    throw failedPrecondition("ADDRESS_IN_USE", `port ${port} on ${host} is already in use; ${advice}`);
  }
}

function restoreLocal(stored: StoredNode | undefined, host: string, index: number): NodeTable {
  const { services, checks } = stored === undefined ? { services: new Map(), checks: new Map() } : restore(stored);
  const id = stored?.node.id ?? randomUUID();
  const indexes = { createIndex: stored?.node.createIndex ?? index, modifyIndex: index };
  const alive: CheckRecord = {
    id: serfHealthId,
    name: "Serf Health Status",
    serviceId: "",
    notes: "",
    status: "passing",
    output: "Agent alive and reachable",
    type: "",
    plan: noPlan,
    ...indexes,
  };
  checks.set(serfHealthId, alive);
  const family = host.includes(":") ? "ipv6" : "ipv4";
  const taggedAddresses = { lan: host, [`lan_${family}`]: host, wan: host, [`wan_${family}`]: host };
  // The name that was stored stays: a machine that is renamed must not leave a dead node behind.
  return {
    node: {
      id,
      name: stored?.node.name ?? hostname(),
      address: host,
      taggedAddresses,
      meta: { "heddle-embedded-agent": "true" },
      ...indexes,
    },
    services,
    checks,
  };
}

function restore({ node, services, checks }: StoredNode): NodeTable {
  const byId = <T extends { readonly id: string }>(records: readonly T[]) =>
    new Map(records.map((record) => [record.id, record]));
  return { node, services: byId(services), checks: byId(checks) };
}

function keep({ node, services, checks }: NodeTable): StoredNode {
  return { node, services: [...services.values()], checks: [...checks.values()] };
}
