/** Proof of which service makes a call: the header `x-heddle-caller`, a JWT (HS256) over a secret that all processes share. */
import { errors, jwtVerify, SignJWT } from "jose";
import { LRUCache } from "lru-cache";
import type { Principal } from "../context.ts";
import { unauthenticated } from "../errors.ts";

/** The header that carries the proof. */
export const callerHeader = "x-heddle-caller";

/** The proof for outgoing calls. */
export interface CallerToken {
  /** The token at time `now` (milliseconds since the epoch). A new one is signed at most twice a minute. */
  current(now: number): Promise<string>;
}

const issuer = "heddle-mesh";
const lifetimeMs = 60_000;
const renewAfterMs = 30_000;

/**
 * Signs as `service`.
 *
 * @param secret HEDDLE_MESH_SECRET, at least 32 characters.
 * @throws RangeError when the secret is shorter: HS256 with a short key can be broken offline.
 */
export function callerToken(service: string, secret: string): CallerToken {
  const key = keyOf(secret);
  let mintedAt = Number.NEGATIVE_INFINITY;
  let token: Promise<string> | undefined;
  return {
    current(now) {
      // A clock set back would otherwise hold on to a token from the future for as long as it was set back.
      if (token === undefined || now - mintedAt >= renewAfterMs || now < mintedAt) {
        mintedAt = now;
        token = new SignJWT()
          .setProtectedHeader({ alg: "HS256" })
          .setIssuer(issuer)
          .setSubject(service)
          .setIssuedAt(Math.floor(now / 1000))
          .setExpirationTime(Math.floor((now + lifetimeMs) / 1000))
          .sign(key);
      }
      return token;
    },
  };
}

/**
 * Checks the proof of incoming calls. Each peer sends one token for half a minute, so verified ones are kept.
 *
 * @returns the calling service as a principal of kind `service`.
 * @throws UNAUTHENTICATED with reason CALLER_EXPIRED or CALLER_INVALID.
 */
export function callerVerifier(secret: string): (token: string, now: number) => Promise<Principal> {
  const key = keyOf(secret);
  const verified = new LRUCache<string, Principal>({ max: 256 });
  return async (token, now) => {
    const known = verified.get(token);
    if (known !== undefined && known.expiresAt > now) return known;
    const principal = await verifyCaller(token, key, now);
    verified.set(token, principal);
    return principal;
  };
}

async function verifyCaller(token: string, key: Uint8Array, now: number): Promise<Principal> {
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: ["HS256"],
      issuer,
      requiredClaims: ["sub", "exp"],
      currentDate: new Date(now),
    });
    const expiresAt = (payload.exp ?? 0) * 1000;
    const id = payload.sub ?? "";
    return { kind: "service", id, roles: [], scopes: [], sessionId: "", token: "", expiresAt, degraded: false };
  } catch (cause) {
    if (cause instanceof errors.JWTExpired) throw unauthenticated("CALLER_EXPIRED", "the calling service's proof has expired");
    throw unauthenticated("CALLER_INVALID", "the calling service's proof does not verify");
  }
}

function keyOf(secret: string): Uint8Array {
  if (secret.length < 32) throw new RangeError(`the mesh secret: expected at least 32 characters, got ${secret.length}`);
  return new TextEncoder().encode(secret);
}
