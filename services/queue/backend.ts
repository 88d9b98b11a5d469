/** What keeps the messages: one interface, over PostgreSQL (postgres-backend.ts) and over RabbitMQ (rabbit-backend.ts). */
import type { Queryable } from "#mesh/storage/database.ts";
import type { Delivery, NewMessage, Queue, ScheduledMessage } from "./queue.ts";

/**
 * A backend. It promises, by backend.contract.ts:
 * - a message whose publish() settled is delivered until it is acknowledged, becomes a dead letter, or outlives the queue's retention;
 * - no two deliveries of a message are open at once, except while connections or processes are lost; then the later has the higher count;
 * - in an ordered queue one message per ordering key is open at a time, in the order of publish();
 * - a token settles its own delivery only, from any process, and after a restart of this one where the backend keeps deliveries.
 */
export interface Backend extends AsyncDisposable {
  readonly name: "postgresql" | "rabbitmq";
  /** The longest visibility timeout that it can keep, in milliseconds. */
  readonly maxVisibilityMs: number;
  /** Makes room for a queue. Can be repeated. */
  create(queue: Queue): Promise<void>;
  /** Forgets a queue and its messages. Can be repeated. */
  remove(queue: Queue): Promise<void>;
  /**
   * Stores messages in order; `within` is what else belongs to it, in the database: when that throws nothing is published. It answers with
   * the messages to publish, which may be fewer.
   *
   * @throws UNAVAILABLE when it cannot be known that all are stored.
   */
  publish(queue: Queue, messages: readonly NewMessage[], within?: Within): Promise<void>;
  /** Takes up to `max` messages for `visibilityMs`; none when none is ready. Does not wait. */
  take(queue: Queue, max: number, visibilityMs: number): Promise<Delivery[]>;
  /** Calls `listener` with the id of a queue that may have something to take, or undefined when any may. */
  onReady(listener: (queueId: string | undefined) => void): Disposable;
  /** Ends deliveries. Answers with the tokens that were open. */
  ack(queue: Queue, tokens: readonly string[]): Promise<ReadonlySet<string>>;
  /** Gives messages back for delivery after `delayMs`, or makes them dead letters with `reason`. Answers with the tokens that were open. */
  nack(queue: Queue, tokens: readonly string[], delayMs: number, reason: string): Promise<ReadonlySet<string>>;
  /** Gives deliveries `visibilityMs` from now. Answers with the tokens that were open. */
  extend(queue: Queue, tokens: readonly string[], visibilityMs: number): Promise<ReadonlySet<string>>;
  /** What is in the queue now. */
  count(queue: Queue): Promise<Counts>;
  /** Drops what waits, scheduled messages included. Answers with how many. */
  purge(queue: Queue): Promise<number>;
  /** The messages that are not due, by time and id, after `after` when given. */
  listScheduled(queue: Queue, size: number, after: Position | undefined): Promise<ScheduledMessage[]>;
  /** Takes back a message that is not due; false when there is none. */
  cancelScheduled(queue: Queue, messageId: string): Promise<boolean>;
  /** Undefined when it works, else what is wrong, for the health check. */
  check(signal: AbortSignal): Promise<string | undefined>;
}

/** Work that is done in one transaction with a publish, as far as the backend goes. */
export type Within = (tx: Queryable) => Promise<readonly NewMessage[]>;

/** How much is in a queue. */
export interface Counts {
  readonly ready: number;
  readonly inFlight: number;
  readonly scheduled: number;
}

/** A place in the list of scheduled messages: milliseconds since the epoch, and the id. */
export interface Position {
  readonly dueTime: number;
  readonly messageId: string;
}
