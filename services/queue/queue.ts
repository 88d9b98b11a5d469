/** What the service knows of queues and messages, apart from the contract's messages and from any backend. */

/** A queue and its rules. Times in milliseconds, and since the epoch. */
export interface Queue {
  /** A UUIDv7. Backends know a queue by it, so that one which is made anew under an old name is another. */
  readonly id: string;
  readonly name: string;
  /** A user's id, or `service:<name>`. */
  readonly owner: string;
  /** Whether messages with the same ordering key keep their order. */
  readonly ordered: boolean;
  /** Whole seconds, as all visibility timeouts: a delivery's end is kept in seconds by pg-boss. */
  readonly visibilityMs: number;
  readonly maxDeliveries: number;
  readonly retentionMs: number;
  readonly deduplicationMs: number;
  readonly grants: readonly Grant[];
  readonly createTime: number;
  readonly updateTime: number;
}

/** What a user who is not the owner may do. */
export interface Grant {
  readonly userId: string;
  readonly publish: boolean;
  readonly consume: boolean;
}

/** The rules of a queue that can be changed. */
export type QueueRules = Pick<Queue, "visibilityMs" | "maxDeliveries" | "retentionMs" | "deduplicationMs" | "grants">;

/** What a message carries. */
export interface Content {
  /** The JSON text of its data, kept as it is: nothing on the way may reformat it. */
  readonly data: string;
  readonly headers: Readonly<Record<string, string>>;
  /** 0 to 9. */
  readonly priority: number;
  /** Empty without. */
  readonly orderingKey: string;
}

/** A message to publish. */
export interface NewMessage extends Content {
  /** A UUIDv7. Within a call they increase, so that they tell the order of messages that are published together. */
  readonly id: string;
  /** When it was published first: earlier than now for one that is published again. */
  readonly publishTime: number;
  /** Not to be delivered before; undefined means now. */
  readonly dueTime: number | undefined;
}

/** A message in a consumer's hands. */
export interface Delivery extends Content {
  readonly messageId: string;
  /** Names the delivery; opaque. */
  readonly token: string;
  readonly deliveryCount: number;
  readonly publishTime: number;
  readonly visibleTime: number;
}

/** A message that was given up. */
export interface DeadLetter extends Content {
  readonly messageId: string;
  readonly deliveryCount: number;
  readonly reason: string;
  readonly publishTime: number;
  readonly deadTime: number;
}

/** A message whose time has not come. */
export interface ScheduledMessage extends Content {
  readonly messageId: string;
  readonly publishTime: number;
  readonly dueTime: number;
}

/** What a delivery that nobody settled in time says in its dead letter. */
export const timedOut = "the visibility timeout passed without an answer";

/** How much data goes into one answer. An answer may have 4 MiB. */
export const maxAnswerWeight = 2_500_000;

/**
 * About how many bytes a JSON text takes as a google.protobuf.Value: more than as text where it is a list of small things. No message is
 * heavier than 1 MiB, since none could be published.
 */
export function weightOf(data: string): number {
  let commas = 0;
  for (let at = data.indexOf(","); at !== -1; at = data.indexOf(",", at + 1)) commas += 1;
  return Math.min(data.length + 12 * commas, 2 ** 20);
}
