/** Where the rules of the registry's contract play: one server, a bad line to it, and what each rule sets up. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { type ConsulOptions, openConsul } from "../consul.ts";
import type { Instance, Registration, Registry } from "../registry.ts";
import { FaultyProxy, HealthServer } from "./peers.ts";

/** A server under the contract. */
export interface ContractServer extends AsyncDisposable {
  readonly address: string;
  /** Ends it, as a crash would. */
  kill(): Promise<void>;
  /** Starts it again at the same address, knowing nothing. */
  restart(): Promise<void>;
}

/** The shared server, and what the running rule has opened. */
export class Stage implements AsyncDisposable {
  readonly server: ContractServer;
  /** A line to the server that can be made bad. */
  readonly proxy: FaultyProxy;
  /** A folder for the suite's files. */
  readonly folder: string;
  /** What the end of the running rule closes. */
  cleanup = new AsyncDisposableStack();
  #count = 0;

  static async open(server: ContractServer): Promise<Stage> {
    return new Stage(server, await FaultyProxy.start(server.address), await mkdtemp(join(tmpdir(), "heddle-registry-")));
  }

  constructor(server: ContractServer, proxy: FaultyProxy, folder: string) {
    this.server = server;
    this.proxy = proxy;
    this.folder = folder;
  }

  /** Closes what a rule has opened, and makes the line good. */
  async endRule(): Promise<void> {
    this.proxy.mode = "pass";
    this.proxy.index = undefined;
    const opened = this.cleanup;
    this.cleanup = new AsyncDisposableStack();
    await opened.disposeAsync();
  }

  /** A registry that the rule's end closes. */
  open(options: Partial<ConsulOptions> = {}): Registry {
    return this.cleanup.use(openConsul({ address: this.server.address, log: pino({ level: "silent" }), ...options }));
  }

  /** A serving gRPC health server, and a registration of it under a name of its own. */
  async serving(): Promise<{ health: HealthServer; registration: Registration; service: string }> {
    const health = this.cleanup.use(await HealthServer.start());
    this.#count += 1;
    const service = `contract-${this.#count}`;
    const tags = ["grpc", "demo.v1.DemoService"];
    const meta = { version: "1.2.3", protocol: "h2c" };
    const timing = { checkIntervalMs: 1000, deregisterAfterMs: 60_000 };
    const address = { address: "127.0.0.1", port: health.port };
    return { health, service, registration: { id: `${service}-a`, service, ...address, tags, meta, ...timing } };
  }

  /** What a watch of `service` publishes, newest last. */
  watched(registry: Registry, service: string) {
    const states: (readonly Instance[])[] = [];
    const watch = this.cleanup.use(registry.watchService(service, (instances) => states.push(instances)));
    return { watch, states, last: () => states.at(-1) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Whether the first instance is passing. */
export function isPassing(instances: readonly Instance[] | undefined): boolean {
  return instances?.[0]?.status === "passing";
}
