/** What the service's tests run on: the handlers behind a Connect transport in this process, on a real PostgreSQL. */
import assert from "node:assert/strict";
import type { DescService } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, createRouterTransport, type Interceptor } from "@connectrpc/connect";
import { metrics } from "@opentelemetry/api";
import { AccountService } from "#gen/ledger/v1/account_pb.ts";
import { TransactionKind } from "#gen/ledger/v1/transaction_message_pb.ts";
import { TransactionService } from "#gen/ledger/v1/transaction_pb.ts";
import { type CallContext, type Principal, runWithContext } from "#mesh/context.ts";
import { reasonOf } from "#mesh/errors.ts";
import { validateRequests } from "#mesh/server/layers.ts";
import { mapStream } from "#mesh/server/stream.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { migrate } from "#mesh/storage/migrate.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { createLogger, type Logger } from "#mesh/telemetry/log.ts";
import { testDatabase } from "#mesh/testing.ts";
import { accountHandlers } from "./account-handlers.ts";
import type { Who } from "./ownership.ts";
import { transactionHandlers } from "./transaction-handlers.ts";
import { startWriter, type Writer, type WriterOptions } from "./writer.ts";

/** Two people, an administrator, and a service in nobody's and in Ann's name. */
export const ann = "0190a0b0-0000-7000-8000-00000000000a";
export const bob = "0190a0b0-0000-7000-8000-00000000000b";
export const asAnn: Who = { principal: person(ann), caller: service("gateway") };
export const asBob: Who = { principal: person(bob), caller: service("gateway") };
export const asAdmin: Who = { principal: person("0190a0b0-0000-7000-8000-0000000000ad", "admin"), caller: service("gateway") };
export const asPayment: Who = { principal: undefined, caller: service("payment") };
export const asPaymentForAnn: Who = { principal: person(ann), caller: service("payment") };
export const asPaymentForBob: Who = { principal: person(bob), caller: service("payment") };

// Compiling the rules takes a while, so once for all.
const validate = validateRequests([AccountService, TransactionService]);

/** A log that nobody reads. */
export const silent: Logger = createLogger({ service: "ledger", instance: "test", level: "silent" });

/** A meter that keeps nothing. */
export const meter = metrics.getMeter("test");

/** A fresh, migrated database. */
export async function freshDatabase(): Promise<Database> {
  const db = await openDatabase({ url: await testDatabase(), service: "ledger", log: silent });
  await migrate(db, new URL("./migrations/", import.meta.url), silent);
  return db;
}

/** The handlers on a database, with clients for each caller. */
export interface Fixture extends AsyncDisposable {
  readonly writer: Writer;
  accounts(who: Who): Client<typeof AccountService>;
  transactions(who: Who): Client<typeof TransactionService>;
  /** Opens an account with this much on it, and answers with its id. */
  funded(who: Who, balance: bigint, options?: { currency?: string; lowerLimit?: bigint }): Promise<string>;
}

/** Serves both contracts on `db`. `given` replaces what the writer is given. */
export function serve(db: Database, given: Partial<WriterOptions> = {}): Fixture {
  const { clock = Date.now } = given;
  const announce = async () => {};
  const writer = startWriter({ db, announce, log: silent, meter, clock, ...given });
  const all = [accountHandlers({ db, writer, clock }), transactionHandlers({ db, writer, clock })];
  const clientOf = <S extends DescService>(desc: S, who: Who): Client<S> => {
    const within: Interceptor = (next) => async (request) => {
      const context = contextOf(who, request.signal);
      const response = await runWithContext(context, () => next(request));
      if (!response.stream) return response;
      return { ...response, message: mapStream(response.message, { around: (step) => runWithContext(context, step) }) };
    };
    const router = { router: { interceptors: [validate, within] } };
    const routes = createRouterTransport(({ service: add }) => all.forEach((one) => void add(one.service, one.methods)), router);
    return createClient(desc, routes);
  };
  const accounts = (who: Who) => clientOf(AccountService, who);
  const transactions = (who: Who) => clientOf(TransactionService, who);
  return {
    writer,
    accounts,
    transactions,
    async funded(who, balance, { currency = "EUR", lowerLimit = 0n } = {}) {
      const { account } = await accounts(who).openAccount({ currency, lowerLimit });
      const accountId = account?.id ?? assert.fail("expected an account");
      const income = { requestId: uuidv7(), accountId, kind: TransactionKind.INCOME, amount: balance };
      if (balance > 0n) await transactions(who).recordTransaction(income);
      return accountId;
    },
    [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
  };
}

/** A call's context. */
export function contextOf({ principal, caller }: Who, signal: AbortSignal): CallContext {
  const trace = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", flags: 0, state: "" };
  const client = { address: "", userAgent: "" };
  const deadline = Number.POSITIVE_INFINITY;
  return { deadline, signal, principal, caller, trace, correlationId: "test", criticality: "CRITICAL", client };
}

/** Asserts that `call` is refused with `code`, and with this reason when one is given; answers with the error. */
export async function refused(call: Promise<unknown>, code: Code, reason?: string): Promise<ConnectError> {
  const error = await call.then(
    () => assert.fail(`expected ${Code[code]}, got an answer`),
    (thrown: unknown) => ConnectError.from(thrown),
  );
  assert.equal(Code[error.code], Code[code], error.message);
  if (reason !== undefined) assert.equal(reasonOf(error), reason, error.message);
  return error;
}

/** All that a stream sends. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  return Array.fromAsync(stream);
}

/** Polls until `get` answers something, for at most 10 s. */
export async function eventually<T>(what: string, get: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  for (const end = Date.now() + 10_000; Date.now() < end; ) {
    const value = await get();
    if (value !== undefined && value !== false) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited 10 s in vain for ${what}`);
}

/** What must hold in the database whatever happened: an empty list, or sentences that say what does not. */
export async function violations(db: Database): Promise<string[]> {
  const rows = await db.query<{ what: string }>(`
    SELECT 'transaction ' || transaction_id || ' sums to ' || sum(amount) AS what FROM posting
      GROUP BY transaction_id HAVING sum(amount) <> 0
    UNION ALL SELECT 'account ' || a.id || ' says ' || a.balance || ', its postings ' || coalesce(sum(p.amount), 0)
      FROM account a LEFT JOIN posting p ON p.account_id = a.id
      GROUP BY a.id HAVING a.balance <> coalesce(sum(p.amount), 0)
    UNION ALL SELECT 'account ' || id || ' is under its limit' FROM account WHERE balance - held < lower_limit
    UNION ALL SELECT 'account ' || a.id || ' holds ' || a.held FROM account a
      WHERE a.held <> (SELECT coalesce(sum(amount), 0) FROM hold h WHERE h.account_id = a.id AND h.status = 'held')
    UNION ALL SELECT 'posting ' || number || ' of account ' || account_id || ' is not the sum of those before' FROM (
      SELECT account_id, number, balance, sum(amount) OVER way AS total, row_number() OVER way AS place FROM posting
      WHERE account_id IS NOT NULL WINDOW way AS (PARTITION BY account_id ORDER BY create_time, number)) AS chain
      WHERE balance <> total OR number <> place
    UNION ALL SELECT 'transaction ' || t.id || ' has no request' FROM transaction t
      WHERE NOT EXISTS (SELECT FROM request r WHERE r.transaction_id = t.id)`);
  return rows.map(({ what }) => what);
}

function person(id: string, ...roles: string[]): Principal {
  const endless = { expiresAt: Number.POSITIVE_INFINITY, degraded: false };
  return { kind: "user", id, roles, scopes: [], sessionId: "s", token: "t", ...endless };
}

function service(id: string): Principal {
  return { ...person(id), kind: "service", sessionId: "", token: "" };
}
