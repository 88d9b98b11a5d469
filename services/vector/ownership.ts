/** Whose collections a call means. Pure. */
import type { CallContext } from "#mesh/context.ts";
import { permissionDenied } from "#mesh/errors.ts";

/** Who calls: the parts of the call's context that say so. */
export type Who = Pick<CallContext, "principal" | "caller">;

/**
 * The owner that a call is for: the user `requested`, or, when that is "", the caller: a user's id, or `service:<name>`.
 *
 * @throws PERMISSION_DENIED for another user's id, except from administrators and services that call in nobody's name, and for calls that name
 * neither a user nor a service.
 */
export function ownerOf(who: Who, requested: string): string {
  // UUIDs compare without regard to case; tokens and the database have them in lower case.
  const userId = requested.toLowerCase();
  const { principal, caller } = who;
  if (userId !== "" && userId !== principal?.id) {
    if (mayUseAll(who)) return userId;
    throw permissionDenied("NOT_YOUR_COLLECTIONS", "user_id: expected your own");
  }
  if (principal !== undefined) return principal.id;
  if (caller !== undefined && caller.id !== "gateway") return `service:${caller.id}`;
  throw permissionDenied("NO_CALLER", "the call names neither a user nor a service");
}

/**
 * Whether the caller may use everybody's collections: administrators, and services that call in nobody's name. A principal decides alone: a service
 * that acts for a person may do what the person may, no more. The gateway, which proves itself in every call from outside, is nobody.
 */
export function mayUseAll({ principal, caller }: Who): boolean {
  if (principal !== undefined) return principal.roles.includes("admin");
  return caller !== undefined && caller.id !== "gateway";
}
