/** The domain of auth, put together. */
import type { Client } from "@connectrpc/connect";
import type { NotificationService } from "#gen/notification/v1/notification_pb.ts";
import type { RecordRefusal } from "#mesh/identity/refusal-reporter.ts";
import type { TokenVerifier } from "#mesh/identity/tokens.ts";
import type { Implementation } from "#mesh/server/implementation.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import { clockSkewMs, sessionTokenMs } from "./access-token.ts";
import { Accounts } from "./accounts.ts";
import { ApiKeys } from "./api-keys.ts";
import { AttemptGuard, type GuardPolicies } from "./attempt-guard.ts";
import { AuditLog } from "./audit.ts";
import { authHandlers } from "./handlers.ts";
import { startJanitor } from "./janitor.ts";
import { MailRelay } from "./mail-relay.ts";
import { PasswordHasher } from "./password-hash.ts";
import { Reauthentication } from "./reauthentication.ts";
import { Revocations } from "./revocations.ts";
import { SecondFactors } from "./second-factors.ts";
import { SecretBox } from "./secret-box.ts";
import { Sessions } from "./sessions.ts";
import { signIn } from "./sign-in.ts";
import { SigningKeys } from "./signing-keys.ts";
import { ownTokenVerifier } from "./token-verifier.ts";

/** What auth is built from. */
export interface AuthParts {
  readonly db: Database;
  readonly notification: Pick<Client<typeof NotificationService>, "send">;
  readonly log: Logger;
  readonly clock: () => number;
  /** What must be undone at the end. */
  readonly scope: AsyncDisposableStack;
  /** Encrypts what is stored to be read again; at least 32 characters. */
  readonly secret: string;
  readonly publicUrl: string;
  readonly adminEmails: readonly string[];
  readonly sessionIdleMs: number;
  readonly keyLifetimeMs: number;
  readonly auditRetentionMs: number;
  readonly guard: GuardPolicies;
  /** Milliseconds that a refused sign-in takes at least. */
  readonly refusalMs: number;
  /** Default: OWASP's cost. */
  readonly hasher?: PasswordHasher;
}

/** What the host serves and asks. */
export interface StartedAuth {
  readonly implementation: Implementation;
  readonly verifier: TokenVerifier;
  readonly recordRefusal: RecordRefusal;
}

/** Builds and starts it. */
export async function startAuth(parts: AuthParts): Promise<StartedAuth> {
  const { db, log, clock, scope, notification, publicUrl, adminEmails } = parts;
  const box = new SecretBox(parts.secret);
  const audit = new AuditLog(clock);
  const hasher = parts.hasher ?? new PasswordHasher();
  const guard = new AttemptGuard(db, parts.guard, clock);
  const rotation = {
    signForMs: parts.keyLifetimeMs,
    publishAheadMs: Math.min(3_600_000, parts.keyLifetimeMs / 2),
    tokenLifetimeMs: sessionTokenMs + clockSkewMs,
  };
  const keys = await SigningKeys.open({ db, box, policy: rotation, log, clock }, scope);
  const revocations = await Revocations.open(db, log, clock, scope);
  const reauthentication = new Reauthentication({ db, guard, hasher, audit });
  const sessions = new Sessions({ db, keys, revocations, audit, clock, idleMs: parts.sessionIdleMs });
  const factors = new SecondFactors({ db, box, guard, reauthentication, audit, clock });
  const apiKeys = new ApiKeys({ db, keys, revocations, audit, clock });
  const mails = new MailRelay({ db, box, notification, log, clock });
  const users = { db, hasher, guard, reauthentication, sessions, revocations, mails, audit, clock, publicUrl, adminEmails };
  const accounts = new Accounts(users);
  const signingIn = { db, hasher, guard, factors, sessions, audit, clock, refusalMs: parts.refusalMs };

  await hasher.warmUp();
  mails.start(scope);
  const { account, address } = parts.guard;
  const attemptsMs = Math.max(account.forgetMs, address.forgetMs);
  startJanitor(db, { attemptsMs, auditMs: parts.auditRetentionMs }, log, clock, scope);
  const domain = { db, accounts, sessions, factors, apiKeys, keys, revocations, audit, clock };
  return {
    implementation: authHandlers({ ...domain, signIn: (credentials) => signIn(signingIn, credentials) }),
    verifier: ownTokenVerifier({ db, keys, revocations, audit, log }),
    recordRefusal: async ({ action, reason, userId, sessionId }, requestId) => {
      // The verifier has recorded it with its verdict.
      if (action === "token.refused") return true;
      const who = { userId: userId || undefined, sessionId: sessionId || undefined };
      return audit.recordBounded(db, { action, success: false, reason, ...who }, requestId);
    },
  };
}
