/** One connection of the pool in the hands of one call, for as long as the call's deadline and the database allow. */
import { finished } from "node:stream/promises";
import type pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { type CallContext, remainingMs } from "#mesh/context.ts";
import { canceled, deadlineExceeded, invalidArgument, unavailable } from "#mesh/errors.ts";
import { type Availability, away } from "./availability.ts";
import { codeOf, kindOf } from "./sql-error.ts";

/** Milliseconds after which a statement without an answer makes us ask whether the database is still there. */
const suspiciousMs = 1000;

type Purpose = "statement" | "commit" | "rollback";

/** One connection in the hands of one call. */
export class Lease {
  readonly #client: pg.PoolClient;
  readonly #context: CallContext | undefined;
  readonly #timeoutMs: number;
  readonly #availability: Availability;
  readonly #onReturn: () => void;
  #cutBecause: unknown;
  #returned = false;
  /** True once the connection cannot be used any more. */
  broken = false;

  constructor(
    client: pg.PoolClient,
    context: CallContext | undefined,
    timeoutMs: number,
    availability: Availability,
    onReturn: () => void,
  ) {
    this.#client = client;
    this.#context = context;
    this.#timeoutMs = timeoutMs;
    this.#availability = availability;
    this.#onReturn = onReturn;
    client.on("error", this.#onError);
  }

  /** Runs `work` and gives the connection back, or throws it away when it is broken. */
  async finish<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      this.#return();
    }
  }

  async rows<R extends object>(sql: string, params: readonly unknown[]): Promise<R[]> {
    // Several statements in one text have no rows to speak of.
    return ((await this.send(sql, params)).rows as R[] | undefined) ?? [];
  }

  send(sql: string, params: readonly unknown[], what: Purpose = "statement"): Promise<pg.QueryResult> {
    return this.#run(() => this.#client.query(sql, [...params]), what);
  }

  /** Sends the data of a COPY ... FROM STDIN and answers how many rows it made. */
  copy(sql: string, data: Uint8Array): Promise<number> {
    return this.#run(async () => {
      const stream = this.#client.query(copyFrom(sql));
      stream.end(data);
      await finished(stream);
      return stream.rowCount;
    }, "statement");
  }

  async #run<T>(work: () => Promise<T>, what: Purpose): Promise<T> {
    if (this.#cutBecause !== undefined) throw this.#cutBecause;
    if (this.broken) throw away(undefined);
    if (what === "statement") assertInTime(this.#context);
    // A rollback has time of its own: it mostly happens because the call's is over.
    const leftMs = what === "rollback" ? 1000 : Math.min(remainingMs(this.#context, Date.now()), this.#timeoutMs);
    const late = setTimeout(() => this.cut(deadlineExceeded()), leftMs + 50);
    const suspicious = setTimeout(() => this.#availability.suspect(), suspiciousMs);
    const gone = what === "statement" ? this.#context?.signal : undefined;
    const onGone = () => this.cut(remainingMs(this.#context, Date.now()) > 0 ? canceled() : deadlineExceeded());
    gone?.addEventListener("abort", onGone, { once: true });
    try {
      return await work();
    } catch (error) {
      throw this.#meaningOf(error, what);
    } finally {
      clearTimeout(late);
      clearTimeout(suspicious);
      gone?.removeEventListener("abort", onGone);
    }
  }

  /** Never throws: a rollback that fails means a broken connection, and the server rolls back by itself. */
  async rollback(): Promise<void> {
    if (this.broken) return;
    await this.send("rollback", [], "rollback").catch(() => {
      this.broken = true;
    });
  }

  /** Ends whatever is running on the connection; the call that waits for it gets `because`. */
  cut(because: unknown): void {
    this.#cutBecause ??= because;
    this.broken = true;
    this.#return();
  }

  #meaningOf(error: unknown, what: Purpose): unknown {
    if (this.#cutBecause !== undefined) return this.#cutBecause;
    // A text with U+0000, which PostgreSQL does not store, in a column (22021) or in json (22P05).
    if (codeOf(error) === "22021" || codeOf(error) === "22P05") {
      return invalidArgument([{ field: "", description: "a text contains the character U+0000, which cannot be stored" }]);
    }
    const kind = kindOf(error);
    if (kind === "timeout") return deadlineExceeded("the database took too long");
    if (kind !== "connection") return error;
    this.broken = true;
    this.#availability.suspect();
    return what === "commit"
      ? unavailable("the database went away while it committed: the outcome is unknown", 1000, error)
      : away(error);
  }

  #return(): void {
    if (this.#returned) return;
    this.#returned = true;
    this.#client.release(this.broken);
    this.#client.off("error", this.#onError);
    this.#onReturn();
  }

  #onError = (): void => {
    this.broken = true;
  };
}

/** @throws DEADLINE_EXCEEDED or CANCELLED when the call is over. */
export function assertInTime(context: CallContext | undefined): void {
  if (context === undefined) return;
  if (remainingMs(context, Date.now()) <= 0) throw deadlineExceeded();
  if (context.signal.aborted) throw canceled();
}
