/**
 * The rules of the ledger: what an action does to the accounts and holds that it names, or why it is refused. Pure.
 *
 *     hold:  held --capture--> captured --refund--> captured
 *              |--release--> released
 *              |--expire---> expired
 */
import { failedPrecondition, notFound, notYours } from "#mesh/errors.ts";
import { type Account, availableOf, type Hold, type Line, type Transaction } from "./ledger.ts";
import { assertCurrency, assertOpen, type Books, type Draft, existingAccount, insufficient, mistake, post } from "./posting.ts";

/** What can be done to the ledger. Ids in lower case; amounts above 0, or 0 for all where there is an all. */
export type Action =
  | { readonly type: "record"; readonly draft: Draft }
  | {
      readonly type: "reserve";
      readonly accountId: string;
      readonly amount: bigint;
      readonly currency: string;
      readonly expireTime: number | undefined;
    }
  | {
      readonly type: "capture";
      readonly holdId: string;
      readonly amount: bigint;
      readonly payeeAccountId: string | undefined;
      readonly category: string;
      readonly description: string;
    }
  | { readonly type: "release"; readonly holdId: string }
  | { readonly type: "expire"; readonly holdId: string }
  | { readonly type: "refund"; readonly holdId: string; readonly amount: bigint; readonly description: string }
  | { readonly type: "close"; readonly accountId: string };

/** What a decision needs beside the books. */
export interface Circumstances {
  /** Whether the caller may use this user's accounts. */
  readonly may: (userId: string) => boolean;
  readonly now: number;
  /** A new id, should one be needed. */
  readonly newId: () => string;
}

/** What an action does: the accounts and the hold as they are after it, and the transaction that it records. */
export interface Change {
  readonly accounts: readonly Account[];
  readonly transaction?: Transaction;
  readonly hold?: Hold;
}

/** How long a hold lasts that says nothing of it. */
const defaultHoldMs = 7 * 24 * 3_600_000;
/** How far ahead a transaction may say that it happens: clocks and time zones differ. */
const maxAheadMs = 24 * 3_600_000;

/**
 * Decides. Nothing is changed here.
 *
 * @throws NOT_FOUND for what does not exist or is not the caller's; FAILED_PRECONDITION with the reasons of the contract;
 *   INVALID_ARGUMENT for what no state of the ledger could make right.
 */
export function decide(books: Books, action: Action, circumstances: Circumstances): Change {
  switch (action.type) {
    case "record":
      return record(books, action.draft, circumstances);
    case "reserve":
      return reserve(books, action, circumstances);
    case "capture":
      return capture(books, action, circumstances);
    case "release":
      return end(books, action.holdId, "released");
    case "expire":
      return end(books, action.holdId, "expired");
    case "refund":
      return refund(books, action, circumstances);
    case "close":
      return close(books, action.accountId, circumstances);
  }
}

/** Which accounts and holds an action names; a hold's own accounts come with it. */
export function namedBy(action: Action): { readonly accounts: readonly string[]; readonly holds: readonly string[] } {
  switch (action.type) {
    case "record":
      return { accounts: action.draft.lines.flatMap(({ to }) => ("accountId" in to ? to.accountId : [])), holds: [] };
    case "reserve":
    case "close":
      return { accounts: [action.accountId], holds: [] };
    case "capture":
      return { accounts: action.payeeAccountId === undefined ? [] : [action.payeeAccountId], holds: [action.holdId] };
    default:
      return { accounts: [], holds: [action.holdId] };
  }
}

function record(books: Books, draft: Draft, { may, now, newId }: Circumstances): Change {
  for (const { to } of draft.lines) if ("accountId" in to) ownAccount(books, to.accountId, may);
  if (draft.occurTime !== undefined && draft.occurTime > now + maxAheadMs) {
    throw mistake("occur_time", "expected a time that is at most a day ahead");
  }
  return post(books, draft, undefined, now, newId);
}

function reserve(books: Books, action: Action & { type: "reserve" }, { may, now, newId }: Circumstances): Change {
  const account = ownAccount(books, action.accountId, may);
  assertOpen(account);
  assertCurrency(account, action.currency);
  const { expireTime = now + defaultHoldMs, amount } = action;
  if (expireTime <= now) throw mistake("expire_time", "expected a time in the future");
  if (amount > availableOf(account)) throw insufficient(account);
  const hold: Hold = {
    id: newId(),
    accountId: account.id,
    currency: account.currency,
    amount,
    status: "held",
    capturedAmount: 0n,
    refundedAmount: 0n,
    payeeAccountId: undefined,
    transactionId: undefined,
    createTime: now,
    expireTime,
  };
  return { accounts: [{ ...account, held: account.held + amount }], hold };
}

function capture(books: Books, action: Action & { type: "capture" }, { now, newId }: Circumstances): Change {
  const hold = existingHold(books, action.holdId);
  if (hold.status === "held" && hold.expireTime <= now) throw ended({ ...hold, status: "expired" });
  if (hold.status !== "held") throw ended(hold);
  const { payeeAccountId, category, description } = action;
  const amount = action.amount === 0n ? hold.amount : action.amount;
  if (amount > hold.amount) throw mistake("amount", `expected at most the ${hold.amount} that are held, got ${amount}`);
  if (payeeAccountId === hold.accountId) throw mistake("payee_account_id", "expected another account than the payer's");
  const payer = existingAccount(books, hold.accountId);
  const freed: Account = { ...payer, held: payer.held - hold.amount };
  const lines: Line[] = [
    { to: { accountId: payer.id }, amount: -amount },
    { to: payeeAccountId === undefined ? { outside: "expense" } : { accountId: payeeAccountId }, amount },
  ];
  const draft: Draft = { kind: "payment", lines, currency: hold.currency, category, description, occurTime: undefined };
  const change = post(withAccount(books, freed), draft, hold.id, now, newId);
  const transactionId = change.transaction.id;
  return { ...change, hold: { ...hold, status: "captured", capturedAmount: amount, payeeAccountId, transactionId } };
}

function end(books: Books, holdId: string, status: "released" | "expired"): Change {
  const hold = existingHold(books, holdId);
  if (hold.status === "captured") throw ended(hold);
  if (hold.status !== "held") return { accounts: [], hold };
  const account = existingAccount(books, hold.accountId);
  return { accounts: [{ ...account, held: account.held - hold.amount }], hold: { ...hold, status } };
}

function refund(books: Books, action: Action & { type: "refund" }, { now, newId }: Circumstances): Change {
  const hold = existingHold(books, action.holdId);
  if (hold.status !== "captured") {
    throw failedPrecondition("HOLD_NOT_CAPTURED", `hold ${hold.id} is ${hold.status}, so there is nothing to refund`);
  }
  const left = hold.capturedAmount - hold.refundedAmount;
  const amount = action.amount === 0n ? left : action.amount;
  if (amount > left || amount === 0n) {
    const captured = `${hold.capturedAmount} were captured and ${hold.refundedAmount} refunded`;
    throw failedPrecondition("REFUND_EXCEEDS_CAPTURE", `amount: expected at most ${left}, got ${amount}: ${captured}`);
  }
  const { payeeAccountId } = hold;
  const lines: Line[] = [
    { to: payeeAccountId === undefined ? { outside: "expense" } : { accountId: payeeAccountId }, amount: -amount },
    { to: { accountId: hold.accountId }, amount },
  ];
  const { description } = action;
  const draft: Draft = { kind: "refund", lines, currency: hold.currency, category: "refund", description, occurTime: undefined };
  const change = post(books, draft, hold.id, now, newId);
  return { ...change, hold: { ...hold, refundedAmount: hold.refundedAmount + amount } };
}

function close(books: Books, accountId: string, { may, now }: Circumstances): Change {
  const account = ownAccount(books, accountId, may);
  if (account.closeTime !== undefined) return { accounts: [account] };
  if (account.balance !== 0n || account.held !== 0n) {
    const has = `it has a balance of ${account.balance}, and ${account.held} held`;
    throw failedPrecondition("ACCOUNT_NOT_EMPTY", `account ${account.id} must be empty before it is closed: ${has}`);
  }
  return { accounts: [{ ...account, closeTime: Math.max(now, account.lastTime) }] };
}

function ownAccount(books: Books, id: string, may: (userId: string) => boolean): Account {
  const account = existingAccount(books, id);
  if (!may(account.userId)) throw notYours("account", id);
  return account;
}

function existingHold(books: Books, id: string): Hold {
  const hold = books.hold(id);
  if (hold === undefined) throw notFound("hold", id);
  return hold;
}

function withAccount(books: Books, changed: Account): Books {
  return { account: (id) => (id === changed.id ? changed : books.account(id)), hold: (id) => books.hold(id) };
}

function ended({ id, status }: Hold) {
  return failedPrecondition(`HOLD_${status.toUpperCase()}`, `hold ${id} is ${status} already`);
}
