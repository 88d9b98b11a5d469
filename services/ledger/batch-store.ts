/** The SQL of a batch of commands: what it reads, and what it writes. Only writer.ts uses it, behind the gate. */
import type { Queryable } from "#mesh/storage/database.ts";
import { type Command, keyOf, type Loaded, type StoredRequest, type Writes } from "./batch.ts";
import { namedBy } from "./decide.ts";
import { type AccountRow, accountColumns, findTransactions, type HoldRow, holdColumns, toAccount, toHold } from "./rows.ts";

/**
 * Waits until no other process writes, and lets none until the transaction's end. The first statement of the transaction, since it
 * must come before the snapshot.
 */
export async function closeGate(tx: Queryable): Promise<void> {
  // A process that hangs while it holds the gate loses it after some seconds.
  await tx.query("SET LOCAL idle_in_transaction_session_timeout = '5s'; LOCK TABLE writer_gate IN EXCLUSIVE MODE");
}

/** Waits until what was being written when this was called is committed or undone. */
export async function passGate(tx: Queryable): Promise<void> {
  await tx.query("LOCK TABLE writer_gate IN ROW SHARE MODE");
}

/** All that is stored of what `commands` name. */
export async function load(tx: Queryable, commands: readonly Command[]): Promise<Loaded> {
  const requests = await loadRequests(tx, commands);
  const named = commands.map(({ action }) => namedBy(action));
  const stored = [...requests.values()];
  const holdIds = [...named.flatMap(({ holds }) => holds), ...stored.flatMap(({ holdId }) => holdId ?? [])];
  const holds = await byId<HoldRow>(tx, holdIds, `SELECT ${holdColumns} FROM hold WHERE id = ANY ($1::uuid[])`);
  const accountIds = [
    ...named.flatMap(({ accounts }) => accounts),
    ...stored.flatMap(({ accountId }) => accountId ?? []),
    ...holds.flatMap(({ account_id, payee_account_id }) => [
      account_id,
      ...(payee_account_id === null ? [] : [payee_account_id]),
    ]),
  ];
  const accounts = await byId<AccountRow>(tx, accountIds, `SELECT ${accountColumns} FROM account WHERE id = ANY ($1::uuid[])`);
  const transactions = await findTransactions(
    tx,
    stored.flatMap(({ transactionId }) => transactionId ?? []),
  );
  return {
    requests,
    accounts: new Map(accounts.map((row) => [row.id, toAccount(row)])),
    holds: new Map(holds.map((row) => [row.id, toHold(row)])),
    transactions,
  };
}

/** Writes a batch, in one statement. */
export async function write(tx: Queryable, writes: Writes, now: number): Promise<void> {
  const { accounts, newHolds, changedHolds, recorded, requests } = writes;
  if (accounts.length + newHolds.length + changedHolds.length + recorded.length + requests.length === 0) return;
  const transactions = recorded.map(({ transaction: { lines, ...row } }) => row);
  const postings = recorded.flatMap(({ transaction, accounts: after }) =>
    transaction.lines.map(({ to, amount }, index) => {
      const { id, currency, kind, category, occurTime, createTime } = transaction;
      const account = "accountId" in to ? after.find((one) => one.id === to.accountId) : undefined;
      const own = { transactionId: id, line: index + 1, amount, currency, kind, category, occurTime, createTime };
      if (account === undefined) return { ...own, ...to };
      return { ...own, ...to, userId: account.userId, number: account.postings, balance: account.balance };
    }),
  );
  await tx.query(
    `WITH new_transaction AS (
       INSERT INTO transaction (id, kind, currency, category, description, hold_id, occur_time, create_time)
       SELECT "id", "kind", "currency", "category", "description", "holdId", ${time('"occurTime"')}, ${time('"createTime"')}
       FROM jsonb_to_recordset($1::jsonb) AS row ("id" uuid, "kind" text, "currency" text, "category" text, "description" text,
         "holdId" uuid, "occurTime" bigint, "createTime" bigint)
     ), new_posting AS (
       INSERT INTO posting (transaction_id, line, account_id, outside, amount, currency, user_id, number, balance, kind, category,
         occur_time, create_time)
       SELECT "transactionId", "line", "accountId", "outside", "amount", "currency", "userId", "number", "balance", "kind", "category",
         ${time('"occurTime"')}, ${time('"createTime"')}
       FROM jsonb_to_recordset($2::jsonb) AS row ("transactionId" uuid, "line" smallint, "accountId" uuid, "outside" text,
         "amount" bigint, "currency" text, "userId" uuid, "number" bigint, "balance" bigint, "kind" text, "category" text,
         "occurTime" bigint, "createTime" bigint)
     ), new_hold AS (
       INSERT INTO hold (id, account_id, currency, amount, status, captured_amount, refunded_amount, payee_account_id, transaction_id,
         create_time, expire_time)
       SELECT "id", "accountId", "currency", "amount", "status", "capturedAmount", "refundedAmount", "payeeAccountId", "transactionId",
         ${time('"createTime"')}, ${time('"expireTime"')}
       FROM jsonb_to_recordset($3::jsonb) AS row ("id" uuid, "accountId" uuid, "currency" text, "amount" bigint, "status" text,
         "capturedAmount" bigint, "refundedAmount" bigint, "payeeAccountId" uuid, "transactionId" uuid, "createTime" bigint,
         "expireTime" bigint)
     ), changed_hold AS (
       UPDATE hold SET status = row."status", captured_amount = row."capturedAmount", refunded_amount = row."refundedAmount",
         payee_account_id = row."payeeAccountId", transaction_id = row."transactionId"
       FROM jsonb_to_recordset($4::jsonb) AS row ("id" uuid, "status" text, "capturedAmount" bigint, "refundedAmount" bigint,
         "payeeAccountId" uuid, "transactionId" uuid)
       WHERE hold.id = row."id"
     ), changed_account AS (
       UPDATE account SET balance = row."balance", held = row."held", postings = row."postings", last_time = ${time('row."lastTime"')},
         close_time = ${time('row."closeTime"')}
       FROM jsonb_to_recordset($5::jsonb) AS row ("id" uuid, "balance" bigint, "held" bigint, "postings" bigint, "lastTime" bigint,
         "closeTime" bigint)
       WHERE account.id = row."id"
     )
     INSERT INTO request (caller, request_id, content_hash, account_id, transaction_id, hold_id, create_time)
     SELECT "caller", "requestId", "contentHash", "accountId", "transactionId", "holdId", $7
     FROM jsonb_to_recordset($6::jsonb) AS row ("caller" text, "requestId" text, "contentHash" text, "accountId" uuid,
       "transactionId" uuid, "holdId" uuid)`,
    [...[transactions, postings, newHolds, changedHolds, accounts, requests].map(json), new Date(now)],
  );
}

async function loadRequests(tx: Queryable, commands: readonly Command[]): Promise<Map<string, StoredRequest>> {
  const keys = commands.flatMap(({ request }) => request ?? []);
  if (keys.length === 0) return new Map();
  const rows = await tx.query<Record<"caller" | "request_id" | "content_hash", string> & IdRow>(
    `SELECT r.caller, r.request_id, r.content_hash, r.account_id, r.transaction_id, r.hold_id
     FROM unnest($1::text[], $2::text[]) AS key (caller, request_id) JOIN request r USING (caller, request_id)`,
    [keys.map(({ caller }) => caller), keys.map(({ requestId }) => requestId)],
  );
  return new Map(
    rows.map((row) => {
      const request: StoredRequest = {
        caller: row.caller,
        requestId: row.request_id,
        contentHash: row.content_hash,
        accountId: row.account_id ?? undefined,
        transactionId: row.transaction_id ?? undefined,
        holdId: row.hold_id ?? undefined,
      };
      return [keyOf(request), request];
    }),
  );
}

interface IdRow {
  readonly account_id: string | null;
  readonly transaction_id: string | null;
  readonly hold_id: string | null;
}

async function byId<R extends object>(tx: Queryable, ids: readonly string[], sql: string): Promise<R[]> {
  return ids.length === 0 ? [] : tx.query<R>(sql, [[...new Set(ids)]]);
}

/** JSON numbers lose digits beyond 2^53, so amounts go as texts; the cast to bigint reads them. */
function json(rows: readonly object[]): string {
  return JSON.stringify(rows, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
}

/** Whole milliseconds to a timestamp; division by a numeric is exact. */
function time(column: string): string {
  return `to_timestamp(0) + ${column} * interval '1 millisecond'`;
}
