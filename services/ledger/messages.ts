/** Domain values as messages of the contract, and back. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type AccountSchema, AccountStatus } from "#gen/ledger/v1/account_pb.ts";
import {
  type HoldSchema,
  HoldStatus,
  TransactionKind as Kind,
  type TransactionSchema,
} from "#gen/ledger/v1/transaction_message_pb.ts";
import { minorUnitDigits } from "#mesh/currency.ts";
import { type Account, amountOf, availableOf, type Hold, type Transaction, type TransactionKind } from "./ledger.ts";

/** The contract's name of each kind. */
export const kindOf: Readonly<Record<TransactionKind, Kind>> = {
  income: Kind.INCOME,
  expense: Kind.EXPENSE,
  transfer: Kind.TRANSFER,
  payment: Kind.PAYMENT,
  refund: Kind.REFUND,
  entry: Kind.ENTRY,
};

/** Our name of each kind of the contract; what is unspecified or unknown has none. */
export const kindNameOf: Readonly<Record<number, TransactionKind>> = {
  [Kind.INCOME]: "income",
  [Kind.EXPENSE]: "expense",
  [Kind.TRANSFER]: "transfer",
  [Kind.PAYMENT]: "payment",
  [Kind.REFUND]: "refund",
  [Kind.ENTRY]: "entry",
};

const holdStatusOf = {
  held: HoldStatus.HELD,
  captured: HoldStatus.CAPTURED,
  released: HoldStatus.RELEASED,
  expired: HoldStatus.EXPIRED,
};

/** An account as the contract shows it. */
export function accountMessage(account: Account): MessageInitShape<typeof AccountSchema> {
  const { id, userId, displayName, currency, balance, held, lowerLimit, createTime, closeTime } = account;
  return {
    ...{ id, userId, displayName, currency, balance, held, lowerLimit },
    minorUnitDigits: minorUnitDigits.get(currency) ?? 0,
    available: availableOf(account),
    status: closeTime === undefined ? AccountStatus.OPEN : AccountStatus.CLOSED,
    createTime: timestampFromMs(createTime),
    ...(closeTime === undefined ? {} : { closeTime: timestampFromMs(closeTime) }),
  };
}

/** A transaction as the contract shows it. */
export function transactionMessage(transaction: Transaction): MessageInitShape<typeof TransactionSchema> {
  const { id, kind, currency, category, description, lines, holdId, occurTime, createTime } = transaction;
  return {
    ...{ id, currency, category, description },
    kind: kindOf[kind],
    amount: amountOf(lines),
    postings: lines.map(({ to, amount }) => ({ accountId: "accountId" in to ? to.accountId : "", amount, currency })),
    holdId: holdId ?? "",
    occurTime: timestampFromMs(occurTime),
    createTime: timestampFromMs(createTime),
  };
}

/** A hold as the contract shows it. */
export function holdMessage(hold: Hold): MessageInitShape<typeof HoldSchema> {
  const { id, accountId, amount, currency, status, capturedAmount, refundedAmount, transactionId } = hold;
  return {
    ...{ id, accountId, amount, currency, capturedAmount, refundedAmount },
    status: holdStatusOf[status],
    transactionId: transactionId ?? "",
    createTime: timestampFromMs(hold.createTime),
    expireTime: timestampFromMs(hold.expireTime),
  };
}

/** A time of the contract in milliseconds since the epoch; undefined when it is absent. */
export function millisecondsOf(time: Timestamp | undefined): number | undefined {
  return time === undefined ? undefined : timestampMs(time);
}
