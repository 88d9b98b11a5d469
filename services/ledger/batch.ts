/** What a batch of commands comes to: each is decided in turn, on what those before it left. Pure but for the new ids. */
import { createHash } from "node:crypto";
import type { ConnectError } from "@connectrpc/connect";
import { alreadyExists, from } from "#mesh/errors.ts";
import { type Action, decide } from "./decide.ts";
import type { Account, Hold, Transaction } from "./ledger.ts";

/** An action with who asks for it. */
export interface Command {
  readonly action: Action;
  /** Whether the caller may use this user's accounts. */
  readonly may: (userId: string) => boolean;
  /** Under which id; undefined for actions that may be repeated as they are. */
  readonly request: RequestKey | undefined;
}

/** A request id, and in whose name it is unique. */
export interface RequestKey {
  readonly caller: string;
  readonly requestId: string;
}

/** What came under a request id before, and what it made. */
export interface StoredRequest extends RequestKey {
  readonly contentHash: string;
  readonly accountId: string | undefined;
  readonly transactionId: string | undefined;
  readonly holdId: string | undefined;
}

/** What a command made; at a repeat, what it had made, the hold and the account as they are now. */
export interface Outcome {
  readonly account?: Account;
  readonly transaction?: Transaction;
  readonly hold?: Hold;
}

/** What is stored of all that a batch names. */
export interface Loaded {
  readonly requests: ReadonlyMap<string, StoredRequest>;
  readonly accounts: ReadonlyMap<string, Account>;
  readonly holds: ReadonlyMap<string, Hold>;
  /** Those that stored requests made. */
  readonly transactions: ReadonlyMap<string, Transaction>;
}

/** A transaction with each of its accounts as it is after it. */
export interface Recorded {
  readonly transaction: Transaction;
  readonly accounts: readonly Account[];
}

/** What is to be written for a batch. */
export interface Writes {
  readonly accounts: readonly Account[];
  readonly newHolds: readonly Hold[];
  readonly changedHolds: readonly Hold[];
  readonly recorded: readonly Recorded[];
  readonly requests: readonly StoredRequest[];
}

/** Decides over `commands` in their order; the outcomes are in it too. A refusal concerns its own command alone. */
export function settle(
  loaded: Loaded,
  commands: readonly Command[],
  now: number,
  newId: () => string,
): { readonly outcomes: readonly (Outcome | ConnectError)[]; readonly writes: Writes } {
  const accounts = new Map(loaded.accounts);
  const holds = new Map(loaded.holds);
  const transactions = new Map(loaded.transactions);
  const changed = new Map<string, Account>();
  const heldNow = new Map<string, Hold>();
  const requests = new Map<string, StoredRequest>();
  const recorded: Recorded[] = [];
  const books = { account: (id: string) => accounts.get(id), hold: (id: string) => holds.get(id) };

  const outcomes = commands.map(({ action, may, request }): Outcome | ConnectError => {
    const key = request === undefined ? undefined : keyOf(request);
    const before = key === undefined ? undefined : (loaded.requests.get(key) ?? requests.get(key));
    const contentHash = key === undefined ? "" : contentHashOf(action);
    if (before !== undefined) {
      if (before.contentHash !== contentHash) return takenRequestId(before);
      return outcomeOf(
        accounts.get(before.accountId ?? ""),
        transactions.get(before.transactionId ?? ""),
        holds.get(before.holdId ?? ""),
      );
    }
    try {
      const { accounts: after, transaction, hold } = decide(books, action, { may, now, newId });
      for (const account of after) {
        if (accounts.get(account.id) !== account) changed.set(account.id, account);
        accounts.set(account.id, account);
      }
      if (hold !== undefined) {
        if (holds.get(hold.id) !== hold) heldNow.set(hold.id, hold);
        holds.set(hold.id, hold);
      }
      if (transaction !== undefined) {
        recorded.push({ transaction, accounts: after });
        transactions.set(transaction.id, transaction);
      }
      if (key !== undefined && request !== undefined) {
        const accountId = action.type === "close" ? action.accountId : undefined;
        requests.set(key, { ...request, contentHash, accountId, transactionId: transaction?.id, holdId: hold?.id });
      }
      return outcomeOf(after[0], transaction, hold);
    } catch (refusal) {
      return from(refusal);
    }
  });
  const all = [...heldNow.values()];
  const newHolds = all.filter(({ id }) => !loaded.holds.has(id));
  const changedHolds = all.filter(({ id }) => loaded.holds.has(id));
  const writes = { accounts: [...changed.values()], newHolds, changedHolds, recorded, requests: [...requests.values()] };
  return { outcomes, writes };
}

/** The key of a request in maps. A caller's name has no blank. */
export function keyOf({ caller, requestId }: RequestKey): string {
  return `${caller} ${requestId}`;
}

/** SHA-256, in hex, of what is asked for. */
export function contentHashOf(content: unknown): string {
  const text = JSON.stringify(content, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
  return createHash("sha256").update(text).digest("hex");
}

/** ALREADY_EXISTS: one request id for two different things. */
export function takenRequestId({ requestId }: Pick<RequestKey, "requestId">): ConnectError {
  return alreadyExists(`request_id ${JSON.stringify(requestId)} came before with other content`);
}

function outcomeOf(account: Account | undefined, transaction: Transaction | undefined, hold: Hold | undefined): Outcome {
  return {
    ...(account === undefined ? {} : { account }),
    ...(transaction === undefined ? {} : { transaction }),
    ...(hold === undefined ? {} : { hold }),
  };
}
