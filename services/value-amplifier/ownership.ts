/** Whose realisations and strategies a call may make and see. Pure. */
import type { CallContext } from "#mesh/context.ts";
import { permissionDenied } from "#mesh/errors.ts";

/** Who calls: the parts of the call's context that say so. */
export type Who = Pick<CallContext, "principal" | "caller">;

/** In whose name request ids are unique: the person, or the service that calls in nobody's name. */
export function callerKey({ principal, caller }: Who): string {
  if (principal !== undefined) return `user:${principal.id}`;
  if (caller !== undefined) return `service:${caller.id}`;
  throw permissionDenied("NO_CALLER", "the call names neither a user nor a service");
}

/**
 * True for the user's own calls, for administrators, and for services. A principal decides alone: a service that acts for a person may do
 * what the person may, no more. The gateway, which proves itself in every call from outside, is nobody.
 */
export function mayActFor({ principal, caller }: Who, userId: string): boolean {
  if (principal !== undefined) return principal.id === userId || principal.roles.includes("admin");
  return caller !== undefined && caller.id !== "gateway";
}
