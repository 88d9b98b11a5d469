/** Users: how they register, change, and confirm their address. */
import { currentContext, type Principal } from "#mesh/context.ts";
import { aborted, alreadyExists, invalidArgument, unauthenticated } from "#mesh/errors.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { isUniqueViolation } from "#mesh/storage/sql-error.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import type { Attempt, AttemptGuard } from "./attempt-guard.ts";
import type { AuditLog } from "./audit.ts";
import { greetingName } from "./greeting.ts";
import type { MailRelay } from "./mail-relay.ts";
import { hashToken, newOpaqueToken } from "./opaque-token.ts";
import type { PasswordHasher } from "./password-hash.ts";
import { weaknessOf } from "./password-rule.ts";
import type { Reauthentication } from "./reauthentication.ts";
import type { Revocations } from "./revocations.ts";
import type { Sessions } from "./sessions.ts";
import { emailKey, type User } from "./user.ts";
import {
  addRole,
  emailTaken,
  findAccountById,
  findAccountByRequest,
  findEmailToken,
  insertUser,
  lockAccount,
  replaceEmailToken,
  setEmailVerified,
  setPasswordHash,
  updateProfile,
  userRequestTaken,
} from "./user-store.ts";

/** What accounts work with. */
export interface AccountsOptions {
  readonly db: Database;
  readonly hasher: PasswordHasher;
  readonly guard: AttemptGuard;
  readonly reauthentication: Reauthentication;
  readonly sessions: Sessions;
  readonly revocations: Revocations;
  readonly mails: MailRelay;
  readonly audit: AuditLog;
  readonly clock: () => number;
  /** Where the link of the verification mail leads: `<publicUrl>/verify-email?token=...`. */
  readonly publicUrl: string;
  /** Those who confirm one of these addresses, signed in as its user, become administrators. */
  readonly adminEmails: readonly string[];
}

/** A user who registers. */
export interface Registration {
  /** Empty: the call is not repeated. */
  readonly requestId: string;
  readonly email: string;
  readonly password: string;
  readonly name: string;
}

/** Milliseconds that a mailed token works. */
const emailTokenMs = 48 * 3_600_000;

/** The users. */
export class Accounts {
  readonly #o: AccountsOptions;

  constructor(options: AccountsOptions) {
    this.#o = options;
  }

  /** Creates a user with a mail to confirm the address. @throws ALREADY_EXISTS, or INVALID_ARGUMENT naming password. */
  async register(registration: Registration): Promise<User> {
    const { db, hasher, mails, audit, clock } = this.#o;
    const { requestId, email, name } = registration;
    const password = assertGood("password", registration.password, email, name);
    const before = await this.#repeated(registration);
    if (before !== undefined) {
      // The first call may have ended without an answer, and so without this.
      mails.wake();
      return before;
    }
    const passwordHash = await hasher.hash(password);
    const now = clock();
    const id = uuidv7(now);
    const key = emailKey(email);
    try {
      const user = await db.transaction(async (tx) => {
        await insertUser(tx, { id, email, emailKey: key, name, passwordHash, requestId: requestId || undefined, now });
        await this.#mailToken(tx, { id, email, name });
        await audit.record(tx, { action: "user.registered", success: true, userId: id });
        return this.get(id, tx);
      });
      mails.wake();
      return user;
    } catch (error) {
      if (!isUniqueViolation(error, emailTaken) && !isUniqueViolation(error, userRequestTaken)) throw error;
      // The same call may have come twice at the same time, and the other was faster.
      const same = await this.#repeated(registration);
      if (same !== undefined) return same;
      await audit.recordBounded(db, { action: "user.register_refused", success: false, reason: "the address is taken" });
      throw alreadyExists("a user with this email exists already");
    }
  }

  /** @throws UNAUTHENTICATED when the user is gone. */
  async get(id: string, q: Queryable = this.#o.db): Promise<User> {
    const account = await findAccountById(q, id);
    if (account === undefined) throw unauthenticated("TOKEN_INVALID", "the user of the access token is gone");
    return account.user;
  }

  /**
   * Changes what is given. Another address must be confirmed again.
   *
   * @throws ALREADY_EXISTS when it is taken; RESOURCE_EXHAUSTED after too many others, since each one gets a mail or tells who is a user.
   */
  async update(principal: Principal, change: { readonly email?: string; readonly name?: string }): Promise<User> {
    const { db, guard, mails, audit, clock } = this.#o;
    const { id: userId, sessionId } = principal;
    const before = await this.get(userId);
    if (change.email !== undefined && emailKey(change.email) !== emailKey(before.email)) {
      const entry = { action: "user.updated", success: false, userId, sessionId, reason: "too many addresses" };
      await guard.addressChange(userId, (tx) => audit.record(tx, entry));
    }
    try {
      const updated = await db.transaction(async (tx) => {
        const user = (await lockAccount(tx, userId))?.user ?? (await this.get(userId, tx));
        const { email = user.email, name = user.name } = change;
        const moved = emailKey(email) !== emailKey(user.email);
        const emailVerified = user.emailVerified && !moved;
        await updateProfile(tx, userId, { email, emailKey: emailKey(email), name, emailVerified }, clock());
        await audit.record(tx, { action: "user.updated", success: true, userId, sessionId });
        if (moved) {
          await this.#mailToken(tx, { id: userId, email, name });
          await audit.record(tx, { action: "email.changed", success: true, userId, sessionId });
        }
        return this.get(userId, tx);
      });
      mails.wake();
      return updated;
    } catch (error) {
      if (!isUniqueViolation(error, emailTaken)) throw error;
      await audit.record(db, { action: "user.updated", success: false, userId, sessionId, reason: "the address is taken" });
      throw alreadyExists("a user with this email exists already");
    }
  }

  /**
   * Confirms the address that `token` was mailed to; again, while the token lives, with the same answer.
   *
   * An administrator becomes only who is signed in as the user, too (`principal`): the mail proves the address and the session the
   * password. Otherwise anybody could register an administrator's address and wait for its owner, or a mail scanner, to open the link.
   */
  async verifyEmail(token: string, principal: Principal | undefined): Promise<User> {
    const { db, audit, clock, adminEmails } = this.#o;
    const confirmed = await db.transaction(async (tx) => {
      const id = await findEmailToken(tx, hashToken(token), clock());
      if (id === undefined) {
        await audit.recordBounded(tx, { action: "email.verified", success: false, reason: "unknown or expired token" });
        return undefined;
      }
      const user = await this.get(id, tx);
      if (!user.emailVerified) {
        await setEmailVerified(tx, id, clock());
        await audit.record(tx, { action: "email.verified", success: true, userId: id });
      }
      const isThey = principal?.kind === "user" && principal.id === id;
      const isAdmin = isThey && adminEmails.some((email) => emailKey(email) === emailKey(user.email));
      if (isAdmin && (await addRole(tx, id, "admin", clock()))) {
        await audit.record(tx, { action: "role.granted", success: true, userId: id, reason: "admin, by AUTH_ADMIN_EMAILS" });
      }
      return this.get(id, tx);
    });
    if (confirmed === undefined) throw invalidArgument([{ field: "token", description: "is unknown or has expired" }]);
    return confirmed;
  }

  /** Sets a new password and ends the user's other sessions; answers with how many those were. */
  async changePassword(principal: Principal, current: string, wanted: string): Promise<number> {
    const { db, hasher, reauthentication, sessions, revocations, audit, clock } = this.#o;
    const { id: userId, sessionId } = principal;
    const proof = await reauthentication.prove(principal, current, "current_password");
    const hash = await hasher.hash(assertGood("new_password", wanted, proof.user.email, proof.user.name));
    const ended = await db.transaction(async (tx) => {
      const account = await lockAccount(tx, userId);
      if (account?.passwordHash !== proof.passwordHash) throw aborted("the password was changed at the same time");
      await proof.attempt.succeeded(tx);
      await setPasswordHash(tx, userId, hash, clock());
      await audit.record(tx, { action: "password.changed", success: true, userId, sessionId });
      return sessions.endOthers(tx, userId, sessionId);
    });
    await revocations.publish(ended);
    return ended.length;
  }

  /**
   * The user that the same request made before. Whether the contents are the same is told by what is stored: address, name, and the
   * password by its hash; a plain fingerprint of a password would be easier to break than the hash is. So the answer tells whether a
   * password is right, and counts as a sign-in does: a wrong one brings the lock-out nearer, a right one takes nothing back but itself.
   */
  async #repeated({ requestId, email, password, name }: Registration): Promise<User | undefined> {
    if (requestId === "") return undefined;
    const account = await findAccountByRequest(this.#o.db, requestId);
    if (account === undefined) return undefined;
    const { user, passwordHash } = account;
    if (emailKey(user.email) === emailKey(email) && user.name === name) {
      const attempt = await this.#countedAttempt(emailKey(email));
      const good = await this.#o.hasher.verify(password, passwordHash).catch(async (error: unknown) => {
        await attempt.takenBack(this.#o.db);
        throw error;
      });
      if (good) {
        await attempt.takenBack(this.#o.db);
        return user;
      }
    }
    throw alreadyExists("request_id was used before with other contents");
  }

  #countedAttempt(key: string): Promise<Attempt> {
    const { guard, audit } = this.#o;
    return guard.signIn(key, currentContext()?.client.address ?? "", async (tx) => {
      await audit.recordBounded(tx, { action: "user.register_refused", success: false, reason: "locked out" });
    });
  }

  async #mailToken(tx: Queryable, user: { readonly id: string; readonly email: string; readonly name: string }): Promise<void> {
    const { mails, clock, publicUrl } = this.#o;
    const token = newOpaqueToken("email");
    const expireTime = clock() + emailTokenMs;
    await replaceEmailToken(tx, { hash: hashToken(token), userId: user.id, emailKey: emailKey(user.email), expireTime });
    const link = `${publicUrl.replace(/\/+$/, "")}/verify-email?token=${token}`;
    const values = { name: greetingName(user.name, user.email), token, link };
    await mails.enqueue(tx, { userId: user.id, recipient: user.email, template: "verify-email", values, expireTime });
  }
}

function assertGood(field: string, password: string, email: string, name: string): string {
  const weakness = weaknessOf(password, email, name);
  if (weakness !== undefined) throw invalidArgument([{ field, description: weakness }]);
  return password;
}
