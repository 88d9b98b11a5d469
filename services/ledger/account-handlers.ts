/** The methods of AccountService: messages to domain values, rules, store, and back. */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AccountService, AccountStatus } from "#gen/ledger/v1/account_pb.ts";
import { currentContext } from "#mesh/context.ts";
import { minorUnitDigits } from "#mesh/currency.ts";
import { internal, notFound, notYours } from "#mesh/errors.ts";
import { type Implementation, implement } from "#mesh/server/implementation.ts";
import type { Database } from "#mesh/storage/database.ts";
import { decodePageToken, defaultPageSize, encodePageToken } from "#mesh/storage/page.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { balanceAt, getAccount, listAccounts, openAccount } from "./account-store.ts";
import type { Account } from "./ledger.ts";
import { accountMessage, millisecondsOf } from "./messages.ts";
import { callerKey, mayActFor, ownerOf, type Who } from "./ownership.ts";
import { mistake } from "./posting.ts";
import type { Writer } from "./writer.ts";

/** What the handlers work with. */
export interface HandlerParts {
  readonly db: Database;
  readonly writer: Writer;
  readonly clock: () => number;
}

/** The contract and its methods. */
export function accountHandlers({ db, writer, clock }: HandlerParts): Implementation {
  return implement(AccountService, {
    async openAccount({ requestId, userId, displayName, currency, lowerLimit }) {
      const who = currentWho();
      if (!minorUnitDigits.has(currency)) {
        throw mistake("currency", `expected a currency of ISO 4217 such as EUR, got ${JSON.stringify(currency)}`);
      }
      const now = clock();
      const owner = ownerOf(who, userId);
      const name = displayName.toWellFormed();
      const fresh = { id: uuidv7(now), userId: owner, displayName: name, currency, lowerLimit, createTime: now };
      const request = requestId === "" ? undefined : { caller: callerKey(who), requestId };
      return { account: accountMessage(await openAccount(db, fresh, request)) };
    },

    async getAccount({ accountId }) {
      return { account: accountMessage(await visibleAccount(db, accountId)) };
    },

    async listAccounts({ userId, pageSize, pageToken, currency, status }) {
      const size = pageSize || defaultPageSize;
      const owner = ownerOf(currentWho(), userId);
      const open = status === AccountStatus.UNSPECIFIED ? undefined : status === AccountStatus.OPEN;
      const found = await listAccounts(db, { userId: owner, size, after: decodePageToken(pageToken), currency, open });
      const page = found.slice(0, size);
      const last = page.at(-1);
      const nextPageToken = found.length > size && last !== undefined ? encodePageToken([last.createTime, last.id]) : "";
      return { accounts: page.map(accountMessage), nextPageToken };
    },

    async closeAccount({ accountId }) {
      const who = currentWho();
      const action = { type: "close", accountId: accountId.toLowerCase() } as const;
      const { account } = await writer.submit({ action, may: (userId) => mayActFor(who, userId), request: undefined });
      if (account === undefined) throw internal(new Error("an account that was closed is not there"));
      return { account: accountMessage(account) };
    },

    async getBalance({ accountId, asOfTime }) {
      const account = await visibleAccount(db, accountId);
      const now = clock();
      const time = millisecondsOf(asOfTime);
      if (time !== undefined && time > now) throw mistake("as_of_time", "expected a time that is not in the future");
      const balance = time === undefined ? account.balance : await balanceAt(db, account.id, time, now);
      return { accountId: account.id, balance, currency: account.currency, asOfTime: timestampFromMs(time ?? now) };
    },
  });
}

/** An account that the caller may see. @throws NOT_FOUND. */
export async function visibleAccount(db: Database, accountId: string): Promise<Account> {
  const account = await getAccount(db, accountId.toLowerCase());
  if (account === undefined) throw notFound("account", accountId);
  if (!mayActFor(currentWho(), account.userId)) throw notYours("account", accountId);
  return account;
}

/** Who makes the current call. */
export function currentWho(): Who {
  return currentContext() ?? { principal: undefined, caller: undefined };
}
