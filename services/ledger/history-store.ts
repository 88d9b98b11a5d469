/** The SQL of what was recorded: single transactions and holds, pages, the columns of a scan, and a statement's lines. */
import type { Queryable } from "#mesh/storage/database.ts";
import { position } from "./account-store.ts";
import type { Hold, Transaction, TransactionKind } from "./ledger.ts";
import { findTransactions, type HoldRow, holdColumns, toHold } from "./rows.ts";

/** One transaction and the users whose accounts it touches; undefined when there is none. */
export async function getTransaction(
  q: Queryable,
  id: string,
): Promise<{ transaction: Transaction; users: readonly string[] } | undefined> {
  const transaction = (await findTransactions(q, [id])).get(id);
  if (transaction === undefined) return undefined;
  const rows = await q.query<{ user_id: string }>(
    "SELECT DISTINCT user_id FROM posting WHERE transaction_id = $1 AND user_id IS NOT NULL",
    [id],
  );
  return { transaction, users: rows.map(({ user_id }) => user_id) };
}

/** One hold and the user whose account it is on; undefined when there is none. */
export async function getHold(q: Queryable, id: string): Promise<{ hold: Hold; userId: string } | undefined> {
  const [row] = await q.query<HoldRow>(`SELECT ${holdColumns} FROM hold WHERE id = $1`, [id]);
  if (row === undefined) return undefined;
  const [account] = await q.query<{ user_id: string }>("SELECT user_id FROM account WHERE id = $1", [row.account_id]);
  return { hold: toHold(row), userId: account?.user_id ?? "" };
}

/** The holds whose time has come, at most 200. */
export async function dueHolds(q: Queryable, now: number): Promise<string[]> {
  const rows = await q.query<{ id: string }>(
    "SELECT id FROM hold WHERE status = 'held' AND expire_time <= $1 ORDER BY expire_time LIMIT 200",
    [new Date(now)],
  );
  return rows.map(({ id }) => id);
}

/** Whose postings: of one account, or of all accounts of a user. */
export type Scope = { readonly accountId: string } | { readonly userId: string };

/** A part of the history by the time at which things occurred: from `fromTime` on, until before `toTime`; "" for any currency. */
export interface Period {
  readonly scope: Scope;
  readonly fromTime: number | undefined;
  readonly toTime: number | undefined;
  readonly currency: string;
}

/** What a page of the history shows. */
export interface HistoryQuery extends Period {
  readonly kind: TransactionKind | undefined;
  /** "" for any. */
  readonly category: string;
  readonly size: number;
  /** Occur time and id of the last one of the page before. */
  readonly after: readonly string[] | undefined;
}

/** A page holds fewer than asked for when they have more bytes than this: a message may have 4 MB. */
const maxPageBytes = 2_000_000;

/** A page of transactions, latest first, and whether there are more. @throws INVALID_ARGUMENT naming page_token. */
export async function listTransactions(
  q: Queryable,
  query: HistoryQuery,
): Promise<{ items: readonly Transaction[]; more: boolean }> {
  const { kind, category, size, after } = query;
  const [time, id] = position(after);
  // A transfer between two accounts of one user is two postings of that user.
  const rows = await q.query<{ transaction_id: string }>(
    `SELECT DISTINCT occur_time, transaction_id FROM posting
     WHERE ${within(query)} AND ($5::timestamptz IS NULL OR (occur_time, transaction_id) < ($5, $6::uuid))
       AND ($7::text IS NULL OR kind = $7) AND ($8 = '' OR category = $8)
     ORDER BY occur_time DESC, transaction_id DESC LIMIT $9 + 1`,
    [...valuesOf(query), time, id, kind ?? null, category, size],
  );
  const ids = rows.map(({ transaction_id }) => transaction_id);
  const found = await findTransactions(q, ids.slice(0, size));
  const items: Transaction[] = [];
  let bytes = 0;
  for (const one of ids.slice(0, size).flatMap((each) => found.get(each) ?? [])) {
    bytes += 300 + 4 * (one.description.length + one.category.length) + 70 * one.lines.length;
    if (items.length > 0 && bytes > maxPageBytes) break;
    items.push(one);
  }
  return { items, more: items.length < ids.length };
}

/** Postings in columns; see ScanPostingsResponse. */
export interface Columns {
  readonly occurTimes: readonly bigint[];
  readonly amounts: readonly bigint[];
  readonly transactionIds: Uint8Array;
  readonly kinds: readonly string[];
  readonly categories: readonly string[];
  readonly currencies: readonly string[];
}

/** Rows of one read of a scan; those of the transaction that the last row belongs to come with it. */
const scanRows = 10_000;

/**
 * The postings of a period, earliest first. The database packs the columns: a row of text for each posting would cost several times as
 * much to send and to read. The next read runs while the reader has the one before.
 */
export async function* scanPostings(q: Queryable, period: Period): AsyncGenerator<Columns> {
  let next: Promise<Columns | undefined> = scan(q, period, null, null);
  try {
    for (;;) {
      const columns = await next;
      if (columns === undefined) return;
      const count = columns.amounts.length;
      const last = columns.occurTimes[count - 1];
      const id = Buffer.from(columns.transactionIds.subarray(16 * (count - 1))).toString("hex");
      next = count < scanRows ? Promise.resolve(undefined) : scan(q, period, new Date(Number(last)), id);
      // Looked at in the next round only.
      next.catch(() => undefined);
      yield columns;
    }
  } finally {
    await next.catch(() => undefined);
  }
}

async function scan(q: Queryable, period: Period, time: Date | null, id: string | null): Promise<Columns | undefined> {
  const [row] = await q.query<
    Record<"times" | "amounts" | "ids", Buffer | null> & Record<"kinds" | "categories" | "currencies", string>
  >(
    `SELECT string_agg(int8send((extract(epoch FROM occur_time) * 1000)::bigint), '') AS times,
       string_agg(int8send(amount), '') AS amounts, string_agg(uuid_send(transaction_id), '') AS ids,
       string_agg(kind, E'\\n') AS kinds, string_agg(category, E'\\n') AS categories, string_agg(currency, E'\\n') AS currencies
     FROM (
       SELECT occur_time, transaction_id, amount, kind, category, currency FROM posting
       WHERE ${within(period)} AND ($5::timestamptz IS NULL OR (occur_time, transaction_id) > ($5, $6::uuid))
       ORDER BY occur_time, transaction_id FETCH FIRST ${scanRows} ROWS WITH TIES
     ) AS part`,
    [...valuesOf(period), time, id],
  );
  if (row === undefined || row.times === null || row.amounts === null || row.ids === null) return undefined;
  // No category has a line break: the contract refuses control characters.
  const texts = (text: string) => text.split("\n");
  return {
    occurTimes: integers(row.times),
    amounts: integers(row.amounts),
    transactionIds: row.ids,
    kinds: texts(row.kinds),
    categories: texts(row.categories),
    currencies: texts(row.currencies),
  };
}

function integers(bytes: Buffer): bigint[] {
  return Array.from({ length: bytes.length / 8 }, (_, index) => bytes.readBigInt64BE(8 * index));
}

/** One line of an account's statement. */
export interface StatementLine {
  readonly transactionId: string;
  readonly createTime: Date;
  readonly occurTime: Date;
  readonly kind: TransactionKind;
  readonly category: string;
  readonly description: string;
  readonly amount: bigint;
  readonly balance: bigint;
}

/** An account's postings in the order of their record, from `fromTime` on, until before `toTime`, in pages. */
export async function* statementLines(
  q: Queryable,
  { accountId, fromTime, toTime }: { accountId: string; fromTime: number; toTime: number },
): AsyncGenerator<readonly StatementLine[]> {
  let number = "0";
  let from = new Date(fromTime);
  for (;;) {
    const rows = await q.query<Omit<StatementLine, "amount" | "balance"> & Record<"number" | "amount" | "balance", string>>(
      `SELECT p.transaction_id AS "transactionId", p.create_time AS "createTime", p.occur_time AS "occurTime", p.kind, p.category,
         t.description, p.amount, p.balance, p.number
       FROM posting p JOIN transaction t ON t.id = p.transaction_id
       WHERE p.account_id = $1 AND (p.create_time, p.number) > ($2, $3) AND p.create_time < $4
       ORDER BY p.create_time, p.number LIMIT 1000`,
      [accountId, from, number, new Date(toTime)],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    [from, number] = [last.createTime, last.number];
    yield rows.map(({ number: _, amount, balance, ...same }) => ({ ...same, amount: BigInt(amount), balance: BigInt(balance) }));
    if (rows.length < 1000) return;
  }
}

function within({ scope }: Period): string {
  const owner = "accountId" in scope ? "account_id = $1::uuid" : "user_id = $1::uuid";
  return `${owner} AND ($2::timestamptz IS NULL OR occur_time >= $2) AND ($3::timestamptz IS NULL OR occur_time < $3)
       AND ($4 = '' OR currency = $4)`;
}

function valuesOf({ scope, fromTime, toTime, currency }: Period): unknown[] {
  const date = (time: number | undefined) => (time === undefined ? null : new Date(time));
  return ["accountId" in scope ? scope.accountId : scope.userId, date(fromTime), date(toTime), currency];
}
