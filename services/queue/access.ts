/** Who may do what with a queue. Pure. */
import type { CallContext } from "#mesh/context.ts";
import { notYours, permissionDenied } from "#mesh/errors.ts";
import type { Queue } from "./queue.ts";

/** Who calls: the parts of the call's context that say so. */
export type Who = Pick<CallContext, "principal" | "caller">;

/** What a call is about to do: anything at all, publish, consume, or change the queue itself. */
export type Right = "see" | "publish" | "consume" | "manage";

/** Whose the queues are that the caller makes: a user's id, or `service:<name>`. Request ids are unique per owner too. */
export function ownerOf({ principal, caller }: Who): string {
  if (principal !== undefined) return principal.id;
  if (caller !== undefined && caller.id !== "gateway") return `service:${caller.id}`;
  throw permissionDenied("NO_CALLER", "the call names neither a user nor a service");
}

/**
 * Whether the caller may use every queue: administrators, and services that call in nobody's name. A principal decides alone: a service that
 * acts for a person may do what the person may, no more. The gateway, which proves itself in every call from outside, is nobody.
 */
export function mayUseAll({ principal, caller }: Who): boolean {
  if (principal !== undefined) return principal.roles.includes("admin");
  return caller !== undefined && caller.id !== "gateway";
}

/** Whether the caller has a right on a queue. */
export function may(who: Who, right: Right, queue: Pick<Queue, "owner" | "grants">): boolean {
  if (mayUseAll(who)) return true;
  const id = who.principal?.id;
  if (id === undefined) return false;
  if (queue.owner === id) return true;
  const grant = queue.grants.find(({ userId }) => userId === id);
  if (grant === undefined) return false;
  if (right === "see") return grant.publish || grant.consume;
  return right !== "manage" && grant[right];
}

/**
 * Passes who has the right.
 *
 * @throws NOT_FOUND for those who may not even know of the queue, PERMISSION_DENIED for those who may do other things with it.
 */
export function assertMay(who: Who, right: Right, queue: Pick<Queue, "name" | "owner" | "grants">): void {
  if (may(who, right, queue)) return;
  if (!may(who, "see", queue)) throw notYours("queue", queue.name);
  throw permissionDenied("NOT_GRANTED", `queue ${JSON.stringify(queue.name)}: you may not ${right}`);
}

/** Whether a publish may make the queue that it names: not by an API key that could not make it by CreateQueue. */
export function mayCreate({ principal }: Who): boolean {
  return principal?.kind !== "api-key" || principal.scopes.includes(manageScope);
}

/** The scope of CreateQueue, as the contract has it. */
export const manageScope = "queues:manage";
