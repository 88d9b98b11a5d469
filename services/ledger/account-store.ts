/** The SQL of accounts: opening, showing, listing, and the balance at a past time. */
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { badPageToken } from "#mesh/storage/page.ts";
import { contentHashOf, type RequestKey, takenRequestId } from "./batch.ts";
import { closeGate, passGate } from "./batch-store.ts";
import type { Account } from "./ledger.ts";
import { type AccountRow, accountColumns, toAccount } from "./rows.ts";

/** An account to open. */
export type NewAccount = Pick<Account, "id" | "userId" | "displayName" | "currency" | "lowerLimit" | "createTime">;

/** Opens an account, or answers with the one that was opened under the same request id. @throws ALREADY_EXISTS for other content. */
export async function openAccount(db: Database, fresh: NewAccount, request: RequestKey | undefined): Promise<Account> {
  const { userId, displayName, currency, lowerLimit, createTime } = fresh;
  const contentHash = contentHashOf(["open", userId, displayName, currency, lowerLimit]);
  return db.transaction(
    async (tx) => {
      await closeGate(tx);
      if (request !== undefined) {
        const [before] = await tx.query<{ content_hash: string; account_id: string | null }>(
          "SELECT content_hash, account_id FROM request WHERE caller = $1 AND request_id = $2",
          [request.caller, request.requestId],
        );
        if (before !== undefined && before.content_hash !== contentHash) throw takenRequestId(request);
        const account = await getAccount(tx, before?.account_id ?? "");
        if (account !== undefined) return account;
      }
      const time = new Date(createTime);
      const rows = await tx.query<AccountRow>(
        `INSERT INTO account (id, user_id, display_name, currency, lower_limit, create_time, last_time)
         VALUES ($1, $2, $3, $4, $5, $6, $6) RETURNING ${accountColumns}`,
        [fresh.id, userId, displayName, currency, lowerLimit.toString(), time],
      );
      if (request !== undefined) {
        await tx.query(
          "INSERT INTO request (caller, request_id, content_hash, account_id, create_time) VALUES ($1, $2, $3, $4, $5)",
          [request.caller, request.requestId, contentHash, fresh.id, time],
        );
      }
      const [account] = rows.map(toAccount);
      if (account === undefined) throw new Error("an INSERT without a row");
      return account;
    },
    { isolation: "serializable" },
  );
}

/** One account, whoever owns it; undefined when there is none. */
export async function getAccount(q: Queryable, id: string): Promise<Account | undefined> {
  if (id === "") return undefined;
  const rows = await q.query<AccountRow>(`SELECT ${accountColumns} FROM account WHERE id = $1`, [id]);
  return rows.map(toAccount)[0];
}

/** What a page of a user's accounts shows. */
export interface AccountQuery {
  readonly userId: string;
  readonly size: number;
  /** Create time and id of the last one of the page before. */
  readonly after: readonly string[] | undefined;
  /** "" for any. */
  readonly currency: string;
  /** Undefined for both. */
  readonly open: boolean | undefined;
}

/** A page of a user's accounts, oldest first, and one more when there are more. @throws INVALID_ARGUMENT naming page_token. */
export async function listAccounts(q: Queryable, { userId, size, after, currency, open }: AccountQuery): Promise<Account[]> {
  const [time, id] = position(after);
  const rows = await q.query<AccountRow>(
    `SELECT ${accountColumns} FROM account
     WHERE user_id = $1 AND ($2::timestamptz IS NULL OR (create_time, id) > ($2, $3::uuid))
       AND ($4 = '' OR currency = $4) AND ($5::boolean IS NULL OR (close_time IS NULL) = $5)
     ORDER BY create_time, id LIMIT $6 + 1`,
    [userId, time, id, currency, open ?? null, size],
  );
  return rows.map(toAccount);
}

/** The balance of what was recorded until `time`, for good: what is being recorded at this moment is waited for. */
export async function balanceAt(db: Database, accountId: string, time: number, now: number): Promise<bigint> {
  const read = async (q: Queryable) => {
    const [row] = await q.query<{ balance: string }>(
      `SELECT balance FROM posting WHERE account_id = $1 AND create_time <= $2
       ORDER BY create_time DESC, number DESC LIMIT 1`,
      [accountId, new Date(time)],
    );
    return BigInt(row?.balance ?? 0);
  };
  // No transaction runs for longer.
  if (time < now - 60_000) return read(db);
  return db.transaction(async (tx) => {
    await passGate(tx);
    return read(tx);
  });
}

/** Where a page begins that is sorted by a time and an id. @throws INVALID_ARGUMENT naming page_token. */
export function position(after: readonly string[] | undefined): [time: Date, id: string] | [null, null] {
  if (after === undefined) return [null, null];
  const [time = "", id = ""] = after;
  if (after.length !== 2 || !/^-?\d{1,15}$/.test(time) || !uuid.test(id)) throw badPageToken();
  const date = new Date(Number(time));
  if (date.getUTCFullYear() < 1 || date.getUTCFullYear() > 9999) throw badPageToken();
  return [date, id];
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
