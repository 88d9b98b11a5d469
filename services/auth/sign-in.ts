/** Sign-in by address and password, and by second factor. */
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { currentContext } from "#mesh/context.ts";
import { unauthenticated } from "#mesh/errors.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import type { AttemptGuard } from "./attempt-guard.ts";
import type { AuditLog } from "./audit.ts";
import type { PasswordHasher } from "./password-hash.ts";
import type { SecondFactors } from "./second-factors.ts";
import type { Opened, Sessions, SessionTokens } from "./sessions.ts";
import { emailKey, type User } from "./user.ts";
import { type Account, findAccountByEmail, lockAccount, setPasswordHash } from "./user-store.ts";

/** What a sign-in works with. */
export interface SignInOptions {
  readonly db: Database;
  readonly hasher: PasswordHasher;
  readonly guard: AttemptGuard;
  readonly factors: SecondFactors;
  readonly sessions: Sessions;
  readonly audit: AuditLog;
  readonly clock: () => number;
  /**
   * Milliseconds that a refusal takes at least. The steps are the same whether the address exists or not; this covers what the machine
   * makes of them.
   */
  readonly refusalMs: number;
}

/** What a person types. */
export interface Credentials {
  readonly email: string;
  readonly password: string;
  /** A TOTP or recovery code; empty when there is none. */
  readonly mfaCode: string;
}

/** Who signed in, and the tokens. */
export interface SignedIn extends SessionTokens {
  readonly user: User;
}

type Outcome =
  | { readonly is: "in"; readonly opened: Opened; readonly user: User }
  | { readonly is: "changed" | "code required" | "code wrong" };

/**
 * Signs in. An unknown address costs the same steps as a wrong password: the same statements, the same hash.
 *
 * @throws UNAUTHENTICATED with reason INVALID_CREDENTIALS, MFA_REQUIRED or INVALID_MFA_CODE; RESOURCE_EXHAUSTED while locked out.
 */
export async function signIn(o: SignInOptions, credentials: Credentials): Promise<SignedIn> {
  const began = performance.now();
  try {
    return await attemptSignIn(o, credentials);
  } catch (error) {
    const refused = error instanceof ConnectError && error.code !== Code.Unavailable;
    const leftMs = refused ? began + o.refusalMs - performance.now() : 0;
    if (leftMs > 0) await sleep(leftMs);
    throw error;
  }
}

async function attemptSignIn(o: SignInOptions, credentials: Credentials): Promise<SignedIn> {
  const { email, password, mfaCode } = credentials;
  const ipAddress = currentContext()?.client.address ?? "";
  const attempt = await o.guard.signIn(emailKey(email), ipAddress, async (tx) => {
    // A locked attempt costs next to nothing, so it must not fill the log either.
    await o.audit.recordBounded(tx, { action: "login.locked", success: false, reason: "locked out" });
  });
  const account = await findAccountByEmail(o.db, emailKey(email));
  const good = await o.hasher.verify(password, account?.passwordHash).catch(async (error: unknown) => {
    await attempt.takenBack(o.db);
    throw error;
  });
  if (account === undefined || !good) {
    await refused(o.db, account, account === undefined ? "unknown address" : "wrong password");
    throw invalidCredentials();
  }
  const rehashed = o.hasher.isOutdated(account.passwordHash) ? await o.hasher.hash(password) : undefined;
  const outcome = await o.db.transaction((tx) => proceed(tx, account));
  switch (outcome.is) {
    case "in":
      return { ...(await o.sessions.tokensFor(outcome.opened, outcome.user)), user: outcome.user };
    case "code required":
      throw unauthenticated("MFA_REQUIRED", "the account has a second factor: send mfa_code too");
    case "code wrong":
      throw unauthenticated("INVALID_MFA_CODE", "mfa_code is wrong or was used before");
    default:
      throw invalidCredentials();
  }

  async function proceed(tx: Queryable, { passwordHash }: Account): Promise<Outcome> {
    // Locked, so that a change of the password either ends this session too or makes us notice here.
    const current = await lockAccount(tx, account?.user.id ?? "");
    if (current?.passwordHash !== passwordHash) {
      await refused(tx, account, "the password was just changed");
      return { is: "changed" };
    }
    const { user } = current;
    const factor = await o.factors.check(tx, user, mfaCode);
    if (factor === "required") {
      await attempt.takenBack(tx);
      await refused(tx, current, "second factor missing", "login.mfa_required");
      return { is: "code required" };
    }
    if (factor === "wrong") {
      await refused(tx, current, "wrong second factor");
      return { is: "code wrong" };
    }
    await attempt.succeeded(tx);
    if (rehashed !== undefined) await setPasswordHash(tx, user.id, rehashed, o.clock());
    const opened = await o.sessions.open(tx, user.id);
    await o.audit.record(tx, { action: "login.succeeded", success: true, userId: user.id, sessionId: opened.sessionId });
    return { is: "in", opened, user };
  }

  async function refused(q: Queryable, who: Account | undefined, reason: string, action = "login.failed"): Promise<void> {
    await o.audit.record(q, { action, success: false, userId: who?.user.id, reason });
  }
}

function invalidCredentials(): Error {
  return unauthenticated("INVALID_CREDENTIALS", "the address or the password is wrong");
}
