/** The database of a service: a pool, transactions that are exact, and calls that fail fast while PostgreSQL is away. */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Logger } from "pino";
import { type CallContext, currentContext, remainingMs } from "#mesh/context.ts";
import { aborted, internal, unavailable } from "#mesh/errors.ts";
import { Availability, away } from "./availability.ts";
import { connectionOptions, connectTimeoutMs, ensureDatabase, statementTimeoutMs, withConnection } from "./connection.ts";
import { allowCopy } from "./copy.ts";
import { assertInTime, Lease } from "./lease.ts";
import { Listener } from "./listener.ts";
import { kindOf } from "./sql-error.ts";

/** What SQL can be sent to: the database itself, each statement for itself, or an open transaction. */
export interface Queryable {
  /**
   * Sends one statement and answers with its rows. Values travel as parameters ($1, $2), never in the text. int8 and numeric come back as
   * texts, timestamptz as Date, json as parsed.
   *
   * @throws UNAVAILABLE when the connection is lost (a write may have happened), DEADLINE_EXCEEDED or CANCELLED with the call's context, and
   * the driver's own error for what the statement did wrong (see isUniqueViolation).
   */
  query<R extends object = Record<string, unknown>>(sql: string, params?: readonly unknown[]): Promise<R[]>;
}

/** How a transaction is run. */
export interface TransactionOptions {
  /** Default: read committed, PostgreSQL's own. */
  readonly isolation?: "read committed" | "repeatable read" | "serializable";
  /** How often the work is run at most when it conflicts with others (40001, 40P01). Default 5. */
  readonly attempts?: number;
  /** Milliseconds that one statement may take, when the call's deadline does not say less. Default 30,000. */
  readonly timeoutMs?: number;
}

/** An open database. */
export interface Database extends Queryable, AsyncDisposable {
  /**
   * Runs `work` in a transaction: all of it, or nothing. After a conflict the whole work runs again, so it must touch nothing but `tx`.
   *
   * @throws What `work` throws, after the rollback. ABORTED when the conflicts do not end. UNAVAILABLE when the connection is lost: nothing
   * was written, except when the answer to COMMIT was lost, where the caller cannot know and repeats with the same request_id.
   */
  transaction<T>(work: (tx: Queryable) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /**
   * Hears NOTIFY on `channel`, over one connection for all channels. After that connection broke it is made again, and `onReconnect`
   * is called: what was sent meanwhile is lost, so read the state anew then.
   */
  listen(channel: string, listener: (payload: string) => void, onReconnect?: () => void): Promise<AsyncDisposable>;
  /** For a HealthCheck: undefined when the database answers, else what is wrong. */
  check(signal: AbortSignal): Promise<string | undefined>;
}

/** Which database, and for whom. */
export interface DatabaseOptions {
  readonly url: string;
  /** The service's name, shown in pg_stat_activity. */
  readonly service: string;
  /** Connections at most. Default 10: eighteen services fit into PostgreSQL's 200. */
  readonly poolSize?: number;
  /** Hears each time that the database is found to be away (false) or back (true). */
  readonly onAvailability?: (here: boolean) => void;
  readonly log: Logger;
}

/**
 * Opens the database, creating it when it is absent. Waits up to 15 s for a server that is just starting.
 *
 * @throws UNAVAILABLE when the server does not answer, the driver's error when it refuses us.
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const connection = connectionOptions(options.url, options.service);
  try {
    await ensureDatabase(connection, 15_000);
  } catch (error) {
    throw kindOf(error) === "connection" ? away(error) : error;
  }
  return new PooledDatabase(connection, options);
}

class PooledDatabase implements Database {
  readonly #newPool: () => pg.Pool;
  #pool: pg.Pool;
  readonly #availability: Availability;
  readonly #listener: Listener;
  /** The connections that calls hold now; cut when the database is found to be away, so that those calls end. */
  readonly #busy = new Set<Lease>();

  constructor(connection: pg.ClientConfig, options: DatabaseOptions) {
    const { log } = options;
    this.#newPool = () => {
      const pool = new pg.Pool({ ...connection, max: options.poolSize ?? 10, idleTimeoutMillis: 60_000 });
      // Idle connections that break leave the pool by themselves.
      return pool.on("error", (error) => log.debug({ err: error }, "an idle database connection ended"));
    };
    this.#pool = this.#newPool();
    this.#listener = new Listener(connection, log);
    this.#availability = new Availability({
      probe: () =>
        withConnection(
          { ...connection, query_timeout: connectTimeoutMs },
          async (client) => void (await client.query("select 1")),
        ),
      onAway: (error) => {
        log.error({ err: error }, "the database is away");
        for (const lease of [...this.#busy]) lease.cut(away(error));
        // A connection that idles through an outage may never learn that its other end is gone.
        const old = this.#pool;
        this.#pool = this.#newPool();
        void old.end().catch(() => undefined);
        options.onAvailability?.(false);
      },
      onBack: (awayMs) => {
        log.info({ awayMs: Math.round(awayMs) }, "the database is back");
        this.#listener.reconnectNow();
        options.onAvailability?.(true);
      },
    });
  }

  async query<R extends object>(sql: string, params: readonly unknown[] = []): Promise<R[]> {
    const lease = await this.#lease(currentContext());
    return lease.finish(() => lease.rows<R>(sql, params));
  }

  async transaction<T>(work: (tx: Queryable) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const attempts = options.attempts ?? 5;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(work, options);
      } catch (error) {
        if (kindOf(error) !== "conflict") throw error;
        if (attempt >= attempts) throw aborted("the change conflicts with others at the same time; repeat the call", error);
        await sleep(Math.random() * 10 * 2 ** attempt);
      }
    }
  }

  listen(channel: string, listener: (payload: string) => void, onReconnect?: () => void): Promise<AsyncDisposable> {
    return this.#listener.listen(channel, listener, onReconnect);
  }

  async check(signal: AbortSignal): Promise<string | undefined> {
    if (this.#availability.reason !== undefined) return `the database is away: ${this.#availability.reason}`;
    try {
      signal.throwIfAborted();
      const lease = await this.#lease(undefined);
      await lease.finish(() => lease.send("select 1", []));
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#availability.close();
    await this.#listener.close();
    await this.#pool.end();
  }

  async #attempt<T>(work: (tx: Queryable) => Promise<T>, options: TransactionOptions): Promise<T> {
    const context = currentContext();
    const lease = await this.#begin(context, options);
    return lease.finish(async () => {
      let result: T;
      try {
        const tx: Queryable = { query: (sql, params = []) => lease.rows(sql, params) };
        allowCopy(tx, lease);
        result = await work(tx);
        // The last moment at which "nothing happened" is still true.
        assertInTime(context);
      } catch (error) {
        await lease.rollback();
        throw error;
      }
      const { command } = await lease.send("commit", [], "commit");
      // PostgreSQL answers ROLLBACK, not an error, when a statement failed and the work went on regardless.
      if (command !== "COMMIT")
        throw internal(new Error(`commit answered ${command}: a failed statement was ignored in a transaction`));
      return result;
    });
  }

  /** BEGIN changes nothing, so a connection that turns out dead here is replaced without anybody noticing. */
  async #begin(context: CallContext | undefined, options: TransactionOptions): Promise<Lease> {
    const { isolation = "read committed", timeoutMs = statementTimeoutMs } = options;
    for (let attempt = 1; ; attempt++) {
      const lease = await this.#lease(context, timeoutMs);
      try {
        const timeout = Math.ceil(Math.min(remainingMs(context, Date.now()), timeoutMs));
        await lease.send(`begin isolation level ${isolation}; set local statement_timeout = ${timeout}`, []);
        return lease;
      } catch (error) {
        const dead = lease.broken;
        lease.cut(error);
        if (!dead || attempt === 3) throw error;
      }
    }
  }

  async #lease(context: CallContext | undefined, timeoutMs = statementTimeoutMs): Promise<Lease> {
    this.#availability.assertHere();
    assertInTime(context);
    try {
      const client = await this.#pool.connect();
      const lease = new Lease(client, context, timeoutMs, this.#availability, () => this.#busy.delete(lease));
      this.#busy.add(lease);
      return lease;
    } catch (error) {
      // The pool was empty for as long as we wait: too much to do, which says nothing of the database, but do look.
      if (error instanceof Error && error.message.startsWith("timeout exceeded")) {
        this.#availability.suspect();
        throw unavailable("the database is busy", 1000, error);
      }
      if (kindOf(error) !== "connection") throw error;
      this.#availability.lost(error);
      throw away(error);
    }
  }
}
