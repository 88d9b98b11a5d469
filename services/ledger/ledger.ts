/** What the ledger is made of. Amounts are whole numbers of minor units; times are milliseconds since the epoch. */

/** A user's account, in one currency. */
export interface Account {
  readonly id: string;
  readonly userId: string;
  readonly displayName: string;
  readonly currency: string;
  /** What `balance - held` never goes below: 0 or less. */
  readonly lowerLimit: bigint;
  readonly balance: bigint;
  /** The part of the balance that holds reserve. */
  readonly held: bigint;
  /** How many postings it has. */
  readonly postings: bigint;
  readonly createTime: number;
  /** When its last posting was recorded; before the first, when it was opened. */
  readonly lastTime: number;
  /** Undefined while it is open. */
  readonly closeTime: number | undefined;
}

/** What made a transaction; the contract says what each means. */
export type TransactionKind = "income" | "expense" | "transfer" | "payment" | "refund" | "entry";

/** A side of the world outside, which has any amount of money in every currency and of which no balance is kept. */
export type Outside = "income" | "expense" | "entry";

/** What is added to one account, or to a side of the world outside; negative: taken. */
export interface Line {
  readonly to: { readonly accountId: string } | { readonly outside: Outside };
  readonly amount: bigint;
}

/** What moved, at once and in one currency. Its lines sum to zero. */
export interface Transaction {
  readonly id: string;
  readonly kind: TransactionKind;
  readonly currency: string;
  readonly category: string;
  readonly description: string;
  readonly lines: readonly Line[];
  /** The hold that it captured or refunded. */
  readonly holdId: string | undefined;
  readonly occurTime: number;
  readonly createTime: number;
}

/** How far a hold has come. All but "held" are ends. */
export type HoldStatus = "held" | "captured" | "released" | "expired";

/** Money of an account that is reserved. */
export interface Hold {
  readonly id: string;
  readonly accountId: string;
  readonly currency: string;
  readonly amount: bigint;
  readonly status: HoldStatus;
  readonly capturedAmount: bigint;
  readonly refundedAmount: bigint;
  /** Where the capture went; undefined for the world outside. */
  readonly payeeAccountId: string | undefined;
  /** The transaction that captured it. */
  readonly transactionId: string | undefined;
  readonly createTime: number;
  readonly expireTime: number;
}

/** The largest amount that the database and the contract can hold. */
export const maxAmount = 2n ** 63n - 1n;

/** How much moved: the sum of the lines above 0. */
export function amountOf(lines: readonly Line[]): bigint {
  return lines.reduce((sum, { amount }) => (amount > 0n ? sum + amount : sum), 0n);
}

/** What can be spent. */
export function availableOf({ balance, held, lowerLimit }: Account): bigint {
  return balance - held - lowerLimit;
}
