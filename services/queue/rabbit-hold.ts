/**
 * Where deliveries come from in an ordered queue: one instance at a time holds the queue, as its only consumer, and opens one message per key.
 *
 * The broker grants an exclusive consumer to one connection, and gives back in order what that did not acknowledge, before it grants it to the
 * next. What it gives back although it was acknowledged (see settled-store.ts) is passed over: so the order holds through the end of any instance,
 * and of the broker.
 */
import type { Channel, ConsumeMessage } from "amqplib";
import { keyOf } from "./open-deliveries.ts";
import { type Entry, OrderedWindow } from "./ordered-window.ts";
import { type Delivery, maxAnswerWeight, type Queue, weightOf } from "./queue.ts";
import { brokerAway } from "./rabbit-connection.ts";
import { isNotFound, type SourceParts } from "./rabbit-lane.ts";
import { fromRabbit, type Incoming } from "./rabbit-message.ts";

/** What it works with, beside every source's. */
export interface HoldParts extends SourceParts {
  /** Tells others who wait that there may be something to take. */
  readonly wake: (queueId: string) => void;
  /** Says that this instance holds the queue. */
  readonly announce: (queueId: string, holds: boolean) => Promise<void>;
  /** Takes the queue from whoever held it before; answers with the keys of messages that are settled. */
  readonly claim: (queueId: string) => Promise<ReadonlySet<string>>;
}

interface Waiting {
  readonly incoming: Incoming;
  readonly message: ConsumeMessage;
}

/**
 * Messages that the holder has at hand. Keys whose messages all wait beyond them are not seen, so it is more than a handful; they are in memory,
 * so it is not many.
 */
const windowSize = 1000;
/** Milliseconds that a new holder waits for the first messages to arrive. */
const firstMs = 200;

/** One queue, held. */
export class RabbitHold {
  readonly #parts: HoldParts;
  readonly #queueId: string;
  #channel: Channel | undefined;
  #acquiring: Promise<boolean> | undefined;
  #window = new OrderedWindow<Waiting>();
  #arrival = Promise.withResolvers<void>();
  /** When it was last used, in milliseconds since the epoch. */
  usedAt = 0;

  constructor(parts: HoldParts, queueId: string) {
    this.#parts = parts;
    this.#queueId = queueId;
  }

  /** Whether this instance holds the queue. */
  get holds(): boolean {
    return this.#channel !== undefined;
  }

  /** Tries to hold the queue; false when another instance does. @throws UNAVAILABLE while the broker is away. */
  acquire(): Promise<boolean> {
    if (this.#channel !== undefined) return Promise.resolve(true);
    this.#acquiring ??= this.#acquire().finally(() => {
      this.#acquiring = undefined;
    });
    return this.#acquiring;
  }

  /** Opens messages; none when this instance does not hold the queue. */
  take(queue: Queue, max: number, visibilityMs: number): Delivery[] {
    const { clock, deliveries, wake } = this.#parts;
    const channel = this.#channel;
    if (channel === undefined) return [];
    this.usedAt = clock();
    const window = this.#window;
    const taken: Delivery[] = [];
    let weight = 0;
    while (taken.length < max && weight < maxAnswerWeight) {
      const [entry] = window.take(1, clock());
      if (entry === undefined) break;
      const { incoming, message } = entry.item;
      const done = () => {
        window.settle(entry);
        channel.ack(message);
        wake(queue.id);
      };
      const keep = (dueTime: number) => window.release(entry, dueTime);
      const delivery = deliveries.add(queue, incoming, { channel, done, keep }, clock() + visibilityMs);
      if (delivery === undefined) done();
      else taken.push(delivery);
      weight += weightOf(incoming.data);
    }
    return taken;
  }

  /** Drops what is at hand and not open. Answers with how many. */
  drain(): number {
    const dropped: Entry<Waiting>[] = this.#window.drain();
    for (const { item } of dropped) this.#channel?.ack(item.message);
    return dropped.length;
  }

  /** How many are at hand, those apart that were given back for later. */
  count(): { readonly ready: number; readonly later: number } {
    return this.#window.waiting(this.#parts.clock());
  }

  /** Lets others hold the queue. The broker gives them what is at hand, in order. */
  async close(): Promise<void> {
    const channel = this.#channel;
    if (channel === undefined) return;
    await this.#parts.announce(this.#queueId, false).catch(() => undefined);
    await channel.close().catch(() => undefined);
  }

  async #acquire(): Promise<boolean> {
    const { connection, nameOf, restore, announce, claim, deliveries, clock } = this.#parts;
    let opened: Channel | undefined;
    const window = new OrderedWindow<Waiting>();
    const onClose = () => {
      if (this.#channel === opened) this.#channel = undefined;
      deliveries.lose(opened);
      void announce(this.#queueId, false).catch(() => undefined);
    };
    const channel = await connection.channel(onClose);
    opened = channel;
    this.#window = window;
    this.#arrival = Promise.withResolvers();
    // What comes before the claim is known waits for it.
    const early: (ConsumeMessage | null)[] = [];
    let settled: ReadonlySet<string> | undefined;
    const onMessage = (message: ConsumeMessage | null) => {
      if (settled === undefined) early.push(message);
      else this.#arrive(channel, window, settled, message);
    };
    try {
      await channel.prefetch(windowSize);
      await channel.consume(nameOf(this.#queueId), onMessage, { exclusive: true });
      settled = await claim(this.#queueId);
      for (const message of early) this.#arrive(channel, window, settled, message);
      this.#channel = channel;
      this.usedAt = clock();
      await announce(this.#queueId, true);
    } catch (error) {
      await channel.close().catch(() => undefined);
      if (isNotFound(error) && (await restore(this.#queueId))) return false;
      if (isTaken(error)) return false;
      throw brokerAway(error);
    }
    await Promise.race([this.#arrival.promise, new Promise((resolve) => setTimeout(resolve, firstMs))]);
    return true;
  }

  #arrive(channel: Channel, window: OrderedWindow<Waiting>, settled: ReadonlySet<string>, message: ConsumeMessage | null): void {
    const { clock, deliveries, wake } = this.#parts;
    // The broker cancelled the consumer: the queue was deleted.
    if (message === null) {
      channel.close().catch(() => undefined);
      return;
    }
    const incoming = fromRabbit(message, clock());
    if (settled.has(keyOf(incoming)) || deliveries.isDone(incoming)) {
      channel.ack(message);
      return;
    }
    window.add({ incoming, message }, incoming.orderingKey);
    this.#arrival.resolve();
    wake(this.#queueId);
  }
}

/** Whether the broker refused because another connection has the queue (AMQP 0-9-1: 403 for an exclusive consumer). */
function isTaken(error: unknown): boolean {
  return error instanceof Error && ((error as { code?: unknown }).code === 403 || error.message.includes("ACCESS_REFUSED"));
}
