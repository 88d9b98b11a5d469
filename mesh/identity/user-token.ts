/** The token that carries a person or an API key through the mesh: `authorization: Bearer <JWT>`, signed by auth (EdDSA). */
import { type CryptoKey, errors, type JWTPayload, jwtVerify } from "jose";
import type { Principal } from "../context.ts";
import { unauthenticated } from "../errors.ts";

/** `iss` and `aud` of every user token. */
export const userTokenIssuer = "heddle";
export const userTokenAudience = "heddle";

/** Finds the public key with the id `kid`; undefined when there is none. */
export type KeyFinder = (kid: string) => Promise<CryptoKey | undefined> | CryptoKey | undefined;

/**
 * Verifies `token` at time `now` (milliseconds since the epoch) and reads its claims: sub (the user's id), sid (session or API
 * key), roles, scope (separated by spaces, API keys only), kind (`user` or `api-key`), exp. The algorithm is EdDSA whatever
 * the token's header says, which rules out `none` and keys of another kind.
 *
 * @throws UNAUTHENTICATED with reason TOKEN_EXPIRED or TOKEN_INVALID; and whatever `findKey` throws.
 */
export async function verifyUserToken(token: string, findKey: KeyFinder, now: number): Promise<Principal> {
  // What findKey throws (auth is away) is no fault of the token, so it is carried past jose's error classes.
  let lookup: unknown;
  const key = async ({ kid }: { kid?: string }): Promise<CryptoKey> => {
    const found = await Promise.resolve(kid === undefined ? undefined : findKey(kid)).catch((thrown: unknown) => {
      lookup = thrown;
      throw thrown;
    });
    if (found === undefined) throw new errors.JWKSNoMatchingKey();
    return found;
  };
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: ["EdDSA"],
      issuer: userTokenIssuer,
      audience: userTokenAudience,
      requiredClaims: ["sub", "sid", "exp"],
      currentDate: new Date(now),
    });
    return principalOf(payload, token);
  } catch (thrown) {
    if (lookup !== undefined) throw lookup;
    if (thrown instanceof errors.JWTExpired) throw unauthenticated("TOKEN_EXPIRED", "the access token has expired");
    throw unauthenticated("TOKEN_INVALID", "the access token does not verify");
  }
}

/** @throws when a claim is not of the form above; the caller makes TOKEN_INVALID of it. */
function principalOf(payload: JWTPayload, token: string): Principal {
  const { sub, sid, kind, roles = [], scope = "", exp } = payload;
  const wellFormed = typeof sub === "string" && sub !== "" && typeof sid === "string" && sid !== "" && typeof exp === "number";
  if (!wellFormed || (kind !== "user" && kind !== "api-key")) throw new errors.JWTInvalid("sub, sid, exp or kind");
  if (!isTexts(roles) || typeof scope !== "string") throw new errors.JWTInvalid("roles or scope");
  const scopes = kind === "api-key" ? scope.split(" ").filter((one) => one !== "") : [];
  return { kind, id: sub, roles, scopes, sessionId: sid, token, expiresAt: exp * 1000, degraded: false };
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
