/**
 * The one who writes: commands that come while a transaction runs wait and go together into the next one.
 *
 * A busy account is one row, and SERIALIZABLE transactions that want the same row fail one another: with one transaction per
 * command most of the work would be repeats. So commands are decided in memory, in the order in which they came, on rows read once, and a
 * batch costs about what one command costs. Writers of other processes take turns by the lock of table writer_gate, which is taken
 * before the transaction's snapshot; SERIALIZABLE and the bounded repeat stay, for whatever else may write.
 */
import { ConnectError } from "@connectrpc/connect";
import type { Meter } from "@opentelemetry/api";
import type { Logger } from "pino";
import { type CallContext, currentContext, remainingMs, runWithoutContext } from "#mesh/context.ts";
import { canceled, deadlineExceeded, from, resourceExhausted, unavailable } from "#mesh/errors.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { type Command, type Outcome, type Recorded, settle } from "./batch.ts";
import { closeGate, load, write } from "./batch-store.ts";

/** Takes commands. Disposing finishes those that were taken. */
export interface Writer extends AsyncDisposable {
  /**
   * Carries a command out, exactly once by its request id.
   *
   * @throws What the rules of the ledger say; UNAVAILABLE while the database is away (after a lost COMMIT it may have been carried
   * out: repeat it with the same request id); RESOURCE_EXHAUSTED when too many wait; DEADLINE_EXCEEDED or CANCELLED with the call.
   */
  submit(command: Command): Promise<Outcome>;
}

/** What a writer works with. */
export interface WriterOptions {
  readonly db: Database;
  /** Tells others of what was recorded, in the same database transaction. */
  readonly announce: (tx: Queryable, recorded: readonly Recorded[]) => Promise<void>;
  readonly log: Logger;
  readonly meter: Meter;
  readonly clock: () => number;
  /** Commands in one transaction at most. Default 200. */
  readonly maxBatch?: number;
  /** Commands that may wait. Default 10,000: some seconds of work. */
  readonly maxWaiting?: number;
}

/** How often a transaction is tried when it conflicts with others. With the gate there is nobody to conflict with but strangers. */
const attempts = 8;
/** Milliseconds for one statement, the wait for the gate included. */
const timeoutMs = 8000;

/** Starts to take commands. */
export function startWriter(options: WriterOptions): Writer {
  return new BatchWriter(options);
}

interface Job {
  readonly command: Command;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
  /** False once its call is over: nobody waits for it, and it was not begun. */
  readonly wanted: () => boolean;
}

class BatchWriter implements Writer {
  readonly #options: WriterOptions;
  readonly #maxBatch: number;
  readonly #maxWaiting: number;
  readonly #sizes;
  #waiting: Job[] = [];
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#maxBatch = options.maxBatch ?? 200;
    this.#maxWaiting = options.maxWaiting ?? 10_000;
    this.#sizes = options.meter.createHistogram("heddle.ledger.batch_size", {
      description: "Commands in one database transaction",
      advice: { explicitBucketBoundaries: [1, 2, 5, 10, 20, 50, 100, 200] },
    });
  }

  submit(command: Command): Promise<Outcome> {
    if (this.#closed) return Promise.reject(unavailable("the ledger is stopping", 1000));
    if (this.#waiting.length >= this.#maxWaiting) return Promise.reject(resourceExhausted("too many commands wait", 1000));
    const context = currentContext();
    if (context?.signal.aborted === true) return Promise.reject(endOf(context));
    return new Promise((resolve, reject) => {
      // The call's end is told at once; a command that has begun goes on, and its repeat finds what it made.
      const onEnd = () => reject(endOf(context));
      context?.signal.addEventListener("abort", onEnd, { once: true });
      const settled = <V>(settle: (value: V) => void) => {
        return (value: V) => {
          context?.signal.removeEventListener("abort", onEnd);
          settle(value);
        };
      };
      const wanted = () => context?.signal.aborted !== true;
      this.#waiting.push({ command, resolve: settled(resolve), reject: settled(reject), wanted });
      // The work outlives the call that happens to start it, and serves the calls of others.
      this.#running ??= runWithoutContext(() => this.#drain());
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#maxBatch).filter((job) => job.wanted());
      if (batch.length > 0) await this.#settle(batch);
    }
    this.#running = undefined;
  }

  /** Never throws: each job gets its outcome or its error. */
  async #settle(jobs: readonly Job[]): Promise<void> {
    try {
      const outcomes = await this.#carryOut(jobs.map(({ command }) => command));
      jobs.forEach((job, index) => {
        const outcome = outcomes[index];
        if (outcome === undefined || outcome instanceof ConnectError) job.reject(outcome ?? from(new Error("no outcome")));
        else job.resolve(outcome);
      });
    } catch (error) {
      // What the database refuses in one command must not fail the others. Connections and conflicts concern all alike.
      if (jobs.length > 1 && !(error instanceof ConnectError)) {
        this.#options.log.error({ err: error, commands: jobs.length }, "a batch failed; its commands are carried out one by one");
        for (const job of jobs) await this.#settle([job]);
      } else for (const job of jobs) job.reject(error);
    }
  }

  #carryOut(commands: readonly Command[]): Promise<readonly (Outcome | ConnectError)[]> {
    const { db, announce, clock } = this.#options;
    this.#sizes.record(commands.length);
    return db.transaction(
      async (tx) => {
        await closeGate(tx);
        const loaded = await load(tx, commands);
        const now = clock();
        const { outcomes, writes } = settle(loaded, commands, now, () => uuidv7(now));
        await write(tx, writes, now);
        if (writes.recorded.length > 0) await announce(tx, writes.recorded);
        return outcomes;
      },
      { isolation: "serializable", attempts, timeoutMs },
    );
  }
}

function endOf(context: CallContext | undefined): ConnectError {
  return remainingMs(context, Date.now()) > 0 ? canceled() : deadlineExceeded();
}
