/** Connections to PostgreSQL: how a session is set up, and the database itself made when it is absent. */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { codeOf, isUniqueViolation, kindOf } from "./sql-error.ts";

/**
 * Milliseconds to get a connection, whether a new one or one of the pool. A database that is gone refuses at once; only one that
 * hangs takes this long to show, and one that is merely slow on a busy machine must not look as if it hung.
 */
export const connectTimeoutMs = 1700;

/** Milliseconds that a statement may take where no deadline says less. */
export const statementTimeoutMs = 30_000;

/** The driver's options for every connection of a service. */
export function connectionOptions(url: string, service: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: `heddle-${service}`,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    statement_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: 60_000,
    // A statement whose client is gone (a deadline passed, the process died) ends within a second.
    options: "-c timezone=UTC -c client_connection_check_interval=1000",
  };
}

/** Opens one connection, hands it to `work` and closes it whatever happens. */
export async function withConnection<T>(options: pg.ClientConfig, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(options);
  // A connection that breaks while it is idle; the next query reports it too.
  client.on("error", () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * Makes sure that the database of `options` exists, creating it through the server's database `postgres`; two processes may do so at
 * the same time. Waits up to `patienceMs` for a server that is away.
 *
 * @throws The driver's last error.
 */
export async function ensureDatabase(options: pg.ClientConfig, patienceMs: number): Promise<void> {
  const until = performance.now() + patienceMs;
  for (;;) {
    try {
      await withConnection(options, (client) => client.query("select 1"));
      return;
    } catch (error) {
      if (codeOf(error) === "3D000") await createDatabase(options);
      else if (kindOf(error) !== "connection" || performance.now() > until) throw error;
      else await sleep(200);
    }
  }
}

async function createDatabase(options: pg.ClientConfig): Promise<void> {
  const url = new URL(options.connectionString ?? "");
  const name = decodeURIComponent(url.pathname.slice(1));
  url.pathname = "/postgres";
  try {
    await withConnection({ ...options, connectionString: url.href }, (client) =>
      client.query(`create database ${pg.escapeIdentifier(name)}`),
    );
  } catch (error) {
    // Somebody else was faster: it exists, or is just being made (a race shows as a unique violation in pg_database).
    const there = codeOf(error) === "42P04" || isUniqueViolation(error) || codeOf(error) === "55006";
    if (!there && kindOf(error) !== "connection") throw error;
  }
}
