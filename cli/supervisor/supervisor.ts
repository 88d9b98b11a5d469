import { join } from "node:path";
import { Failure } from "../failure.ts";
import { rotate } from "./log-file.ts";
import { ManagedProcess } from "./managed-process.ts";
import { freePorts, isFree, portOwner, takenSentence } from "./ports.ts";
import { type InstanceSpec, instanceOf, type ProcessSpec } from "./process-spec.ts";
import { childrenByParent, treeBytes } from "./process-table.ts";
import { type RollingParts, roll } from "./rolling.ts";
import { startOrder } from "./start-order.ts";

/** What a supervisor is given. */
export interface SupervisorOptions {
  readonly specs: readonly ProcessSpec[];
  readonly host: string;
  readonly cwd: string;
  /** The folder of the log files, which exists. */
  readonly logs: string;
  /** A process's environment, read at each of its starts. */
  readonly environment: (spec: InstanceSpec) => Readonly<Record<string, string | undefined>>;
  /** Waits until an instance that is ready can be found, or is not worth waiting for any longer. */
  readonly untilDiscovered: (spec: InstanceSpec) => Promise<void>;
  /** Told of every change of a process's state. */
  readonly onChange?: (process: ManagedProcess) => void;
  /** Told whenever the set of running processes may have changed. */
  readonly onProcesses?: (pids: readonly number[]) => void;
  /** Milliseconds that a process has to end after SIGTERM; 15 s by default, above the 10 s that services drain for. */
  readonly graceMs?: number;
  /** How large a log file grows, in bytes; 10 MiB by default. Two older ones are kept. */
  readonly logBytes?: number;
}

/** What is known of one process, for `heddle status`. */
export interface ProcessStatus {
  readonly service: string;
  /** `auth-1`; of infrastructure the bare name. */
  readonly name: string;
  readonly state: ManagedProcess["state"]["kind"];
  /** Why it is not ready, when it is not. */
  readonly why: string;
  readonly pid: number | undefined;
  readonly port: number;
  readonly adminPort: number;
  /** How often it was started again after it had ended by itself. */
  readonly restarts: number;
  /** How often the service's instances were replaced since one held too much memory for too long. */
  readonly memoryRestarts: number;
  readonly uptimeMs: number | undefined;
  readonly memoryBytes: number | undefined;
}

/** So many ends before its first readiness, and a start is given up. */
const startAttempts = 3;

/**
 * At so many looks in a row, two seconds apart, a process must hold more than its limit to be restarted for it: a burst of requests passes
 * sooner, and would otherwise end whatever else the process does.
 */
const largeLooks = 5;

/** At most so many instances of one service. */
const maxScale = 20;

/** Runs a set of processes: starts them in order, keeps them running, scales and restarts them, stops them in reverse. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #graceMs: number;
  readonly #groups: ReadonlyMap<string, ManagedProcess[]>;
  #watch: NodeJS.Timeout | undefined;
  #stopping: Promise<void> | undefined;
  /** Services whose instances are being replaced just now: one change at a time each. */
  readonly #busy = new Set<string>();
  /** At how many looks in a row a process held more than its limit. */
  readonly #large = new WeakMap<ManagedProcess, number>();
  /** How often each service was restarted for its memory; counted here, since the restart makes new processes. */
  readonly #memoryRestarts = new Map<string, number>();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#graceMs = options.graceMs ?? 15_000;
    this.#groups = new Map(options.specs.map((spec) => [spec.name, [this.#create(instanceOf(spec, 1))]]));
  }

  /** Every process, in the order of the specs. */
  get processes(): readonly ManagedProcess[] {
    return [...this.#groups.values()].flat();
  }

  /**
   * Starts everything, each process as soon as what it needs is ready. Settles when all are.
   *
   * @throws Failure for a taken port, before anything was started, and for a process that ends before it is ready, three times
   *   in a row. The caller then stops what runs.
   */
  async start(): Promise<void> {
    startOrder(this.#options.specs);
    await this.#refuseTakenPorts();
    this.#watch = setInterval(() => this.#look(), 2000).unref();
    await Promise.all(this.#options.specs.map((spec) => this.#startWhenNeedsAreReady(spec)));
  }

  /** Stops everything, each process only after those that need it. Can be called again; all calls settle at the same end. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  /** Ends everything at once. */
  kill(): void {
    for (const process of this.processes) process.kill();
  }

  /**
   * Replaces every instance of a service, one after another, so that one is ready at any time where clients find it by the registry.
   *
   * @param report told of each step, a short sentence.
   * @throws Failure for an unknown service, one that is being changed, and a new instance that does not start.
   */
  async restart(service: string, report: (step: string) => void): Promise<void> {
    await this.#exclusively(service, async (group) => roll(group, this.#rollingParts(report)));
  }

  /** Brings a service to `count` instances (0 to 20). New ones get free ports; the latest go first. */
  async scale(service: string, count: number, report: (step: string) => void): Promise<void> {
    if (!Number.isInteger(count) || count < 0 || count > maxScale) {
      throw new Failure(`scale ${service}: expected a whole number from 0 to ${maxScale}, got ${count}`, 2);
    }
    await this.#exclusively(service, async (group) => {
      const added: ManagedProcess[] = [];
      while (group.length < count) {
        const process = await this.#addTo(service, group);
        added.push(process);
        process.start();
      }
      const surplus = group.slice(count).reverse();
      await Promise.all([
        ...added.map(async (process) => {
          await process.untilReady(startAttempts);
          report(`${process.spec.instance} is ready on port ${process.spec.port}`);
        }),
        ...surplus.map(async (process) => {
          await process.stop(this.#graceMs);
          group.splice(group.indexOf(process), 1);
          report(`${process.spec.instance} is stopped`);
        }),
      ]);
    });
  }

  /** What is known of every process. */
  status(now: number): readonly ProcessStatus[] {
    const children = childrenByParent();
    return this.processes.map((process) => ({
      service: process.spec.name,
      name: process.spec.instance,
      state: process.state.kind,
      why: "why" in process.state ? process.state.why : "",
      pid: process.pid,
      port: process.spec.port,
      adminPort: process.spec.adminPort,
      restarts: process.restarts,
      memoryRestarts: this.#memoryRestarts.get(process.spec.name) ?? 0,
      uptimeMs: "startedAt" in process.state ? now - process.state.startedAt : undefined,
      memoryBytes: process.pid === undefined ? undefined : treeBytes(process.pid, children),
    }));
  }

  #create(spec: InstanceSpec): ManagedProcess {
    const { host, cwd, environment } = this.#options;
    const logFile = join(this.#options.logs, `${spec.instance}.log`);
    return new ManagedProcess({ spec, host, cwd, logFile, environment, onChange: (process) => this.#changed(process) });
  }

  #changed(process: ManagedProcess): void {
    this.#options.onChange?.(process);
    this.#options.onProcesses?.(this.processes.flatMap(({ pid }) => (pid === undefined || pid < 0 ? [] : [pid])));
  }

  async #refuseTakenPorts(): Promise<void> {
    const { host, specs } = this.#options;
    for (const { name, port, adminPort, portVariable } of specs) {
      for (const wanted of new Set([port, adminPort])) {
        if (await isFree(host, wanted)) continue;
        const what = wanted === port ? name : `${name}'s admin listener`;
        throw new Failure(takenSentence(wanted, what, portVariable, portOwner(wanted)));
      }
    }
  }

  async #startWhenNeedsAreReady(spec: ProcessSpec): Promise<void> {
    const group = this.#groupOf(spec.name);
    await Promise.all(spec.needs.map((needed) => this.#groups.get(needed)?.[0]?.untilReady(startAttempts)));
    for (const process of group) process.start();
    await Promise.all(group.map((process) => process.untilReady(startAttempts)));
    // Ready is what others can call, and they call what the registry gives them.
    if (spec.discovered) await Promise.all(group.map((process) => this.#options.untilDiscovered(process.spec)));
  }

  async #stopAll(): Promise<void> {
    clearInterval(this.#watch);
    const { specs } = this.#options;
    for (const wave of startOrder(specs).toReversed()) {
      const services = wave.filter(({ kind }) => kind === "service");
      await Promise.all(services.flatMap(({ name }) => this.#stopGroup(name)));
    }
    // The registry goes before the database, each when nothing uses it any longer.
    for (const { name } of specs.filter(({ kind }) => kind === "infrastructure")) await Promise.all(this.#stopGroup(name));
  }

  #stopGroup(name: string): readonly Promise<void>[] {
    return (this.#groups.get(name) ?? []).map((process) => process.stop(this.#graceMs));
  }

  #groupOf(service: string): ManagedProcess[] {
    const group = this.#groups.get(service);
    if (group === undefined) throw new Failure(`${service} is not among what runs: ${[...this.#groups.keys()].join(", ")}`);
    return group;
  }

  async #exclusively(service: string, change: (group: ManagedProcess[]) => Promise<void>): Promise<void> {
    const group = this.#groupOf(service);
    const kind = this.#options.specs.find(({ name }) => name === service)?.kind;
    if (kind === "infrastructure")
      throw new Failure(`${service} belongs to the platform itself: it is neither scaled nor restarted alone`);
    if (this.#busy.has(service)) throw new Failure(`${service} is being scaled or restarted just now`);
    if (this.#stopping !== undefined) throw new Failure("the platform is stopping");
    this.#busy.add(service);
    try {
      await change(group);
    } finally {
      this.#busy.delete(service);
    }
  }

  async #addTo(service: string, group: ManagedProcess[]): Promise<ManagedProcess> {
    const spec = this.#options.specs.find(({ name }) => name === service);
    if (spec === undefined) throw new Failure(`${service} is not a service of the platform`);
    const numbers = group.map((process) => Number(process.spec.instance.slice(service.length + 1)));
    const n = Math.max(0, ...numbers) + 1;
    const [port = 0, adminPort = 0] = n === 1 ? [spec.port, spec.adminPort] : await freePorts(this.#options.host, 2);
    if (this.#stopping !== undefined) throw new Failure("the platform is stopping");
    const process = this.#create(instanceOf(spec, n, { port, adminPort }));
    group.push(process);
    return process;
  }

  #rollingParts(report: (step: string) => void): RollingParts {
    return {
      create: (spec) => {
        // A process that is made after the stop has passed by would stay.
        if (this.#stopping !== undefined) throw new Failure("the platform is stopping");
        return this.#create(spec);
      },
      freePorts: () => freePorts(this.#options.host, 2),
      untilDiscovered: this.#options.untilDiscovered,
      graceMs: this.#graceMs,
      attempts: startAttempts,
      report,
    };
  }

  /** Every two seconds: logs that grew too large, processes that did. */
  #look(): void {
    for (const process of this.processes) {
      rotate(process.logFile, { maxBytes: this.#options.logBytes ?? 10 * 2 ** 20, keep: 2 });
      const [limit, memory] = [process.spec.memoryBytes, process.memory()];
      if (limit === undefined || memory === undefined || this.#busy.has(process.spec.name)) continue;
      const looks = memory <= limit ? 0 : (this.#large.get(process) ?? 0) + 1;
      this.#large.set(process, looks);
      if (looks < largeLooks) continue;
      process.note(
        `holds ${Math.round(memory / 2 ** 20)} MiB, more than its limit of ${Math.round(limit / 2 ** 20)} MiB: restarted`,
      );
      const { name } = process.spec;
      this.#memoryRestarts.set(name, (this.#memoryRestarts.get(name) ?? 0) + 1);
      this.restart(process.spec.name, () => {}).catch((error: unknown) => process.note(`restart for memory: ${String(error)}`));
    }
  }
}
