/** Queries on PostgreSQL servers that the service is configured with: read-only, with a limit of time, read no faster than they are used. */
import pg from "pg";
import QueryStream from "pg-query-stream";
import type { Cell } from "./cell.ts";
import type { Rows } from "./chunk.ts";
import { badColumns, type Column, type ColumnType, quoted } from "./column.ts";
import { JobError, type QueryInput } from "./job.ts";

/** The servers. */
export interface QuerySources {
  readonly names: readonly string[];
  /** The columns of a query's rows. @throws JobError for what is wrong with it. */
  columns(source: string, query: string): Promise<readonly Column[]>;
  /** Its rows. @throws JobError for what is wrong with it, when it takes too long, and when there are more than it may have. */
  rows(input: QueryInput, signal: AbortSignal): AsyncIterable<Rows>;
}

/** Rows of a batch, and how many characters it may have all the same. */
const [batchRows, batchChars] = [2000, 1 << 20];

/** Milliseconds in which a query must say what its columns are. */
const describeTimeoutMs = 8000;

/** Opens nothing: each query has a connection of its own. */
export function querySources(urls: ReadonlyMap<string, string>, timeoutMs: number): QuerySources {
  return {
    names: [...urls.keys()],

    async columns(source, query) {
      return connected(urlOf(urls, source), describeTimeoutMs, undefined, async (client) => {
        const { fields } = await client.query(`SELECT * FROM (${query}\n) AS q LIMIT 0`);
        const columns = fields.map(({ name, dataTypeID }) => ({ name, type: typeOf.get(dataTypeID) ?? "text" }));
        const bad = badColumns(columns);
        if (bad !== undefined) throw new JobError(`the query's columns: ${bad}`);
        return columns;
      });
    },

    async *rows({ source, query, columns, maxRows }, signal) {
      const client = await connect(urlOf(urls, source), timeoutMs);
      const cut = () => void client.end().catch(() => undefined);
      signal.addEventListener("abort", cut, { once: true });
      try {
        signal.throwIfAborted();
        await client.query("BEGIN READ ONLY");
        const made = columns.map(({ name }) => `${quoted(name)}::text`).join(", ");
        const sql = `SELECT ${made} FROM (${query}\n) AS q LIMIT ${maxRows + 1}`;
        const stream = client.query(new QueryStream(sql, [], { batchSize: 200, rowMode: "array", highWaterMark: 400 }));
        yield* batches(stream as AsyncIterable<Cell[]>, columns, maxRows);
        await client.query("COMMIT");
      } catch (error) {
        signal.throwIfAborted();
        throw meaningOf(error);
      } finally {
        signal.removeEventListener("abort", cut);
        await client.end().catch(() => undefined);
      }
    },
  };
}

async function* batches(stream: AsyncIterable<Cell[]>, columns: readonly Column[], maxRows: number): AsyncGenerator<Rows> {
  const booleans = columns.flatMap(({ type }, place) => (type === "boolean" ? [place] : []));
  let rows: Cell[][] = [];
  let chars = 0;
  let count = 0;
  const batch = (): Rows => ({ rows, lines: rows.map((_, index) => count - rows.length + index + 1) });
  for await (const row of stream) {
    if (++count > maxRows) throw new JobError(`the query has more than ${maxRows} rows`);
    for (const place of booleans) row[place] = row[place]?.slice(0, 1) ?? null;
    rows.push(row);
    for (const cell of row) chars += cell?.length ?? 0;
    if (rows.length < batchRows && chars < batchChars) continue;
    yield batch();
    rows = [];
    chars = 0;
  }
  yield batch();
}

async function connected<T>(
  url: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connect(url, timeoutMs);
  try {
    signal?.throwIfAborted();
    await client.query("BEGIN READ ONLY");
    return await work(client);
  } catch (error) {
    throw meaningOf(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function connect(connectionString: string, timeoutMs: number): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString,
    application_name: "heddle-etl",
    connectionTimeoutMillis: 5000,
    statement_timeout: timeoutMs,
    // A job that is cancelled ends its query, wherever it is.
    options: `-c timezone=UTC -c default_transaction_read_only=on -c idle_in_transaction_session_timeout=${timeoutMs} -c client_connection_check_interval=1000`,
  });
  // A connection that breaks while it is idle; the next query reports it too.
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

function urlOf(urls: ReadonlyMap<string, string>, source: string): string {
  const url = urls.get(source);
  if (url === undefined) throw new JobError(`source ${JSON.stringify(source)} is not configured any more`);
  return url;
}

/** What PostgreSQL says of the user's own query is for the user; that it is away is not the query's fault. */
function meaningOf(error: unknown): unknown {
  if (error instanceof JobError || !(error instanceof Error)) return error;
  const { code, position } = error as { code?: string; position?: string };
  if (code === undefined || !/^[0-9A-Z]{5}$/.test(code) || /^(?:08|53|57P|58|XX)/.test(code)) return error;
  if (code === "57014") return new JobError("the query took too long");
  // Our own SELECT stands in front of it.
  return new JobError(`the query failed: ${error.message}${position === undefined ? "" : ` (near character ${Math.max(1, Number(position) - 15)})`}`);
}

/** By the types' OIDs (pg_type.dat); all others come as texts. */
const typeOf: ReadonlyMap<number, ColumnType> = new Map<number, ColumnType>([
  [16, "boolean"],
  [20, "integer"],
  [21, "integer"],
  [23, "integer"],
  [26, "integer"],
  [114, "json"],
  [700, "double"],
  [701, "double"],
  [1082, "date"],
  [1114, "timestamp"],
  [1184, "timestamp"],
  [1700, "decimal"],
  [3802, "json"],
]);
