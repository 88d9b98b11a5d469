/** What the ledger knows of a user, read through the mesh. With handlers.ts and messages.ts the only file that sees generated messages. */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import { type Account, AccountService } from "#gen/ledger/v1/account_pb.ts";
import { TransactionKind } from "#gen/ledger/v1/transaction_message_pb.ts";
import { TransactionService } from "#gen/ledger/v1/transaction_pb.ts";
import type { MeshClient } from "#mesh/client/client.ts";
import { resourceExhausted } from "#mesh/errors.ts";
import { Facts, type PostingKind, type PostingRange } from "./facts.ts";
import type { Balances } from "./health-score.ts";
import type { Period } from "./period.ts";

/** Reads of one user. */
export interface LedgerReader {
  /**
   * The facts of a period.
   *
   * @param samples whether the single amounts are needed, too
   * @throws RESOURCE_EXHAUSTED for more single postings than one answer may take; what the ledger answers.
   */
  facts(userId: string, period: Period, options: ReadOptions & { readonly samples: boolean }): Promise<Facts>;
  /** The balances of the user's accounts, by currency, at a time; undefined: now. */
  balances(userId: string, at: number | undefined, options: ReadOptions): Promise<Balances>;
}

/** What reads have in common. */
export interface ReadOptions {
  /** Empty: all. */
  readonly currency: string;
  readonly signal: AbortSignal;
}

interface LookUpOptions extends ReadOptions {
  readonly userId: string;
  readonly period: Period;
}

/** How many ranges are looked up at the same time: as many as the contract allows. */
const rangesAtOnce = 1000;
/** How many balances are asked for at the same time. */
const balancesAtOnce = 8;

/** @param maxPostings how many single postings one answer may take */
export function ledgerReader(mesh: MeshClient, maxPostings: number): LedgerReader {
  const transactions = mesh.client(TransactionService);
  const accounts = mesh.client(AccountService);

  function assertFewer(postings: number): void {
    if (postings <= maxPostings) return;
    const most = maxPostings.toLocaleString("en");
    throw resourceExhausted(`period: expected at most ${most} transactions, got more; ask for a shorter one`, 0);
  }

  async function* lookUp(ranges: readonly PostingRange[], { userId, period, currency, signal }: LookUpOptions) {
    const boundariesMs = [BigInt(period.from), BigInt(period.to)];
    let bytes = 0;
    for (let start = 0; start < ranges.length; start += rangesAtOnce) {
      // The generated messages have no field, rather than one that is undefined.
      const filters = ranges.slice(start, start + rangesAtOnce).map(({ atMost, atLeast, ...range }) => ({
        ...range,
        ...(atMost === undefined ? {} : { atMost }),
        ...(atLeast === undefined ? {} : { atLeast }),
      }));
      const request = { userId, currency, boundariesMs, postings: true, filters };
      for await (const { kind, category, positive, postings } of transactions.scanTransactions(request, { signal })) {
        if (kindOf[kind] !== undefined) continue;
        bytes += postings.length;
        assertFewer(bytes / 32);
        yield { category, positive, postings };
      }
    }
  }

  return {
    async facts(userId, period, { currency, signal, samples }) {
      const facts = new Facts(period, (ranges) => lookUp(ranges, { userId, period, currency, signal }));
      const boundariesMs = [BigInt(period.from), ...period.buckets.map(({ to }) => BigInt(to))];
      const request = { userId, currency, boundariesMs, amounts: samples };
      let bytes = 0;
      for await (const { kind, buckets, sums, counts, ...group } of transactions.scanTransactions(request, { signal })) {
        bytes += group.amounts.length;
        assertFewer(bytes / 8);
        const summed = buckets.map((bucket, index) => ({
          bucket,
          sum: BigInt(sums[index] ?? 0),
          count: Number(counts[index]),
        }));
        facts.add({ ...group, kind: kindOf[kind] ?? "flow", buckets: summed });
      }
      return facts;
    },

    async balances(userId, at, { currency, signal }) {
      const sums = new Map<string, bigint>();
      const all = await listAccounts(accounts, userId, currency, signal);
      for (let start = 0; start < all.length; start += balancesAtOnce) {
        const some = all.slice(start, start + balancesAtOnce);
        const found = await Promise.all(some.map((account) => balanceOf(accounts, account, at, signal)));
        for (const [index, balance] of found.entries()) {
          const name = some[index]?.currency ?? "";
          sums.set(name, (sums.get(name) ?? 0n) + balance);
        }
      }
      return sums;
    },
  };
}

const kindOf: Readonly<Record<number, PostingKind>> = {
  [TransactionKind.TRANSFER]: "transfer",
  [TransactionKind.REFUND]: "refund",
};

async function listAccounts(
  accounts: Client<typeof AccountService>,
  userId: string,
  currency: string,
  signal: AbortSignal,
): Promise<Account[]> {
  const found: Account[] = [];
  let pageToken = "";
  do {
    const page = await accounts.listAccounts({ userId, currency, pageSize: 1000, pageToken }, { signal });
    found.push(...page.accounts);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return found;
}

async function balanceOf(
  accounts: Client<typeof AccountService>,
  account: Account,
  at: number | undefined,
  signal: AbortSignal,
): Promise<bigint> {
  if (at === undefined) return account.balance;
  const { balance } = await accounts.getBalance({ accountId: account.id, asOfTime: timestampFromMs(at) }, { signal });
  return balance;
}
