/** Between the contract's messages and what the service knows. */
import { create, fromJsonString, type MessageInitShape, toJsonString } from "@bufbuild/protobuf";
import {
  anyPack,
  type Duration,
  durationFromMs,
  durationMs,
  type Timestamp,
  timestampFromMs,
  timestampMs,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import type { ConnectError } from "@connectrpc/connect";
import type { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import {
  type DeadLetterSchema,
  type DeliverySchema,
  type NewMessage,
  Order,
  type Queue as QueueMessage,
  type QueueSchema,
  type ScheduledMessageSchema,
} from "#gen/queue/v1/message_pb.ts";
import type { SubscribeRequest, SubscribeResponseSchema } from "#gen/queue/v1/queue_pb.ts";
import { invalidArgument } from "#mesh/errors.ts";
import type { Draft } from "./publish.ts";
import type { Content, DeadLetter, Delivery, Queue, QueueRules, ScheduledMessage } from "./queue.ts";
import type { Heard, Said } from "./subscription.ts";

/** The rules of a queue that does not state its own. */
export const defaultRules: QueueRules = {
  visibilityMs: 30_000,
  maxDeliveries: 5,
  retentionMs: 14 * 86_400_000,
  deduplicationMs: 300_000,
  grants: [],
};

/** Bytes of a message's data as JSON text. */
const maxDataBytes = 262_144;

/** The name and rules that a message of the contract states. */
export function toRules(queue: QueueMessage): QueueRules & { readonly name: string; readonly ordered: boolean } {
  const { name, order, visibilityTimeout, maxDeliveries, retention, deduplicationWindow, grants } = queue;
  const users = new Set<string>();
  for (const { userId } of grants) {
    if (users.has(userId.toLowerCase())) throw mistake("queue.grants", `expected each user once, got ${userId} again`);
    users.add(userId.toLowerCase());
  }
  return {
    name,
    ordered: order === Order.PER_KEY,
    visibilityMs: millisecondsOr(defaultRules.visibilityMs, visibilityTimeout, "queue.visibility_timeout"),
    maxDeliveries: maxDeliveries || defaultRules.maxDeliveries,
    retentionMs: durationOr(defaultRules.retentionMs, retention),
    deduplicationMs: durationOr(defaultRules.deduplicationMs, deduplicationWindow),
    grants: grants.map(({ userId, publish, consume }) => ({ userId: userId.toLowerCase(), publish, consume })),
  };
}

/** The rules that an update mask names. */
export function maskedRules(rules: QueueRules, paths: readonly string[]): Partial<QueueRules> {
  const all = paths.length === 0 || paths.includes("*");
  const unknown = paths.find((path) => path !== "*" && !(path in ruleOf) && !ignored.has(path));
  if (unknown !== undefined) {
    throw mistake("update_mask", `expected fields of a queue that can change, got ${JSON.stringify(unknown)}`);
  }
  const named = Object.entries(ruleOf).filter(([path]) => all || paths.includes(path));
  return Object.fromEntries(named.map(([, rule]) => [rule, rules[rule]]));
}

const ruleOf: Readonly<Record<string, keyof QueueRules>> = {
  visibility_timeout: "visibilityMs",
  max_deliveries: "maxDeliveries",
  retention: "retentionMs",
  deduplication_window: "deduplicationMs",
  grants: "grants",
};
/** The name says which queue; the rest is the service's (AIP-203: output only, and left out of account). */
const ignored: ReadonlySet<string> = new Set(["name", "owner", "create_time", "update_time"]);

/** A queue as the contract shows it, its grants only to those who may change it. */
export function fromQueue(queue: Queue, showGrants: boolean): MessageInitShape<typeof QueueSchema> {
  return {
    name: queue.name,
    owner: queue.owner,
    order: queue.ordered ? Order.PER_KEY : Order.NONE,
    visibilityTimeout: durationFromMs(queue.visibilityMs),
    maxDeliveries: queue.maxDeliveries,
    retention: durationFromMs(queue.retentionMs),
    deduplicationWindow: durationFromMs(queue.deduplicationMs),
    grants: showGrants ? queue.grants.map((grant) => ({ ...grant })) : [],
    createTime: timestampFromMs(queue.createTime),
    updateTime: timestampFromMs(queue.updateTime),
  };
}

/**
 * A message to publish. `field` is its place in the request, for errors.
 *
 * @throws INVALID_ARGUMENT when its data is too long, or its time is none.
 */
export function toDraft(message: NewMessage | undefined, field: string, now: number): Draft {
  if (message?.data === undefined) throw mistake(`${field}.data`, "expected a JSON value");
  const { headers, priority, delay, scheduleTime, deduplicationKey, orderingKey } = message;
  // Half a surrogate pair could not be stored as text; JSON's own escapes can.
  const data = toJsonString(ValueSchema, message.data).toWellFormed();
  const bytes = Buffer.byteLength(data);
  if (bytes > maxDataBytes) throw mistake(`${field}.data`, `expected at most ${maxDataBytes} bytes as JSON, got ${bytes}`);
  const dueTime = delay === undefined ? timeOf(scheduleTime, `${field}.schedule_time`) : now + durationMs(delay);
  if (dueTime !== undefined && dueTime > now + yearMs) throw mistake(`${field}.schedule_time`, "expected a time within a year");
  return { data, headers, priority, orderingKey, deduplicationKey, dueTime };
}

/** A delivery as the contract shows it. */
export function fromDelivery(delivery: Delivery): MessageInitShape<typeof DeliverySchema> {
  const { messageId, token, deliveryCount, publishTime, visibleTime } = delivery;
  const times = { publishTime: timestampFromMs(publishTime), visibleTime: timestampFromMs(visibleTime) };
  return { ...fromContent(delivery), messageId, ackToken: token, deliveryCount, ...times };
}

/** A dead letter as the contract shows it. */
export function fromDeadLetter(letter: DeadLetter): MessageInitShape<typeof DeadLetterSchema> {
  const { messageId, deliveryCount, reason, publishTime, deadTime } = letter;
  const times = { publishTime: timestampFromMs(publishTime), deadTime: timestampFromMs(deadTime) };
  return { ...fromContent(letter), messageId, deliveryCount, reason, ...times };
}

/** A scheduled message as the contract shows it. */
export function fromScheduled(message: ScheduledMessage): MessageInitShape<typeof ScheduledMessageSchema> {
  const { messageId, publishTime, dueTime } = message;
  return {
    ...fromContent(message),
    messageId,
    publishTime: timestampFromMs(publishTime),
    scheduleTime: timestampFromMs(dueTime),
  };
}

/** What a subscriber says. */
export function toSaid(request: SubscribeRequest): Said {
  const { queue, visibilityTimeout, credits, ackTokens, nackTokens, nackDelay, nackReason } = request;
  return {
    queue,
    visibilityMs: visibilityTimeout === undefined ? undefined : wholeSeconds(visibilityTimeout, "visibility_timeout"),
    credits,
    ackTokens,
    nackTokens,
    nackDelayMs: nackDelay === undefined ? 0 : durationMs(nackDelay),
    nackReason,
  };
}

/** What a subscriber hears. */
export function fromHeard(heard: Heard, now: number): MessageInitShape<typeof SubscribeResponseSchema> {
  if (heard.kind === "delivery") return { event: { case: "delivery", value: fromDelivery(heard.delivery) } };
  const { settled, expired, error } = heard;
  const failed = error === undefined ? {} : { error: toStatus(error) };
  const value = { settledTokens: [...settled], expiredTokens: [...expired], ...failed, time: timestampFromMs(now) };
  return { event: { case: "settlement", value } };
}

/** A duration in whole seconds, in milliseconds. @throws INVALID_ARGUMENT naming `field` for parts of a second. */
export function wholeSeconds(duration: Duration, field: string): number {
  if (duration.nanos !== 0) throw mistake(field, "expected whole seconds");
  return durationMs(duration);
}

/** INVALID_ARGUMENT of one field. */
export function mistake(field: string, description: string): ConnectError {
  return invalidArgument([{ field, description }]);
}

const yearMs = 366 * 86_400_000;

function fromContent({ data, headers, priority, orderingKey }: Content) {
  return { data: fromJsonString(ValueSchema, data), headers: { ...headers }, priority, orderingKey };
}

function durationOr(fallback: number, duration: Duration | undefined): number {
  return duration === undefined ? fallback : durationMs(duration);
}

function millisecondsOr(fallback: number, duration: Duration | undefined, field: string): number {
  return duration === undefined ? fallback : wholeSeconds(duration, field);
}

/** @throws INVALID_ARGUMENT outside the years 1 to 9999, which google.protobuf.Timestamp allows. */
function timeOf(time: Timestamp | undefined, field: string): number | undefined {
  if (time === undefined) return undefined;
  const good = time.seconds >= -62_135_596_800n && time.seconds <= 253_402_300_799n && time.nanos >= 0 && time.nanos < 1e9;
  if (!good) throw mistake(field, "expected a time between the years 1 and 9999");
  return timestampMs(time);
}

function toStatus({ code, rawMessage, details }: ConnectError): MessageInitShape<typeof StatusSchema> {
  const own = details.flatMap((detail) => ("desc" in detail ? anyPack(detail.desc, create(detail.desc, detail.value)) : []));
  return { code, message: rawMessage, details: own };
}
