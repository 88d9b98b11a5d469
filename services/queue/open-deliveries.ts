/** The deliveries that are open on this instance's connection to RabbitMQ, and what is known of those that were. */
import { randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Delivery, Queue } from "./queue.ts";
import type { Incoming } from "./rabbit-message.ts";

/** What a delivery's source does with it at the end. */
export interface Handle {
  /** The channel that it came by: it is open as long as that is. */
  readonly channel: object;
  /** Tells the broker that the message is done. */
  done(): void;
  /** Keeps the message for a later delivery; undefined where the source cannot, and it must be held elsewhere. */
  readonly keep: ((dueTime: number) => void) | undefined;
}

/** An open delivery. */
export interface OpenDelivery {
  readonly number: number;
  readonly queue: Queue;
  readonly incoming: Incoming;
  readonly deliveryCount: number;
  readonly handle: Handle;
  /** In milliseconds since the epoch. */
  visibleTime: number;
  /** True while it is being settled, so that nobody else does. */
  settling: boolean;
}

/** What a token says: which instance opened the delivery, and which one it is there. */
export interface TokenParts {
  readonly instance: string;
  readonly number: number;
}

interface Known {
  deliveries: number;
  done: boolean;
}

/** How many messages are remembered after their delivery, to count deliveries and to know again what is done. */
const remembered = 50_000;

/** The open deliveries of an instance. */
export class OpenDeliveries {
  readonly instance: string = randomBytes(8).toString("hex");
  readonly #open = new Map<number, OpenDelivery>();
  readonly #known = new LRUCache<string, Known>({ max: remembered });
  /** Deliveries whose connection broke, by number: the broker will deliver them again, unless they are acknowledged before. */
  readonly #lost = new LRUCache<number, OpenDelivery>({ max: remembered });
  #next = 1;

  /** Opens a delivery; undefined for a message that is done, which the broker did not get to know before its connection broke. */
  add(queue: Queue, incoming: Incoming, handle: Handle, visibleTime: number): Delivery | undefined {
    const known = this.#known.get(keyOf(incoming));
    if (known?.done === true) return undefined;
    const deliveryCount = Math.max(incoming.deliveries, known?.deliveries ?? 0) + 1;
    this.#known.set(keyOf(incoming), { deliveries: deliveryCount, done: false });
    const number = this.#next++;
    this.#open.set(number, { number, queue, incoming, deliveryCount, handle, visibleTime, settling: false });
    const { messageId, data, headers, priority, orderingKey, publishTime } = incoming;
    const token = toToken({ instance: this.instance, number });
    return { messageId, token, data, headers, priority, orderingKey, deliveryCount, publishTime, visibleTime };
  }

  /** Those of the numbers that are open in the queue and that nobody is settling. */
  find(queueId: string, numbers: readonly number[]): OpenDelivery[] {
    return [...new Set(numbers)].flatMap((number) => {
      const open = this.#open.get(number);
      return open !== undefined && !open.settling && open.queue.id === queueId ? open : [];
    });
  }

  /** Those whose time has passed. */
  expired(now: number): OpenDelivery[] {
    return [...this.#open.values()].filter(({ visibleTime, settling }) => visibleTime <= now && !settling);
  }

  /** Closes a delivery. With `done` its message is not to be seen again, even if the broker delivers it again. */
  close(delivery: OpenDelivery, done: boolean): void {
    this.#open.delete(delivery.number);
    if (done) this.#known.set(keyOf(delivery.incoming), { deliveries: delivery.deliveryCount, done: true });
  }

  /** Closes all deliveries of a channel that broke. */
  lose(channel: object | undefined): void {
    for (const delivery of [...this.#open.values()].filter(({ handle }) => handle.channel === channel)) {
      this.#open.delete(delivery.number);
      this.#lost.set(delivery.number, delivery);
    }
  }

  /** Those of the numbers whose connection broke, and whose message may not have been delivered again. */
  lost(queueId: string, numbers: readonly number[]): OpenDelivery[] {
    return numbers.flatMap((number) => {
      const lost = this.#lost.get(number);
      return lost !== undefined && lost.queue.id === queueId && this.#isLast(lost) ? lost : [];
    });
  }

  /**
   * Takes note that deliveries whose connection broke are done: when the broker delivers them again they are not shown. Answers with those of
   * the numbers for which that holds; a message that was delivered again meanwhile is no longer theirs.
   */
  doneAfterLoss(queueId: string, numbers: readonly number[]): number[] {
    return this.lost(queueId, numbers).map(({ number, incoming, deliveryCount }) => {
      this.#known.set(keyOf(incoming), { deliveries: deliveryCount, done: true });
      this.#lost.delete(number);
      return number;
    });
  }

  #isLast({ incoming, deliveryCount }: OpenDelivery): boolean {
    const known = this.#known.get(keyOf(incoming));
    return known !== undefined && !known.done && known.deliveries <= deliveryCount;
  }

  /** Whether a message is done, as far as is known here. */
  isDone(incoming: Incoming): boolean {
    return this.#known.get(keyOf(incoming))?.done === true;
  }

  /** Whether a delivery of this instance is open. */
  isOpen(token: string): boolean {
    return this.#open.has(fromToken(token)?.number ?? 0);
  }

  /** How many are open in a queue. */
  count(queueId: string): number {
    return [...this.#open.values()].filter(({ queue }) => queue.id === queueId).length;
  }
}

/** Instance and number, in 14 bytes. */
export function toToken({ instance, number }: TokenParts): string {
  const bytes = Buffer.alloc(14);
  bytes.write(instance, "hex");
  bytes.writeUIntBE(number, 8, 6);
  return bytes.toString("base64url");
}

/** Undefined for what is no token of ours. */
export function fromToken(token: string): TokenParts | undefined {
  const bytes = Buffer.from(token, "base64url");
  if (bytes.length !== 14 || bytes.toString("base64url") !== token) return undefined;
  return { instance: bytes.toString("hex", 0, 8), number: bytes.readUIntBE(8, 6) };
}

/** Names a message: the same id is another one when it is published again. */
export function keyOf({ messageId, run }: Incoming): string {
  return `${messageId}/${run}`;
}
