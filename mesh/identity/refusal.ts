/** Which refusals the audit log hears of. Pure. */
import { Code, type ConnectError } from "@connectrpc/connect";
import type { Principal } from "../context.ts";
import { auditNoteOf, reasonOf } from "../errors.ts";
import { statusNames } from "../policy/status-codes.ts";

/** One refusal, as auth.v1.AuthService/RecordAuditEvent takes it. It holds no credential. */
export interface Refusal {
  readonly action: "token.refused" | "caller.refused" | "access.denied";
  /** Why and where: `TOKEN_REVOKED: notification.v1.NotificationService/Send`. */
  readonly reason: string;
  /** A UUID; "" when it is not known whom it concerns. */
  readonly userId: string;
  readonly sessionId: string;
}

/** What is known of the call that was refused. */
export interface RefusedCall {
  /** `pkg.Service/Method`, or the path of a route without one. */
  readonly name: string;
  readonly principal: Pick<Principal, "id" | "sessionId"> | undefined;
  /** Why the proof of a calling service did not verify. */
  readonly callerError?: ConnectError | undefined;
}

/**
 * What to record of a call that ended with `error`; undefined when it was not refused for who made it.
 *
 * A bad or revoked token, a forged proof of a service that was needed, PERMISSION_DENIED, and an error that is noted to hide
 * somebody else's thing. Not a token that merely expired or was not sent, which happens all day; not what another service
 * refused, which records it itself; not an API key, which auth saw and recorded.
 */
export function refusalOf(error: ConnectError | undefined, call: RefusedCall): Refusal | undefined {
  if (error === undefined || error.isWireError) return undefined;
  const note = auditNoteOf(error);
  const reason = note?.reason ?? reasonOf(error) ?? statusNames[error.code] ?? "";
  const refusal = (action: Refusal["action"], why = reason): Refusal => ({
    action,
    reason: `${why}: ${call.name}`.slice(0, 500),
    userId: uuid(note?.userId ?? call.principal?.id),
    sessionId: uuid(note?.sessionId ?? call.principal?.sessionId),
  });
  if (reason === "TOKEN_INVALID" || reason === "TOKEN_REVOKED") return refusal("token.refused");
  if (reason === "CALLER_REQUIRED" && call.callerError !== undefined) {
    return refusal("caller.refused", reasonOf(call.callerError));
  }
  return error.code === Code.PermissionDenied || note?.reason !== undefined ? refusal("access.denied") : undefined;
}

/** A service's name or that of a gateway's own key is no user's id. */
function uuid(id: string | undefined): string {
  return id !== undefined && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id) ? id : "";
}
