/** A signed-in user proves by the password that it is still they who sit there. */
import type { Principal } from "#mesh/context.ts";
import { invalidArgument, unauthenticated } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Attempt, AttemptGuard } from "./attempt-guard.ts";
import type { AuditLog } from "./audit.ts";
import type { PasswordHasher } from "./password-hash.ts";
import { type Account, findAccountById } from "./user-store.ts";

/** The account as it was when the password fitted. Settle `attempt` in the transaction of what follows. */
export interface Proof extends Account {
  readonly attempt: Attempt;
}

/** Checks passwords of users who are signed in. */
export class Reauthentication {
  readonly #db: Database;
  readonly #guard: AttemptGuard;
  readonly #hasher: PasswordHasher;
  readonly #audit: AuditLog;

  constructor(o: {
    readonly db: Database;
    readonly guard: AttemptGuard;
    readonly hasher: PasswordHasher;
    readonly audit: AuditLog;
  }) {
    this.#db = o.db;
    this.#guard = o.guard;
    this.#hasher = o.hasher;
    this.#audit = o.audit;
  }

  /**
   * @param field The request's field that carries the password, for the error.
   * @throws INVALID_ARGUMENT naming it when it is wrong; RESOURCE_EXHAUSTED after too many wrong ones.
   */
  async prove(principal: Principal, password: string, field: string): Promise<Proof> {
    const { id: userId, sessionId } = principal;
    const refused = (reason: string) => ({ action: "reauthentication.failed", success: false, userId, sessionId, reason });
    const attempt = await this.#guard.reauthentication(userId, (tx) => this.#audit.record(tx, refused("locked out")));
    const account = await findAccountById(this.#db, userId);
    const good = await this.#hasher.verify(password, account?.passwordHash).catch(async (error: unknown) => {
      await attempt.takenBack(this.#db);
      throw error;
    });
    if (account === undefined) throw unauthenticated("TOKEN_INVALID", "the user of the access token is gone");
    if (good) return { ...account, attempt };
    await this.#audit.record(this.#db, refused("wrong password"));
    throw invalidArgument([{ field, description: "is not the password in use" }]);
  }
}
