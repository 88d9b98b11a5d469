/** Signed-in sessions: refresh tokens that work once, and the end of them. */
import { currentContext, type Principal } from "#mesh/context.ts";
import { notFound, unauthenticated } from "#mesh/errors.ts";
import type { Database, Queryable } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { type AccessToken, sessionTokenMs } from "./access-token.ts";
import type { AuditLog } from "./audit.ts";
import { hashToken, newOpaqueToken } from "./opaque-token.ts";
import type { Revocations } from "./revocations.ts";
import {
  endSession,
  endSessions,
  insertRefreshToken,
  insertSession,
  listSessions,
  lockRefreshToken,
  markRefreshTokenUsed,
  type RefreshState,
  type Revocation,
  type Session,
  touchSession,
} from "./session-store.ts";
import type { SigningKeys } from "./signing-keys.ts";
import type { User } from "./user.ts";
import { findAccountById } from "./user-store.ts";

/** What sessions work with. */
export interface SessionsOptions {
  readonly db: Database;
  readonly keys: SigningKeys;
  readonly revocations: Revocations;
  readonly audit: AuditLog;
  readonly clock: () => number;
  /** Milliseconds without a refresh after which a session ends. */
  readonly idleMs: number;
}

/** A session whose refresh token was just made. */
export interface Opened {
  readonly sessionId: string;
  readonly refreshToken: string;
}

/** What the user is given. */
export interface SessionTokens {
  readonly access: AccessToken;
  readonly refreshToken: string;
}

type Refreshed =
  | { readonly is: "good"; readonly opened: Opened; readonly user: User }
  | { readonly is: "reused"; readonly revoked: readonly Revocation[] }
  | { readonly is: "invalid" };

/** The sessions of all users. */
export class Sessions {
  readonly #o: SessionsOptions;

  constructor(options: SessionsOptions) {
    this.#o = options;
  }

  /** Opens a session for the program that is calling, in the transaction of the sign-in. */
  async open(tx: Queryable, userId: string): Promise<Opened> {
    const now = this.#o.clock();
    const client = currentContext()?.client;
    const id = uuidv7(now);
    const ipAddress = (client?.address ?? "").slice(0, 100);
    const userAgent = (client?.userAgent ?? "").replaceAll("\0", "").slice(0, 500);
    const expireTime = now + this.#o.idleMs;
    await insertSession(tx, { id, userId, createTime: now, lastUsedTime: now, expireTime, ipAddress, userAgent });
    return this.#newRefreshToken(tx, id);
  }

  /** The pair of tokens, after the commit. */
  async tokensFor({ sessionId, refreshToken }: Opened, user: User): Promise<SessionTokens> {
    const subject = { userId: user.id, sessionId, kind: "user", roles: user.roles, scopes: [] } as const;
    return { access: await this.#o.keys.sign(subject, sessionTokenMs), refreshToken };
  }

  /**
   * Exchanges a refresh token for a new pair. A token that comes a second time is in two hands, one of them a thief's: nobody can tell
   * whose, so the session ends. There is no grace for two at once.
   *
   * @throws UNAUTHENTICATED with reason REFRESH_TOKEN_INVALID or REFRESH_TOKEN_REUSED.
   */
  async refresh(token: string): Promise<SessionTokens> {
    const outcome = await this.#o.db.transaction((tx) => this.#refresh(tx, hashToken(token)));
    if (outcome.is === "good") return this.tokensFor(outcome.opened, outcome.user);
    if (outcome.is === "invalid") throw unauthenticated("REFRESH_TOKEN_INVALID", "the refresh token is not valid");
    await this.#o.revocations.publish(outcome.revoked);
    throw unauthenticated("REFRESH_TOKEN_REUSED", "the refresh token was used before, so its session was ended");
  }

  /** Ends the session of the call, or all of its user; answers with how many. */
  async logout(principal: Principal, everywhere: boolean): Promise<number> {
    const { db, revocations, audit, clock } = this.#o;
    const { id: userId, sessionId } = principal;
    const ended = await db.transaction(async (tx) => {
      const one = async () => ((await endSession(tx, userId, sessionId, clock())) ? [sessionId] : []);
      const ids = everywhere ? await endSessions(tx, userId, undefined, clock()) : await one();
      const action = everywhere ? "logout.everywhere" : "logout.succeeded";
      await audit.record(tx, { action, success: true, userId, sessionId });
      return revocations.revoke(tx, ids);
    });
    await revocations.publish(ended);
    return ended.length;
  }

  /** Ends every session of the user but one, in the transaction of what makes it necessary. Hand the answer to Revocations.publish. */
  async endOthers(tx: Queryable, userId: string, keep: string): Promise<readonly Revocation[]> {
    return this.#o.revocations.revoke(tx, await endSessions(tx, userId, keep, this.#o.clock()));
  }

  /** Ends one session of the user. @throws NOT_FOUND when there is none such, or it is another user's. */
  async revoke(principal: Principal, sessionId: string): Promise<void> {
    const { db, revocations, audit, clock } = this.#o;
    const { id: userId } = principal;
    const ended = await db.transaction(async (tx) => {
      const found = await endSession(tx, userId, sessionId, clock());
      const why = found ? {} : { reason: "no such session of this user" };
      await audit.record(tx, { action: "session.revoked", success: found, userId, sessionId, ...why });
      return found ? revocations.revoke(tx, [sessionId]) : [];
    });
    if (ended.length === 0) throw notFound("session", sessionId);
    await revocations.publish(ended);
  }

  /** Those that have not ended, latest first. */
  list(principal: Principal, after: string | undefined, limit: number): Promise<Session[]> {
    return listSessions(this.#o.db, principal.id, after, limit, this.#o.clock());
  }

  async #refresh(tx: Queryable, hash: Buffer): Promise<Refreshed> {
    const { audit, revocations, clock, idleMs } = this.#o;
    const now = clock();
    const state = await lockRefreshToken(tx, hash);
    if (state === undefined) {
      await audit.recordBounded(tx, { action: "refresh.failed", success: false, reason: "unknown token" });
      return { is: "invalid" };
    }
    const { sessionId, userId } = state;
    const problem = problemOf(state, now);
    if (problem !== undefined) {
      await audit.record(tx, { action: "refresh.failed", success: false, userId, sessionId, reason: problem });
      return { is: "invalid" };
    }
    if (state.used) {
      await endSession(tx, userId, sessionId, now);
      await audit.record(tx, {
        action: "refresh.reused",
        success: false,
        userId,
        sessionId,
        reason: "the token was used before",
      });
      return { is: "reused", revoked: await revocations.revoke(tx, [sessionId]) };
    }
    const account = await findAccountById(tx, userId);
    if (account === undefined) return { is: "invalid" };
    await markRefreshTokenUsed(tx, hash, now);
    await touchSession(tx, sessionId, now, now + idleMs);
    const opened = await this.#newRefreshToken(tx, sessionId);
    await audit.record(tx, { action: "refresh.succeeded", success: true, userId, sessionId });
    return { is: "good", opened, user: account.user };
  }

  async #newRefreshToken(tx: Queryable, sessionId: string): Promise<Opened> {
    const refreshToken = newOpaqueToken("refresh");
    await insertRefreshToken(tx, hashToken(refreshToken), sessionId);
    return { sessionId, refreshToken };
  }
}

function problemOf(state: RefreshState, now: number): string | undefined {
  if (state.ended) return "the session has ended";
  return state.expireTime <= now ? "the session has expired" : undefined;
}
