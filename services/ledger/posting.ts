/** How a transaction is posted: its lines, each on its account. Pure. */
import { failedPrecondition, invalidArgument, notFound } from "#mesh/errors.ts";
import {
  type Account,
  amountOf,
  availableOf,
  type Hold,
  type Line,
  maxAmount,
  type Transaction,
  type TransactionKind,
} from "./ledger.ts";

/** What a transaction is to be, before accounts have been looked at. */
export interface Draft {
  readonly kind: TransactionKind;
  readonly lines: readonly Line[];
  /** The currency that is meant; "" for the accounts' own. */
  readonly currency: string;
  readonly category: string;
  readonly description: string;
  /** Undefined for now. */
  readonly occurTime: number | undefined;
}

/** The accounts and holds as they stand. Those that do not exist are absent. */
export interface Books {
  account(id: string): Account | undefined;
  hold(id: string): Hold | undefined;
}

/** What a draft came to: its accounts as they are after it, in the order of its lines. */
export interface Posted {
  readonly accounts: readonly Account[];
  readonly transaction: Transaction;
}

/**
 * Applies a draft's lines, each to its account; all or nothing.
 *
 * @throws FAILED_PRECONDITION with the reasons INSUFFICIENT_FUNDS, CURRENCY_MISMATCH, ACCOUNT_CLOSED and BALANCE_OVERFLOW; NOT_FOUND;
 *   INVALID_ARGUMENT as assertBalanced.
 */
export function post(books: Books, draft: Draft, holdId: string | undefined, now: number, newId: () => string): Posted {
  assertBalanced(draft.lines);
  const before = draft.lines.flatMap(({ to, amount }) =>
    "accountId" in to ? { account: existingAccount(books, to.accountId), amount } : [],
  );
  const currency = draft.currency || before[0]?.account.currency || "";
  for (const { account } of before) {
    assertOpen(account);
    assertCurrency(account, currency);
  }
  // No earlier than what was recorded on any of them, whatever this process's clock says.
  const createTime = before.reduce((latest, { account }) => Math.max(latest, account.lastTime), now);
  const accounts = before.map(({ account, amount }) => posted(account, amount, createTime));
  const { kind, lines, category, description, occurTime = createTime } = draft;
  const id = newId();
  return { accounts, transaction: { id, kind, currency, category, description, lines, holdId, occurTime, createTime } };
}

function posted(account: Account, amount: bigint, time: number): Account {
  const balance = account.balance + amount;
  const after = { ...account, balance, postings: account.postings + 1n, lastTime: time };
  if (amount < 0n && availableOf(after) < 0n) throw insufficient(account);
  // What is available must fit too, and so must the limit's room below.
  if (balance - account.lowerLimit > maxAmount) {
    throw failedPrecondition("BALANCE_OVERFLOW", `the balance of account ${account.id} would be too large`);
  }
  return after;
}

/** @throws INVALID_ARGUMENT unless there are two lines at least, no account comes twice, and they sum to zero. */
export function assertBalanced(lines: readonly Line[]): void {
  const keys = lines.map(({ to }) => ("accountId" in to ? to.accountId : "the world outside"));
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (lines.length < 2) throw mistake("postings", `expected two at least, got ${lines.length}`);
  if (twice !== undefined) throw mistake("postings", `expected each account once, got ${twice} twice`);
  const sum = lines.reduce((total, { amount }) => total + amount, 0n);
  if (sum !== 0n) throw mistake("postings", `expected a sum of 0, got ${sum}`);
  if (lines.some(({ amount }) => amount === 0n)) throw mistake("postings", "expected amounts other than 0");
  if (amountOf(lines) > maxAmount) throw mistake("postings", "expected less: what moves does not fit 64 bits");
}

/** @throws NOT_FOUND. */
export function existingAccount(books: Books, id: string): Account {
  const account = books.account(id);
  if (account === undefined) throw notFound("account", id);
  return account;
}

/** @throws FAILED_PRECONDITION (ACCOUNT_CLOSED). */
export function assertOpen({ id, closeTime }: Account): void {
  if (closeTime !== undefined) throw failedPrecondition("ACCOUNT_CLOSED", `account ${id} is closed`);
}

/** @throws FAILED_PRECONDITION (CURRENCY_MISMATCH) unless `meant` is the account's currency or "". */
export function assertCurrency({ id, currency }: Account, meant: string): void {
  if (meant === "" || meant === currency) return;
  throw failedPrecondition(
    "CURRENCY_MISMATCH",
    `account ${id} is in ${currency}, got ${meant}: one transaction moves one currency`,
  );
}

/** FAILED_PRECONDITION (INSUFFICIENT_FUNDS). */
export function insufficient(account: Pick<Account, "id">) {
  // Without figures: of a refund the account is the payee's, and whoever reads this need not be.
  return failedPrecondition("INSUFFICIENT_FUNDS", `account ${account.id} has not enough to spend`);
}

/** INVALID_ARGUMENT that names one field. */
export function mistake(field: string, description: string) {
  return invalidArgument([{ field, description }]);
}
