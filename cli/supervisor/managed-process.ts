import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { Failure } from "../failure.ts";
import { type InstanceEvent, type InstanceLife, type InstanceState, next, unborn } from "./instance-state.ts";
import { appendNote, openLogFile } from "./log-file.ts";
import { probe } from "./probe.ts";
import type { InstanceSpec } from "./process-spec.ts";
import { residentBytes } from "./process-table.ts";

/** What a managed process is given. */
export interface ManagedProcessOptions {
  readonly spec: InstanceSpec;
  readonly host: string;
  /** The working folder. */
  readonly cwd: string;
  readonly logFile: string;
  /** The whole environment, read anew at each start: what the database's address is, is known only once it runs. */
  readonly environment: (spec: InstanceSpec) => Readonly<Record<string, string | undefined>>;
  /** Told of every change of state, after it. */
  readonly onChange: (process: ManagedProcess) => void;
}

/** Milliseconds between probes: of a process that starts, and of one that runs. */
const probeEveryMs = { starting: 40, running: 2000 };

/** So many probes in a row without any answer, not even an error, and a running process is taken for hung. */
const silentProbes = 5;

/** One process of its own: started, probed, started again when it ends, stopped. What its states mean is in instance-state.ts. */
export class ManagedProcess {
  readonly spec: InstanceSpec;
  readonly #options: ManagedProcessOptions;
  readonly #watchers = new Set<() => void>();
  #life: InstanceLife = unborn;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #silent = 0;

  constructor(options: ManagedProcessOptions) {
    this.spec = options.spec;
    this.#options = options;
  }

  get state(): InstanceState {
    return this.#life.state;
  }

  get restarts(): number {
    return this.#life.restarts;
  }

  get failures(): number {
    return this.#life.failures;
  }

  /** The process's id while it has one. */
  get pid(): number | undefined {
    return "pid" in this.state ? this.state.pid : undefined;
  }

  get logFile(): string {
    return this.#options.logFile;
  }

  /** Starts the process now; from then on it is kept running until `stop`. */
  start(): void {
    if (this.state.kind === "waiting") this.#spawn();
  }

  /**
   * Settles when the process is ready.
   *
   * @throws Failure when it ended `attempts` times in a row before, or was stopped.
   */
  untilReady(attempts: number): Promise<void> {
    return this.#until(() => {
      if (this.state.kind === "ready") return true;
      if (this.state.kind === "stopping" || this.state.kind === "stopped") throw new Failure(`${this.spec.instance} was stopped`);
      if (this.state.kind === "backoff" && this.failures >= attempts) {
        throw new Failure(`${this.spec.instance} does not start: ${this.state.why} (log: ${this.logFile})`);
      }
      return false;
    });
  }

  /** Asks the process to end, and ends it after `graceMs` milliseconds. Settles when it is gone. */
  async stop(graceMs: number): Promise<void> {
    const asked = this.state.kind === "stopping";
    this.#apply({ kind: "stop" });
    clearTimeout(this.#timer);
    if (this.state.kind !== "stopping") return;
    if (!asked) this.#child?.kill("SIGTERM");
    const patience = setTimeout(() => {
      this.note(`did not end within ${graceMs} ms of SIGTERM: killed`);
      this.kill();
    }, graceMs);
    await this.#until(() => this.state.kind === "stopped");
    clearTimeout(patience);
  }

  /** Ends the process and all of its own group at once. */
  kill(): void {
    const pid = this.#child?.pid;
    if (pid === undefined || this.#child?.exitCode !== null || this.#child.signalCode !== null) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      this.#child.kill("SIGKILL");
    }
  }

  /** Leaves a line of the supervisor's in the process's log. */
  note(message: string): void {
    appendNote(this.logFile, message, Date.now());
  }

  /** The process's resident set in bytes, while it runs. */
  memory(): number | undefined {
    return this.pid === undefined ? undefined : residentBytes(this.pid);
  }

  #spawn(): void {
    const { spec, environment, cwd, logFile } = this.#options;
    const log = openLogFile(logFile);
    this.#silent = 0;
    try {
      this.#child = spawn(process.execPath, [...memoryFlags(spec), spec.entry], {
        cwd,
        env: { ...environment(spec) },
        // stdin is a pipe that nothing is written to: it ends with the supervisor, and so the process learns of that.
        stdio: ["pipe", log, log],
        // A group of its own: Ctrl-C at the terminal must reach the supervisor alone, which knows the order of the end.
        detached: true,
      });
    } finally {
      closeSync(log);
    }
    const child = this.#child;
    child.stdin?.on("error", () => {});
    child.once("error", (error) => child.pid === undefined && this.#ended(child, error.message));
    child.once("exit", (code, signal) =>
      this.#ended(child, signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`),
    );
    this.#apply({ kind: "spawned", pid: child.pid ?? -1 });
    if (child.pid !== undefined) this.#probeLater();
  }

  #ended(child: ChildProcess, why: string): void {
    if (child !== this.#child) return;
    clearTimeout(this.#timer);
    this.#apply({ kind: "exited", why });
    if (this.state.kind !== "backoff") return;
    const delay = this.state.until - Date.now();
    this.note(`${why}: starts again ${delay <= 0 ? "now" : `in ${delay / 1000} s`}`);
    this.#timer = setTimeout(() => this.#spawn(), Math.max(0, delay));
  }

  #probeLater(): void {
    const delay = this.state.kind === "starting" ? probeEveryMs.starting : probeEveryMs.running;
    this.#timer = setTimeout(() => void this.#probe(this.#child), delay);
  }

  async #probe(child: ChildProcess | undefined): Promise<void> {
    const { readiness, port, adminPort } = this.spec;
    const target = { host: this.#options.host, port: readiness.on === "port" ? port : adminPort, path: readiness.path };
    const result = await probe(target, probeEveryMs.running);
    if (child !== this.#child || !("startedAt" in this.state)) return;
    const why = result.answered
      ? `${readiness.path} answers ${result.status}`
      : `${readiness.path} does not answer: ${result.why}`;
    this.#silent = result.answered || this.state.kind === "starting" ? 0 : this.#silent + 1;
    this.#apply({ kind: "answered", ok: result.answered && result.status === 200, why });
    if (this.#silent >= silentProbes) {
      this.note(`${why}, ${silentProbes} times in a row: taken for hung and killed`);
      this.kill();
    } else {
      this.#probeLater();
    }
  }

  #apply(event: InstanceEvent): void {
    const before = this.#life;
    this.#life = next(before, event, Date.now());
    if (this.#life.state === before.state) return;
    this.#options.onChange(this);
    for (const watcher of [...this.#watchers]) watcher();
  }

  #until(done: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        try {
          if (!done()) return;
          resolve();
        } catch (error) {
          reject(error);
        }
        this.#watchers.delete(look);
      };
      this.#watchers.add(look);
      look();
    });
  }
}

/** V8 keeps its heap below the limit with room for what lies outside of it, so that it collects before the limit is reached. */
function memoryFlags(spec: InstanceSpec): readonly string[] {
  if (spec.memoryBytes === undefined) return [];
  const megabytes = Math.floor(spec.memoryBytes / 2 ** 20);
  // Young objects are collected in up to three semi-spaces; more of them would hold, for long, what one burst of requests left.
  return [`--max-old-space-size=${Math.max(32, megabytes - 64)}`, "--max-semi-space-size=8"];
}
