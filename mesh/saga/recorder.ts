/** Puts on record what became of a saga, until the database has taken it: what was done must not be done again. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Queryable } from "#mesh/storage/database.ts";
import type { RunnerOptions } from "./runner.ts";
import { viewOf } from "./saga.ts";
import { attemptBegun } from "./saga-state.ts";
import { type AttemptEnd, type Claim, closeAttempt, openAttempt, recordProgress, type SagaRow } from "./saga-store.ts";

const errorPauseMs = 500;

/** The writer of one runner. */
export class Recorder {
  readonly #o: RunnerOptions;
  /** Aborts at the end of the process: what is not on record then, its next owner finds out by trying again. */
  readonly #cut: AbortSignal;

  constructor(options: RunnerOptions, cut: AbortSignal) {
    this.#o = options;
    this.#cut = cut;
  }

  mark(): Claim {
    const { leaseId, leaseMs, clock } = this.#o;
    return { leaseId, leaseMs, now: clock() };
  }

  /** The first attempt of a turn. Undefined when the claim is lost. */
  begin(saga: SagaRow): Promise<SagaRow | undefined> {
    return this.#record(saga, async (tx) => {
      const next = { ...saga, progress: attemptBegun(saga.progress) };
      if (!(await recordProgress(tx, saga.progress, next, this.mark(), true))) return undefined;
      await openAttempt(tx, next.id, next, this.#o.clock());
      return next;
    });
  }

  /** The end of an attempt, and when the saga goes on at once the beginning of the next. Undefined when it does not go on here. */
  end(
    definition: RunnerOptions["definitions"][number],
    before: SagaRow,
    saga: SagaRow,
    attempt: AttemptEnd,
    goOn: boolean,
  ): Promise<SagaRow | undefined> {
    return this.#record(saga, async (tx) => {
      const now = this.#o.clock();
      const next = goOn ? { ...saga, progress: attemptBegun(saga.progress) } : saga;
      if (!(await recordProgress(tx, before.progress, next, this.mark(), goOn))) return undefined;
      await closeAttempt(tx, saga.id, attempt, now);
      if (goOn) await openAttempt(tx, saga.id, next, now);
      await definition.onChange?.(tx, viewOf({ ...saga, updateTime: new Date(now) }));
      return goOn ? next : undefined;
    });
  }

  /** An attempt that says nothing of its step. */
  async giveBack(saga: SagaRow, message: string, nextAttemptTime: number): Promise<void> {
    await this.#record(saga, async (tx) => {
      const next = { ...saga, progress: { ...saga.progress, nextAttemptTime } };
      if (await recordProgress(tx, saga.progress, next, this.mark(), false)) {
        await closeAttempt(tx, saga.id, { outcome: "interrupted", message }, this.#o.clock());
      }
      return undefined;
    });
  }

  async #record<T>(saga: SagaRow, write: (tx: Queryable) => Promise<T>): Promise<T | undefined> {
    for (let failing = false; ; failing = true) {
      try {
        return await this.#o.db.transaction(write);
      } catch (error) {
        if (!failing) this.#o.log.warn({ err: error, saga: saga.id }, "cannot record a step of a saga; trying again");
        if (this.#cut.aborted) return undefined;
        await sleep(errorPauseMs, undefined, { signal: this.#cut }).catch(() => undefined);
      }
    }
  }
}
