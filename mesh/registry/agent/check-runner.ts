/**
 * Runs the checks of the agent's own node.
 *
 * A check is probed at once when it is registered, then at its interval; and at once again when the connection that its probe
 * keeps is lost. A TTL check is not probed: it turns critical when its time runs out without a word from outside.
 */
import { GrpcProbe } from "./grpc-probe.ts";
import { mustForget, nextStatus, noStreak, type Streak } from "./health-rule.ts";
import type { CheckRecord, CheckStatus } from "./model.ts";
import { type Finding, probeHttp, probeTcp } from "./probes.ts";
import type { AgentState } from "./state.ts";

/** Milliseconds after a probe in which a lost connection asks for no other: some servers close after every answer. */
const dropPauseMs = 250;
/** Milliseconds between two looks for services to forget. */
const sweepMs = 1000;

interface Run {
  readonly plan: string;
  readonly probe: GrpcProbe | undefined;
  timer: NodeJS.Timeout | undefined;
  probing: boolean;
  /** A probe was asked for while one was under way. */
  again: boolean;
  probedAt: number;
  streak: Streak;
  criticalSince: number | undefined;
}

/** The running checks. */
export class CheckRunner {
  readonly #state: AgentState;
  readonly #clock: () => number;
  readonly #onForget: (serviceId: string, checkId: string) => void;
  readonly #runs = new Map<string, Run>();
  readonly #sweep: NodeJS.Timeout;

  /** `onForget` is told of a service that stayed critical for too long, after it was removed. */
  constructor(state: AgentState, onForget: (serviceId: string, checkId: string) => void, clock: () => number = Date.now) {
    this.#state = state;
    this.#onForget = onForget;
    this.#clock = clock;
    this.#sweep = setInterval(() => this.forgetCritical(), sweepMs).unref();
  }

  /**
   * Starts checks that are new or changed, and stops those that are gone. Call it after every change of definitions. Those of
   * `anew` are started again even if they did not change: whoever registers again has something to say.
   */
  sync(anew: readonly string[] = []): void {
    const { checks } = this.#state.local;
    for (const [id, run] of this.#runs) {
      if (anew.includes(id) || JSON.stringify(checks.get(id)?.plan) !== run.plan) this.#stop(id, run);
    }
    for (const check of checks.values()) if (!this.#runs.has(check.id)) this.#start(check);
  }

  /** A word from outside about a TTL check: sets its status and starts its time anew. False when it has none. */
  report(checkId: string, status: CheckStatus, output: string): boolean {
    const check = this.#state.local.checks.get(checkId);
    const run = this.#runs.get(checkId);
    if (check?.plan.probe.kind !== "ttl" || run === undefined) return false;
    this.#state.setStatus(this.#state.local, checkId, status, output);
    this.#noteCritical(run, status);
    this.#startTtl(check, run);
    return true;
  }

  /** Removes every service that a check has held critical for longer than it allows. */
  forgetCritical(): void {
    for (const [id, run] of this.#runs) {
      const check = this.#state.local.checks.get(id);
      if (check === undefined || !mustForget(check, run.criticalSince, this.#clock())) continue;
      this.#state.removeService(this.#state.local, check.serviceId);
      this.#onForget(check.serviceId, id);
    }
    this.sync();
  }

  close(): void {
    clearInterval(this.#sweep);
    for (const [id, run] of this.#runs) this.#stop(id, run);
  }

  #start(check: CheckRecord): void {
    const { plan } = check;
    const run: Run = {
      plan: JSON.stringify(plan),
      probe: plan.probe.kind === "grpc" ? new GrpcProbe(plan.probe, () => this.#probeAfterDrop(check.id)) : undefined,
      timer: undefined,
      probing: false,
      again: false,
      probedAt: Number.NEGATIVE_INFINITY,
      streak: noStreak,
      criticalSince: check.status === "critical" ? this.#clock() : undefined,
    };
    this.#runs.set(check.id, run);
    if (plan.probe.kind === "ttl") this.#startTtl(check, run);
    else if (plan.probe.kind !== "none") this.#probe(check.id);
  }

  #stop(id: string, run: Run): void {
    clearTimeout(run.timer);
    this.#runs.delete(id);
    run.probe?.close();
  }

  #startTtl(check: CheckRecord, run: Run): void {
    if (check.plan.probe.kind !== "ttl") return;
    const { ttlMs } = check.plan.probe;
    clearTimeout(run.timer);
    run.timer = setTimeout(() => {
      const last = this.#state.local.checks.get(check.id)?.output ?? "";
      const output = `TTL expired${last === "" ? "" : ` (last output before timeout follows): ${last}`}`;
      if (!last.startsWith("TTL expired")) this.#state.setStatus(this.#state.local, check.id, "critical", output);
      this.#noteCritical(run, "critical");
    }, ttlMs).unref();
  }

  #probeAfterDrop(id: string): void {
    const run = this.#runs.get(id);
    if (run === undefined) return;
    if (run.probing) {
      run.again = true;
      return;
    }
    clearTimeout(run.timer);
    run.timer = setTimeout(() => this.#probe(id), Math.max(0, run.probedAt + dropPauseMs - this.#clock()));
  }

  #probe(id: string): void {
    const run = this.#runs.get(id);
    const check = this.#state.local.checks.get(id);
    if (run === undefined || check === undefined || run.probing) return;
    clearTimeout(run.timer);
    run.probing = true;
    void this.#find(check, run).then((finding) => {
      if (this.#runs.get(id) !== run) return;
      run.probing = false;
      run.probedAt = this.#clock();
      this.#take(id, run, finding);
      const delayMs = run.again ? dropPauseMs : check.plan.intervalMs;
      run.again = false;
      run.timer = setTimeout(() => this.#probe(id), delayMs);
    });
  }

  #find(check: CheckRecord, run: Run): Promise<Finding> {
    const { probe, timeoutMs } = check.plan;
    if (run.probe !== undefined) return run.probe.check(timeoutMs);
    if (probe.kind === "http") return probeHttp(probe, timeoutMs);
    return probeTcp(probe.kind === "tcp" ? probe.target : "", timeoutMs);
  }

  #take(id: string, run: Run, finding: Finding): void {
    const check = this.#state.local.checks.get(id);
    if (check === undefined) return;
    const next = nextStatus(check.plan, check.status, run.streak, finding.status);
    run.streak = next.streak;
    this.#noteCritical(run, next.status);
    this.#state.setStatus(this.#state.local, id, next.status, finding.output);
  }

  #noteCritical(run: Run, status: CheckStatus): void {
    run.criticalSince = status === "critical" ? (run.criticalSince ?? this.#clock()) : undefined;
  }
}
