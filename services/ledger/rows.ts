/** Rows of the ledger's tables as domain values, for all files with SQL. int8 comes as a text. */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Account, Hold, HoldStatus, Line, Outside, Transaction, TransactionKind } from "./ledger.ts";

export const accountColumns = `id, user_id, display_name, currency, lower_limit, balance, held, postings, create_time, last_time,
  close_time`;

export interface AccountRow {
  readonly id: string;
  readonly user_id: string;
  readonly display_name: string;
  readonly currency: string;
  readonly lower_limit: string;
  readonly balance: string;
  readonly held: string;
  readonly postings: string;
  readonly create_time: Date;
  readonly last_time: Date;
  readonly close_time: Date | null;
}

export function toAccount(row: AccountRow): Account {
  return {
    id: row.id,
    userId: row.user_id,
    displayName: row.display_name,
    currency: row.currency,
    lowerLimit: BigInt(row.lower_limit),
    balance: BigInt(row.balance),
    held: BigInt(row.held),
    postings: BigInt(row.postings),
    createTime: row.create_time.getTime(),
    lastTime: row.last_time.getTime(),
    closeTime: row.close_time?.getTime(),
  };
}

export const holdColumns = `id, account_id, currency, amount, status, captured_amount, refunded_amount, payee_account_id, transaction_id,
  create_time, expire_time`;

export interface HoldRow {
  readonly id: string;
  readonly account_id: string;
  readonly currency: string;
  readonly amount: string;
  readonly status: HoldStatus;
  readonly captured_amount: string;
  readonly refunded_amount: string;
  readonly payee_account_id: string | null;
  readonly transaction_id: string | null;
  readonly create_time: Date;
  readonly expire_time: Date;
}

export function toHold(row: HoldRow): Hold {
  return {
    id: row.id,
    accountId: row.account_id,
    currency: row.currency,
    amount: BigInt(row.amount),
    status: row.status,
    capturedAmount: BigInt(row.captured_amount),
    refundedAmount: BigInt(row.refunded_amount),
    payeeAccountId: row.payee_account_id ?? undefined,
    transactionId: row.transaction_id ?? undefined,
    createTime: row.create_time.getTime(),
    expireTime: row.expire_time.getTime(),
  };
}

/** Transactions by id, with their lines. Those that do not exist are absent. */
export async function findTransactions(q: Queryable, ids: readonly string[]): Promise<Map<string, Transaction>> {
  if (ids.length === 0) return new Map();
  const [rows, postings] = [
    await q.query<TransactionRow>(
      `SELECT id, kind, currency, category, description, hold_id, occur_time, create_time FROM transaction
       WHERE id = ANY ($1::uuid[])`,
      [ids],
    ),
    await q.query<PostingRow>(
      `SELECT transaction_id, account_id, outside, amount FROM posting WHERE transaction_id = ANY ($1::uuid[])
       ORDER BY transaction_id, line`,
      [ids],
    ),
  ];
  const lines = Map.groupBy(postings, ({ transaction_id }) => transaction_id);
  return new Map(rows.map((row) => [row.id, toTransaction(row, (lines.get(row.id) ?? []).map(toLine))]));
}

interface TransactionRow {
  readonly id: string;
  readonly kind: TransactionKind;
  readonly currency: string;
  readonly category: string;
  readonly description: string;
  readonly hold_id: string | null;
  readonly occur_time: Date;
  readonly create_time: Date;
}

interface PostingRow {
  readonly transaction_id: string;
  readonly account_id: string | null;
  readonly outside: Outside | null;
  readonly amount: string;
}

function toTransaction({ hold_id, occur_time, create_time, ...same }: TransactionRow, lines: readonly Line[]): Transaction {
  return { ...same, lines, holdId: hold_id ?? undefined, occurTime: occur_time.getTime(), createTime: create_time.getTime() };
}

function toLine({ account_id, outside, amount }: PostingRow): Line {
  return { to: account_id === null ? { outside: outside ?? "entry" } : { accountId: account_id }, amount: BigInt(amount) };
}
