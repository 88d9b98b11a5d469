/** Whose models a call may make and see. Pure. */
import type { CallContext } from "#mesh/context.ts";
import { invalidArgument, permissionDenied } from "#mesh/errors.ts";

/** Who calls: the parts of the call's context that say so. */
export type Who = Pick<CallContext, "principal" | "caller">;

/** In whose name request ids are unique: the person, or the service that calls in nobody's name. */
export function callerKey({ principal, caller }: Who): string {
  if (principal !== undefined) return `user:${principal.id}`;
  if (caller !== undefined) return `service:${caller.id}`;
  throw permissionDenied("NO_CALLER", "the call names neither a user nor a service");
}

/**
 * The user that a call is for: `requested`, or the calling user when it is "".
 *
 * @throws PERMISSION_DENIED for another user's id, except from administrators and services.
 * @throws INVALID_ARGUMENT naming user_id when it is "" and the call is in nobody's name.
 */
export function ownerOf(who: Who, requested: string): string {
  // UUIDs compare without regard to case; tokens and the database have them in lower case.
  const userId = requested.toLowerCase();
  if (userId !== "") {
    if (!mayActFor(who, userId)) throw permissionDenied("NOT_YOURS", "user_id: expected your own");
    return userId;
  }
  if (who.principal === undefined) {
    throw invalidArgument([{ field: "user_id", description: "expected a user's id, since the call is in nobody's name" }]);
  }
  return who.principal.id;
}

/**
 * True for the user's own calls, for administrators, and for services. A principal decides alone: a service that acts for a person may do
 * what the person may, no more. The gateway, which proves itself in every call from outside, is nobody.
 */
export function mayActFor({ principal, caller }: Who, userId: string): boolean {
  if (principal !== undefined) return principal.id === userId || principal.roles.includes("admin");
  return caller !== undefined && caller.id !== "gateway";
}
