/** Counts attempts at secrets and locks out those that fail too often. */
import { resourceExhausted } from "#mesh/errors.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { clearAttempts, lockAttempts, saveAttempts, takeBackAttempts } from "./attempt-store.ts";
import { judge, type LockoutPolicy } from "./lockout.ts";

/** How patient to be with an account (or a signed-in user) and with an address, behind which many people may sit. */
export interface GuardPolicies {
  readonly account: LockoutPolicy;
  readonly address: LockoutPolicy;
}

/** An attempt that was let through and counted as a failure. */
export interface Attempt {
  /** It was right: the account starts from nothing, the address gets this one attempt back. In the transaction of what follows. */
  succeeded(q: Queryable): Promise<void>;
  /** It was neither right nor wrong. */
  takenBack(q: Queryable): Promise<void>;
}

const failedTooOften = "locked out after too many failed attempts";

/** The one who counts. */
export class AttemptGuard {
  readonly #db: Database;
  readonly #policies: GuardPolicies;
  readonly #clock: () => number;

  constructor(db: Database, policies: GuardPolicies, clock: () => number) {
    this.#db = db;
    this.#policies = policies;
    this.#clock = clock;
  }

  /** A sign-in to the account with the address `emailKey`, existing or not, from `ipAddress` (empty when unknown). */
  signIn(emailKey: string, ipAddress: string, onRefused: (tx: Queryable) => Promise<void>): Promise<Attempt> {
    const from = ipAddress === "" ? [] : [`address:${ipAddress}`];
    return this.#begin([`account:${emailKey}`, ...from], failedTooOften, onRefused);
  }

  /** A signed-in user proves again who they are. Counted apart, so that strangers cannot lock them out of their own settings. */
  reauthentication(userId: string, onRefused: (tx: Queryable) => Promise<void>): Promise<Attempt> {
    return this.#begin([`user:${userId}`], failedTooOften, onRefused);
  }

  /**
   * A signed-in user proves to hold the second factor. Counted apart from the password, or whoever knows that could start the count anew
   * between the guesses of a code.
   */
  secondFactor(userId: string, onRefused: (tx: Queryable) => Promise<void>): Promise<Attempt> {
    return this.#begin([`factor:${userId}`], failedTooOften, onRefused);
  }

  /** A user moves to another address. Each one counts, right or not, and is never taken back. */
  async addressChange(userId: string, onRefused: (tx: Queryable) => Promise<void>): Promise<void> {
    await this.#begin([`move:${userId}`], "too many changes of the address", onRefused);
  }

  /** The first key is the account's. @throws RESOURCE_EXHAUSTED with RetryInfo while one of the keys is locked. */
  async #begin(keys: readonly string[], refusal: string, onRefused: (tx: Queryable) => Promise<void>): Promise<Attempt> {
    const retryAfterMs = await this.#db.transaction(async (tx) => {
      const now = this.#clock();
      const before = await lockAttempts(tx, keys, now);
      const verdicts = before.map((attempts, index) => judge(now, attempts, this.#policyOf(index)));
      const waits = verdicts.flatMap((verdict) => (verdict.allowed ? [] : [verdict.retryAfterMs]));
      if (waits.length > 0) {
        await onRefused(tx);
        return Math.max(...waits);
      }
      const next = verdicts.flatMap((verdict) => (verdict.allowed ? [verdict.next] : []));
      await saveAttempts(tx, keys, next);
      return undefined;
    });
    if (retryAfterMs !== undefined) throw resourceExhausted(refusal, retryAfterMs);
    const [account = "", ...others] = keys;
    return {
      async succeeded(q) {
        await clearAttempts(q, account);
        if (others.length > 0) await takeBackAttempts(q, others);
      },
      takenBack: (q) => takeBackAttempts(q, keys),
    };
  }

  #policyOf(index: number): LockoutPolicy {
    return index === 0 ? this.#policies.account : this.#policies.address;
  }
}
