/** Whether this process can serve, decided by its checks and told over grpc.health.v1, /readyz and /health. */

/** What grpc.health.v1 answers for a known service. UNKNOWN: a critical check has not answered yet. */
export type ServingStatus = "SERVING" | "NOT_SERVING" | "UNKNOWN";

/** One thing that must be well. */
export interface HealthCheck {
  readonly name: string;
  /** Whether the process cannot serve without it. The loss of one that is not critical is DEGRADED, and shown only. */
  readonly critical: boolean;
  /** Settles with undefined when all is well, or a text that says what is not; throwing counts as the latter. */
  check(signal: AbortSignal): Promise<string | undefined>;
}

/** The last result of a check. */
export interface CheckResult {
  readonly name: string;
  readonly status: "UP" | "DOWN" | "UNKNOWN";
  readonly critical: boolean;
  /** What is wrong; absent when UP or UNKNOWN. */
  readonly detail?: string;
  /** When it was found, in milliseconds since the epoch; 0 before the first time. */
  readonly at: number;
}

/** The health of the process: DOWN when it does not serve, DEGRADED when a check that is not critical fails. */
export interface HealthDetail {
  readonly status: "UP" | "DEGRADED" | "DOWN";
  readonly checks: readonly CheckResult[];
}

/** Told of every change of a service's status, beginning with the present one. */
export type StatusListener = (status: ServingStatus | "SERVICE_UNKNOWN") => void;

/** What a board is made of. */
export interface HealthBoardOptions {
  /** Full names of the contracts that are served; "" (the whole process) is always there. */
  readonly services: readonly string[];
  readonly checks: readonly HealthCheck[];
  /** Milliseconds between two rounds of checks. Default 2000, as Consul's own check of the process. */
  readonly intervalMs?: number;
  /** Milliseconds that one check may take. Default: the interval. */
  readonly timeoutMs?: number;
}

/** Runs the checks and keeps what came of them. Starts as NOT_SERVING. */
export class HealthBoard {
  readonly #services: ReadonlySet<string>;
  readonly #checks: readonly HealthCheck[];
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  readonly #results = new Map<HealthCheck, CheckResult>();
  readonly #running = new Set<HealthCheck>();
  /** Running checks that must run once more, since what they look at has changed meanwhile. */
  readonly #stale = new Set<HealthCheck>();
  readonly #listeners = new Set<StatusListener>();
  readonly #closed = new AbortController();
  #serving = false;
  #told: ServingStatus = "NOT_SERVING";
  #timer: NodeJS.Timeout | undefined;

  constructor(o: HealthBoardOptions) {
    this.#services = new Set(["", ...o.services]);
    this.#checks = o.checks;
    this.#intervalMs = o.intervalMs ?? 2000;
    this.#timeoutMs = o.timeoutMs ?? this.#intervalMs;
    for (const check of o.checks) {
      this.#results.set(check, { name: check.name, status: "UNKNOWN", critical: check.critical, at: 0 });
    }
  }

  /** The known services, "" first. */
  get services(): readonly string[] {
    return [...this.#services];
  }

  /** Opens or closes the process to traffic, whatever the checks say: on after boot, off when it is asked to stop. */
  setServing(on: boolean): void {
    this.#serving = on;
    this.#tell();
  }

  /** The status of `service`; undefined when it is not known here. */
  status(service: string): ServingStatus | undefined {
    return this.#services.has(service) ? this.#overall() : undefined;
  }

  /** Calls `listener` now and at every change, until disposed. An unknown service is SERVICE_UNKNOWN, and stays so. */
  watch(service: string, listener: StatusListener): Disposable {
    if (!this.#services.has(service)) {
      listener("SERVICE_UNKNOWN");
      return { [Symbol.dispose]: () => undefined };
    }
    this.#listeners.add(listener);
    listener(this.#overall());
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  detail(): HealthDetail {
    const checks = [...this.#results.values()];
    const degraded = checks.some(({ status, critical }) => status === "DOWN" && !critical);
    const status = this.#overall() !== "SERVING" ? "DOWN" : degraded ? "DEGRADED" : "UP";
    return { status, checks };
  }

  /** Runs every check now and then at each interval. */
  start(): void {
    if (this.#timer !== undefined || this.#closed.signal.aborted) return;
    this.#runAll();
    this.#timer = setInterval(() => this.#runAll(), this.#intervalMs).unref();
  }

  /** Runs every check at once, for when something is known to have changed. Does nothing before the start. */
  recheck(): void {
    if (this.#timer === undefined) return;
    for (const check of this.#running) this.#stale.add(check);
    this.#runAll();
  }

  /** Stops the checks and aborts those that run. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#closed.abort();
    this.#listeners.clear();
  }

  #runAll(): void {
    for (const check of this.#checks) {
      // A check that hangs past its timeout without heeding the signal is not started a second time.
      if (!this.#running.has(check)) void this.#run(check);
    }
  }

  async #run(check: HealthCheck): Promise<void> {
    this.#running.add(check);
    const timeout = new AbortController();
    const late = Promise.withResolvers<string>();
    const timer = setTimeout(() => {
      late.resolve(`no answer within ${this.#timeoutMs} ms`);
      timeout.abort();
    }, this.#timeoutMs).unref();
    const answer = callCheck(check, timeout.signal);
    void answer.then(() => {
      this.#running.delete(check);
      if (this.#stale.delete(check) && !this.#closed.signal.aborted) void this.#run(check);
    });
    const detail = await Promise.race([answer, late.promise]);
    clearTimeout(timer);
    if (this.#closed.signal.aborted) return;
    const { name, critical } = check;
    const at = Date.now();
    this.#results.set(
      check,
      detail === undefined ? { name, status: "UP", critical, at } : { name, status: "DOWN", critical, detail, at },
    );
    this.#tell();
  }

  #overall(): ServingStatus {
    if (!this.#serving) return "NOT_SERVING";
    let status: ServingStatus = "SERVING";
    for (const result of this.#results.values()) {
      if (!result.critical || result.status === "UP") continue;
      if (result.status === "DOWN") return "NOT_SERVING";
      status = "UNKNOWN";
    }
    return status;
  }

  #tell(): void {
    const status = this.#overall();
    if (status === this.#told) return;
    this.#told = status;
    for (const listener of [...this.#listeners]) listener(status);
  }
}

/** Never rejects: a check that throws has found something wrong. */
async function callCheck(check: HealthCheck, signal: AbortSignal): Promise<string | undefined> {
  try {
    return await check.check(signal);
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}
