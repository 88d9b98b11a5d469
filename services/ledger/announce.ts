/** What others are told of a recorded transaction: an event for each account, in the order of its postings. */
import type { OutboxEvent } from "#mesh/outbox/outbox.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { Recorded } from "./batch.ts";

/** The topic of the ledger's events. */
export const topic = "ledger";

/**
 * The events of a batch. Their key is the account's id, so that an account's events come in the order of its postings. Amounts are
 * texts: JSON numbers end at 2^53.
 */
export function eventsOf(recorded: readonly Recorded[]): OutboxEvent[] {
  return recorded.flatMap(({ transaction, accounts }) =>
    transaction.lines.flatMap(({ to, amount }): OutboxEvent[] => {
      const account = "accountId" in to ? accounts.find(({ id }) => id === to.accountId) : undefined;
      if (account === undefined) return [];
      const { id, kind, currency, category, holdId, occurTime, createTime } = transaction;
      const data = {
        transactionId: id,
        accountId: account.id,
        userId: account.userId,
        kind,
        amount: amount.toString(),
        currency,
        category,
        holdId: holdId ?? "",
        balance: account.balance.toString(),
        occurTime: new Date(occurTime).toISOString(),
        createTime: new Date(createTime).toISOString(),
      };
      return [{ topic, key: account.id, type: "ledger.transaction.recorded", data, id: uuidv7(createTime) }];
    }),
  );
}
