/** Who may do what with topics and groups. Pure. */
import type { CallContext } from "#mesh/context.ts";
import { notFound, notYours, permissionDenied } from "#mesh/errors.ts";
import type { Topic } from "./event.ts";

/** Who calls: the parts of the call's context that say so. */
export type Who = Pick<CallContext, "principal" | "caller">;

/**
 * Who publishes, and whose groups are meant: the person, or the service that calls in nobody's name. A service that calls for a
 * person counts as that person, since it may do no more.
 */
export function callerKey({ principal, caller }: Who): string {
  if (principal !== undefined) return `user:${principal.id}`;
  if (caller !== undefined) return `service:${caller.id}`;
  throw permissionDenied("NO_CALLER", "the call names neither a user nor a service");
}

/** True for administrators and for services that call in nobody's name. The gateway, which is in every call from outside, is nobody. */
export function isOperator({ principal, caller }: Who): boolean {
  if (principal !== undefined) return principal.roles.includes("admin");
  return caller !== undefined && caller.id !== "gateway";
}

/** What somebody sees of a topic: all, only what it published itself, or nothing. */
export function readingOf(who: Who, topic: Topic): "all" | "own" | "nothing" {
  if (isOperator(who) || topic.openToReaders) return "all";
  return topic.openToPublishers ? "own" : "nothing";
}

/** The producer that reading is limited to; undefined for no limit. @throws NOT_FOUND when there is nothing to read. */
export function readableProducer(who: Who, topic: Topic): string | undefined {
  const reading = readingOf(who, topic);
  if (reading === "nothing") throw notYours("topic", topic.name);
  return reading === "all" ? undefined : callerKey(who);
}

/** @throws PERMISSION_DENIED, or NOT_FOUND when the caller may not even see the topic. */
export function assertMayPublish(who: Who, topic: Topic): void {
  if (isOperator(who) || topic.openToPublishers) return;
  if (!topic.openToReaders) throw notYours("topic", topic.name);
  throw permissionDenied("TOPIC_RESTRICTED", `only services and administrators publish to topic ${JSON.stringify(topic.name)}`);
}

/** Whose group a call means. @throws NOT_FOUND for another's, as for one that does not exist. */
export function groupOwner(who: Who, requested: string, group: string): string {
  const own = callerKey(who);
  if (requested === "" || requested === own) return own;
  if (!isOperator(who)) throw notYours("group", group);
  return requested;
}

/** What a call about a topic that does not exist is answered with. */
export function noTopic(name: string): Error {
  return notFound("topic", name);
}
