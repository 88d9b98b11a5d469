/** Access tokens: EdDSA JWTs (RFC 7519, RFC 8037) that the whole mesh verifies by signature. */
import type { KeyObject } from "node:crypto";
import { SignJWT } from "jose";
import { userTokenAudience, userTokenIssuer } from "#mesh/identity/user-token.ts";

/** Who a token is for. */
export interface TokenSubject {
  readonly userId: string;
  /** The session or API key that it stands or falls with. */
  readonly sessionId: string;
  readonly kind: "user" | "api-key";
  readonly roles: readonly string[];
  /** Of API keys; empty: unlimited. */
  readonly scopes: readonly string[];
}

/** A token and when it ends, in ms since the epoch. */
export interface AccessToken {
  readonly token: string;
  readonly expireTime: number;
}

/** Milliseconds that a token of a session lives. */
export const sessionTokenMs = 15 * 60_000;
/** Milliseconds that a token of an API key lives. */
export const apiKeyTokenMs = 5 * 60_000;
/** How much the clocks of two machines may differ, in milliseconds. */
export const clockSkewMs = 60_000;

/** Signs a token that ends at `expireTime`, rounded down to the second. */
export async function mintToken(
  key: { readonly kid: string; readonly privateKey: KeyObject },
  subject: TokenSubject,
  now: number,
  expireTime: number,
): Promise<AccessToken> {
  const { userId, sessionId, kind, roles, scopes } = subject;
  const exp = Math.floor(expireTime / 1000);
  const claims = { sid: sessionId, kind, roles, ...(kind === "api-key" ? { scope: scopes.join(" ") } : {}) };
  const token = await new SignJWT(claims)
    .setProtectedHeader({ alg: "EdDSA", kid: key.kid, typ: "JWT" })
    .setIssuer(userTokenIssuer)
    .setAudience(userTokenAudience)
    .setSubject(userId)
    .setIssuedAt(Math.floor(now / 1000))
    .setExpirationTime(exp)
    .sign(key.privateKey);
  return { token, expireTime: exp * 1000 };
}
