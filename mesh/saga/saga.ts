/**
 * Sagas: a change over several services, as steps each of which is repeated until it has answered, and undone in reverse when one of
 * them cannot be done (Garcia-Molina and Salem, "Sagas", 1987).
 *
 * What has been done is on record in the service's own database before the next step begins, so that any instance goes on where one
 * died. A step may run more than once, never after a later one began; its effects are exactly once when they carry its key.
 */
import { randomUUID } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import type { Meter } from "@opentelemetry/api";
import type { Logger } from "pino";
import { runWithoutContext } from "#mesh/context.ts";
import { failedPrecondition, notFound } from "#mesh/errors.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { migrate } from "#mesh/storage/migrate.ts";
import { Runner } from "./runner.ts";
import { begun, retried, type SagaFailure, type SagaStatus, type StepShape } from "./saga-state.ts";
import { countOpen, findSaga, insertSaga, listSagas, lockSaga, recordRetry, type SagaRow, sagaLog } from "./saga-store.ts";

/** What a step is told beside the saga's state. */
export interface StepContext {
  readonly sagaId: string;
  /**
   * `<saga>/<step>`, and `<saga>/<step>/undo` in a compensation: the same at every repeat. Effects carry it, for example as the
   * request_id that requestIdOf makes of it.
   */
  readonly key: string;
  /** Aborts when the step has taken too long, and at the end of the process. The current context has the same deadline. */
  readonly signal: AbortSignal;
  /** From 1; counts those whose process died. */
  readonly attempt: number;
}

/** One step. It has one effect outside the database at most, which carries the step's key. */
export interface SagaStep<S extends JsonObject> {
  /** Kept in the database with every saga: not to be changed while there are any. */
  readonly name: string;
  /** Milliseconds that one attempt may take. */
  readonly timeoutMs: number;
  /**
   * Answers with the new state. What it throws decides: UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED, RESOURCE_EXHAUSTED, UNKNOWN and INTERNAL
   * (and so all that is no ConnectError) are repeated with backoff, all else turns the saga back.
   */
  run(state: S, context: StepContext): Promise<S>;
  /**
   * Undoes the step. Also called when it is not known whether the step had its effect: after attempts that failed, or whose process
   * died. It is repeated until it succeeds, whatever it throws.
   */
  compensate?(state: S, context: StepContext): Promise<S>;
  /** Attempts that may fail until the saga turns back; in a compensation until it counts as STUCK. Default 8, some 25 s. */
  readonly maxAttempts?: number;
}

/** A kind of saga. */
export interface SagaDefinition<S extends JsonObject> {
  /** Kept in the database, as the steps' names are. */
  readonly name: string;
  readonly steps: readonly SagaStep<S>[];
  /** Called in the transaction that records each change: for the service's own tables, and its outbox. Not called by begin. */
  onChange?(tx: Queryable, saga: SagaView<S>): Promise<void>;
}

/** What is seen of a saga. */
export interface SagaView<S = JsonObject> {
  readonly id: string;
  readonly name: string;
  readonly status: SagaStatus;
  /** The step that runs or is compensated next; of an ended saga the last one. */
  readonly step: string;
  readonly state: S;
  /** Why it is or was compensated: gRPC's code, the message, and the reason of the error's ErrorInfo or "". */
  readonly failure?: SagaFailure;
  /** Attempts at the present step so far. */
  readonly attempts: number;
  /** Absent when it has ended. */
  readonly nextAttemptTime?: Date;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** One attempt, for people. */
export interface SagaLogEntry {
  readonly step: string;
  /** `retry` is a person's, of the step. */
  readonly action: "run" | "compensate" | "retry";
  readonly attempt: number;
  readonly startTime: Date;
  /** Absent while it runs, and for an attempt that was interrupted by the death of its process. */
  readonly endTime?: Date;
  readonly outcome: "running" | "ok" | "failed" | "refused" | "interrupted" | "asked";
  /** The error's code and message; "" when there was none. */
  readonly message: string;
}

/** Which sagas to list. */
export interface SagaFilter {
  readonly status?: SagaStatus;
  readonly name?: string;
  /** Default 50, at most 1000. */
  readonly pageSize?: number;
  /** The nextPageToken of an earlier page. */
  readonly pageToken?: string;
}

/** The sagas of a service, running. Disposing lets the attempts under way finish, within the grace. */
export interface Sagas extends AsyncDisposable {
  /**
   * Stores a saga in the caller's transaction; it begins when that commits. An id that exists is left as it is. People see the state:
   * it holds no secrets.
   */
  begin<S extends JsonObject>(tx: Queryable, name: string, id: string, state: S): Promise<void>;
  get(id: string): Promise<SagaView | undefined>;
  /** Every attempt of a saga, in order. */
  log(id: string): Promise<SagaLogEntry[]>;
  /** Newest first. */
  list(filter?: SagaFilter): Promise<{ readonly sagas: SagaView[]; readonly nextPageToken: string }>;
  /**
   * Makes a saga try again now, and a STUCK one COMPENSATING.
   *
   * @throws NOT_FOUND, and FAILED_PRECONDITION (SAGA_ENDED).
   */
  retry(id: string): Promise<SagaView>;
  /** Look for sagas that are due now. There is no need to call it after begin. */
  wake(): void;
}

/** What sagas work with. */
export interface SagaOptions {
  readonly db: Database;
  /** Each of its own kind of state. */
  // biome-ignore lint/suspicious/noExplicitAny: definitions differ in their states, which only their own steps see
  readonly definitions: readonly SagaDefinition<any>[];
  readonly log: Logger;
  readonly meter: Meter;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Sagas at work at the same time in this process. Default 16. */
  readonly concurrency?: number;
  /** Milliseconds after which the sagas of a process that died are taken over. It renews its claims four times as often. Default 3000. */
  readonly leaseMs?: number;
  /** Milliseconds between looks when nothing says that there is work. Default 2000. */
  readonly pollMs?: number;
  /** Milliseconds that attempts under way may go on at the end. Default 5000. */
  readonly graceMs?: number;
  /** Milliseconds that an ended saga is kept. Default 30 days. */
  readonly keepMs?: number;
  /** From 0 to 1. Default Math.random. */
  readonly random?: () => number;
}

/** Makes the tables in the schema heddle_saga when they are absent, and starts to work on what is there. */
export async function startSagas(options: SagaOptions): Promise<Sagas> {
  const { db, definitions, log, meter, clock } = options;
  assertSound(definitions);
  await migrate(db, new URL("./migrations/", import.meta.url), log, "heddle_saga");
  const defaults = {
    concurrency: 16,
    leaseMs: 3000,
    pollMs: 2000,
    graceMs: 5000,
    keepMs: 30 * 24 * 3_600_000,
    random: Math.random,
  };
  const runner = new Runner({ ...defaults, ...options, leaseId: randomUUID() });
  const open = meter.createObservableGauge("heddle.saga.open", { description: "Sagas that have not ended, by status" });
  const observe = async (result: { observe(value: number, attributes: Record<string, string>): void }) => {
    // A scrape while the database is away shows nothing, which is true.
    const counts = await countOpen(db).catch(() => []);
    for (const { status, count } of counts) result.observe(Number(count), { status });
  };
  open.addCallback(observe);
  const wake = () => runner.wake();
  const listening = await runWithoutContext(() => db.listen("heddle_saga", wake, wake));
  runWithoutContext(() => runner.start());
  return {
    async begin(tx, name, id, state) {
      const definition = definitions.find((one) => one.name === name);
      if (definition === undefined) throw new RangeError(`there is no saga ${JSON.stringify(name)}`);
      await insertSaga(tx, { id, name, state, progress: begun(shapesOf(definition), clock()), now: clock() });
    },
    async get(id) {
      const row = await findSaga(db, id);
      return row === undefined ? undefined : viewOf(row);
    },
    log: (id) => sagaLog(db, id),
    async list(filter = {}) {
      const { rows, nextPageToken } = await listSagas(db, filter);
      return { sagas: rows.map(viewOf), nextPageToken };
    },
    retry: (id) =>
      db.transaction(async (tx) => {
        const row = await lockSaga(tx, id);
        if (row === undefined) throw notFound("saga", id);
        const progress = retried(row.progress, clock());
        if (progress === undefined) throw failedPrecondition("SAGA_ENDED", `the saga has ended: it is ${row.progress.status}`);
        await recordRetry(tx, row, progress, clock());
        return viewOf({ ...row, progress });
      }),
    wake,
    async [Symbol.asyncDispose]() {
      open.removeCallback(observe);
      await listening[Symbol.asyncDispose]();
      await runner.stop();
    },
  };
}

/** What the state machine knows of a definition's steps. */
export function shapesOf(definition: Pick<SagaDefinition<JsonObject>, "steps">): StepShape[] {
  return definition.steps.map(({ name, compensate, maxAttempts = 8 }) => ({
    name,
    compensable: compensate !== undefined,
    maxAttempts,
  }));
}

/** A stored saga as it is shown. */
export function viewOf({ id, name, state, progress, createTime, updateTime }: SagaRow): SagaView {
  const { status, step, failure, attempts, nextAttemptTime } = progress;
  return {
    ...{ id, name, status, step, state, attempts, createTime, updateTime },
    ...(failure === undefined ? {} : { failure }),
    ...(nextAttemptTime === undefined ? {} : { nextAttemptTime: new Date(nextAttemptTime) }),
  };
}

/** @throws RangeError: a definition without steps, or a name that occurs twice, is a mistake in the program. */
function assertSound(definitions: SagaOptions["definitions"]): void {
  const names = definitions.map(({ name }) => name);
  if (new Set(names).size < names.length) throw new RangeError(`two sagas have the same name: ${names.join(", ")}`);
  for (const { name, steps } of definitions) {
    const stepNames = steps.map((step) => step.name);
    if (steps.length === 0) throw new RangeError(`saga ${name} has no steps`);
    if (new Set(stepNames).size < stepNames.length) throw new RangeError(`saga ${name}: two steps have the same name`);
  }
}
