/** Verifies user tokens in every process, against what auth publishes and without asking auth about each one. */
import type { Client } from "@connectrpc/connect";
import { LRUCache } from "lru-cache";
import type { AuthService } from "#gen/auth/v1/auth_pb.ts";
import type { Principal } from "../context.ts";
import { noted, unauthenticated } from "../errors.ts";
import type { Logger } from "../telemetry/log.ts";
import { KeySet } from "./key-set.ts";
import { RevocationList } from "./revocation-list.ts";
import { verifyUserToken } from "./user-token.ts";

/** Says who a user token is for. auth verifies with its own keys, all other processes with remoteTokenVerifier. */
export interface TokenVerifier {
  /**
   * The principal of `token` at time `now`, in milliseconds since the epoch.
   *
   * @throws UNAUTHENTICATED with reason TOKEN_EXPIRED, TOKEN_INVALID or TOKEN_REVOKED; UNAVAILABLE while no key is known yet.
   */
  verify(token: string, now: number): Promise<Principal>;
}

/** What a verifier asks, and when it may begin. */
export interface RemoteTokenVerifierOptions {
  readonly auth: Client<typeof AuthService>;
  /** Settles when auth can be called; rejects when the signal aborts. */
  readonly found?: (signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
}

/** Verified tokens that are kept, by least recent use. One takes about 1 KB. */
const maxVerified = 5000;

/** How long the very first verification waits for the list of revoked sessions before it goes on without, in milliseconds. */
const firstRevocationsMs = 2000;

/**
 * A verifier that learns auth's keys (GetJwks) and ended sessions (WatchRevocations) through the mesh.
 *
 * It asks as soon as `found` settles, so that a token can be verified although auth or the registry went away before the first
 * one came; without `found`, when the first one comes. While auth is away the known keys keep working, and principals are marked
 * `degraded` since their session may have ended. Neither the stream nor a timer keeps the process alive; disposing ends both.
 */
export function remoteTokenVerifier(o: RemoteTokenVerifierOptions): TokenVerifier & AsyncDisposable {
  const closed = new AbortController();
  const keys = new KeySet({ fetch: async (signal) => (await o.auth.getJwks({}, { signal })).keys, log: o.log });
  const revocations = new RevocationList({ watch: (signal) => o.auth.watchRevocations({}, { signal }), log: o.log });
  const verified = new LRUCache<string, Principal>({ max: maxVerified });
  o.found?.(closed.signal).then(
    () => {
      revocations.start();
      keys.prefetch(Date.now());
    },
    // Closed before auth was found.
    () => undefined,
  );

  return {
    async verify(token, now) {
      revocations.start();
      let principal = verified.get(token);
      if (principal === undefined || principal.expiresAt <= now) {
        const findKey = (kid: string) => keys.find(kid, now);
        principal = await verifyUserToken(token, findKey, now);
        verified.set(token, principal);
      } else {
        keys.refreshWhenOld(now);
      }
      await revocations.first(firstRevocationsMs);
      if (revocations.has(principal.sessionId)) {
        verified.delete(token);
        const { id: userId, sessionId } = principal;
        throw noted(unauthenticated("TOKEN_REVOKED", "the session of the access token has ended"), { userId, sessionId });
      }
      return revocations.live ? principal : { ...principal, degraded: true };
    },
    async [Symbol.asyncDispose]() {
      closed.abort();
      keys.close();
      await revocations.close();
    },
  };
}
