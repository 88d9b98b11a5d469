/** The worker of sagas: a loop that claims what is due, and the sagas under way, each one step after the other. */
import type { ConnectError } from "@connectrpc/connect";
import { Code } from "@connectrpc/connect";
import type { Counter } from "@opentelemetry/api";
import { runWithContext } from "#mesh/context.ts";
import { from, reasonOf, retryAfterMs } from "#mesh/errors.ts";
import { statusName } from "#mesh/policy/status-codes.ts";
import { newTrace } from "#mesh/telemetry/trace.ts";
import { Recorder } from "./recorder.ts";
import { type SagaOptions, type SagaStep, shapesOf } from "./saga.ts";
import { type AttemptOutcome, attemptEnded, isTransient } from "./saga-state.ts";
import { claimDue, deleteEnded, nextDue, release, renew, type SagaRow } from "./saga-store.ts";

/** The options of sagas with all defaults in, and what is the runner's own. */
export interface RunnerOptions extends Required<SagaOptions> {
  /** Marks this process's claims. */
  readonly leaseId: string;
}

/** How long to wait after an error of the database. */
const errorPauseMs = 1000;

/** The shortest wait: what is due and yet not ours is being claimed by another instance just now. */
const minPauseMs = 20;

const sweepMs = 3_600_000;

type Definition = RunnerOptions["definitions"][number];

/** A runner. start() once, stop() once. */
export class Runner {
  readonly #o: RunnerOptions;
  readonly #recorder: Recorder;
  readonly #count: Counter;
  /** The sagas under way, each with what ends its attempt when the claim is lost. */
  readonly #underWay = new Map<string, { readonly lost: AbortController; readonly run: Promise<void> }>();
  readonly #stopping = new AbortController();
  /** Aborts when the grace of stop() is over. */
  readonly #cut = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #bell = Promise.withResolvers<void>();
  #failing = false;

  constructor(options: RunnerOptions) {
    this.#o = options;
    this.#recorder = new Recorder(options, this.#cut.signal);
    this.#count = options.meter.createCounter("heddle.saga.attempts", {
      description: "Attempts at a step, by saga, step, action (run, compensate) and outcome (ok, failed, refused, interrupted)",
    });
  }

  start(): void {
    const renewal = setInterval(() => void this.#renew(), this.#o.leaseMs / 4);
    const sweep = setInterval(() => void this.#sweep(), sweepMs);
    this.#loop = this.#run().finally(() => {
      clearInterval(renewal);
      clearInterval(sweep);
    });
  }

  wake(): void {
    this.#bell.resolve();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    const grace = setTimeout(() => this.#cut.abort(), this.#o.graceMs);
    await this.#loop;
    clearTimeout(grace);
    await release(this.#o.db, this.#o.leaseId).catch(() => undefined);
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      // Hung up before the look, so that a ring during it is heard.
      this.#bell = Promise.withResolvers();
      const waitMs = await this.#try("look for sagas", () => this.#look());
      await this.#bellOr(waitMs ?? errorPauseMs);
    }
    await Promise.all([...this.#underWay.values()].map(({ run }) => run));
  }

  /** Begins as many sagas as there is room for. Answers with how long nothing more is to be done, unless the bell rings. */
  async #look(): Promise<number> {
    const { db, clock, concurrency, pollMs, definitions } = this.#o;
    const room = concurrency - this.#underWay.size;
    // The end of a saga's turn rings.
    if (room <= 0) return pollMs;
    const names = definitions.map(({ name }) => name);
    const claimed = await claimDue(db, names, room, this.#recorder.mark());
    for (const saga of claimed) this.#begin(saga);
    if (claimed.length === room) return pollMs;
    const due = await nextDue(db, names, clock());
    return due === undefined ? pollMs : Math.min(pollMs, Math.max(minPauseMs, due - clock()));
  }

  #begin(saga: SagaRow): void {
    const definition = this.#o.definitions.find(({ name }) => name === saga.name);
    // Its claim was lost and won again while its last attempt was still ending here.
    if (definition === undefined || this.#underWay.has(saga.id)) return;
    const lost = new AbortController();
    const run = this.#turn(definition, saga, lost.signal).finally(() => {
      this.#underWay.delete(saga.id);
      this.wake();
    });
    this.#underWay.set(saga.id, { lost, run });
  }

  /** One step after the other, until the saga ends, must wait, or is no longer ours. */
  async #turn(definition: Definition, claimed: SagaRow, lost: AbortSignal): Promise<void> {
    const shapes = shapesOf(definition);
    let saga = await this.#recorder.begin(claimed);
    while (saga !== undefined) {
      const { progress } = saga;
      const step = definition.steps.find(({ name }) => name === progress.step);
      if (step === undefined) {
        this.#o.log.error({ saga: saga.id, step: progress.step }, `the saga ${saga.name} has no such step in this version`);
        return this.#recorder.giveBack(saga, "this version has no such step", this.#o.clock() + 30_000);
      }
      const { outcome, state } = await this.#attempt(step, saga, lost);
      const action = progress.status === "RUNNING" ? "run" : "compensate";
      const about = { saga: saga.id, name: saga.name, step: step.name, action, attempt: progress.attempts };
      if (lost.aborted) return this.#o.log.warn(about, "another instance has taken the saga over");
      this.#count.add(1, { saga: saga.name, step: step.name, action, outcome: outcome?.kind ?? "interrupted" });
      if (outcome === undefined) return this.#recorder.giveBack(saga, "the process stopped", this.#o.clock());
      const at = { now: this.#o.clock(), random: this.#o.random() };
      const next = { ...saga, state, progress: attemptEnded(shapes, progress, outcome, at) };
      const message = outcome.kind === "ok" ? "" : `${statusName(outcome.code)}: ${outcome.message}`;
      const level = next.progress.status === "STUCK" ? "error" : outcome.kind === "ok" ? "debug" : "warn";
      this.#o.log[level]({ ...about, outcome: outcome.kind, message, status: next.progress.status }, "saga step");
      const goOn = next.progress.nextAttemptTime === at.now && !this.#stopping.signal.aborted;
      saga = await this.#recorder.end(definition, saga, next, { outcome: outcome.kind, message }, goOn);
    }
  }

  /** One attempt. No outcome: it was cut short at the end of the process. */
  async #attempt(
    step: Definition["steps"][number],
    saga: SagaRow,
    lost: AbortSignal,
  ): Promise<{ outcome: AttemptOutcome | undefined; state: SagaRow["state"] }> {
    const { id, state, progress } = saga;
    const compensating = progress.status !== "RUNNING";
    const limit = AbortSignal.timeout(step.timeoutMs);
    const signal = AbortSignal.any([limit, this.#cut.signal, lost]);
    const cutShort = Promise.withResolvers<never>();
    const onAbort = () => cutShort.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    const key = compensating ? `${id}/${step.name}/undo` : `${id}/${step.name}`;
    const context = { sagaId: id, key, signal, attempt: progress.attempts };
    try {
      const work = () => workOf(step, compensating, state, context);
      // A step that does not listen to its signal must not hold its saga for ever.
      const next = await Promise.race([runWithContext(callContext(id, step.timeoutMs, signal), work), cutShort.promise]);
      return { outcome: { kind: "ok" }, state: next };
    } catch (error) {
      if (this.#cut.signal.aborted && !limit.aborted) return { outcome: undefined, state };
      return { outcome: outcomeOf(from(limit.aborted ? limit.reason : error)), state };
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  async #renew(): Promise<void> {
    const ids = [...this.#underWay.keys()];
    if (ids.length === 0) return;
    const held = await this.#try("renew the claims", () => renew(this.#o.db, ids, this.#recorder.mark()));
    if (held === undefined) return;
    for (const id of ids) if (!held.has(id)) this.#underWay.get(id)?.lost.abort(new Error("the claim was lost"));
  }

  async #sweep(): Promise<void> {
    await this.#try("delete old sagas", async () => {
      while ((await deleteEnded(this.#o.db, this.#o.clock() - this.#o.keepMs)) === 1000);
    });
  }

  /** The database may be away at any moment; the claims then end by themselves. */
  async #try<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await work();
      this.#failing = false;
      return result;
    } catch (error) {
      if (!this.#failing) this.#o.log.warn({ err: error }, `the sagas' worker cannot ${what}; trying again`);
      this.#failing = true;
      return undefined;
    }
  }

  async #bellOr(ms: number): Promise<void> {
    const { promise, resolve } = this.#bell;
    const timer = setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
  }
}

async function workOf(
  step: SagaStep<SagaRow["state"]>,
  compensating: boolean,
  state: SagaRow["state"],
  context: Parameters<SagaStep<SagaRow["state"]>["run"]>[1],
): Promise<SagaRow["state"]> {
  if (!compensating) return step.run(state, context);
  return step.compensate === undefined ? state : step.compensate(state, context);
}

/** The saga acts in the service's own name; its id is what all hops' logs know the call by. */
function callContext(sagaId: string, timeoutMs: number, signal: AbortSignal) {
  const nobody = { principal: undefined, caller: undefined, client: { address: "", userAgent: "" } };
  const deadline = Date.now() + timeoutMs;
  return { ...nobody, deadline, signal, trace: newTrace(), correlationId: sagaId, criticality: "CRITICAL" as const };
}

function outcomeOf(error: ConnectError): AttemptOutcome {
  const { code } = error;
  // What the caller of a method must not learn, whoever reads the log of a saga must.
  const message = code === Code.Internal && error.cause instanceof Error ? error.cause.message : error.rawMessage;
  const reason = reasonOf(error) ?? "";
  if (!isTransient(code)) return { kind: "refused", code, message, reason };
  return { kind: "failed", code, message, reason, retryAfterMs: retryAfterMs(error) };
}
