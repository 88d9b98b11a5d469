/** auth's own verifier of access tokens: its keys and its revocations, no call to anybody. */
import { ConnectError } from "@connectrpc/connect";
import { reasonOf, unauthenticated } from "#mesh/errors.ts";
import type { TokenVerifier } from "#mesh/identity/tokens.ts";
import { verifyUserToken } from "#mesh/identity/user-token.ts";
import type { Database } from "#mesh/storage/database.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import type { AuditLog } from "./audit.ts";
import type { Revocations } from "./revocations.ts";
import type { SigningKeys } from "./signing-keys.ts";

/** Verifies, and records each refusal in the audit log. */
export function ownTokenVerifier(parts: {
  readonly db: Database;
  readonly keys: SigningKeys;
  readonly revocations: Revocations;
  readonly audit: AuditLog;
  readonly log: Logger;
}): TokenVerifier {
  const { db, keys, revocations, audit, log } = parts;
  return {
    async verify(token, now) {
      let sessionId: string | undefined;
      let userId: string | undefined;
      try {
        const principal = await verifyUserToken(token, (kid) => keys.find(kid), now);
        if (!revocations.has(principal.sessionId)) return principal;
        ({ sessionId, id: userId } = principal);
        throw unauthenticated("TOKEN_REVOKED", "the session of the access token has ended");
      } catch (error) {
        const reason = error instanceof ConnectError ? reasonOf(error) : undefined;
        // The refusal stands, whether it can be recorded or not.
        const entry = { action: "token.refused", success: false, reason: reason ?? "", userId, sessionId };
        if (reason !== undefined) {
          await audit
            .recordBounded(db, entry)
            .catch((err: unknown) => log.warn({ err, reason }, "a refused token is not audited"));
        }
        throw error;
      }
    },
  };
}
