/** Where deliveries come from in a queue without order: a channel that gets as many as are asked for, and no more. */
import type { Channel, GetMessage } from "amqplib";
import type { OpenDeliveries } from "./open-deliveries.ts";
import { type Delivery, maxAnswerWeight, type Queue, weightOf } from "./queue.ts";
import { brokerAway, type RabbitConnection } from "./rabbit-connection.ts";
import { fromRabbit } from "./rabbit-message.ts";

/** What it works with. */
export interface SourceParts {
  readonly connection: RabbitConnection;
  readonly deliveries: OpenDeliveries;
  readonly clock: () => number;
  /** The broker's name of a queue. */
  readonly nameOf: (queueId: string) => string;
  /** Makes a queue that the broker does not know; false when the service does not know it either. */
  readonly restore: (queueId: string) => Promise<boolean>;
}

/** One queue's channel; opened when it is needed, and again when it broke. */
export class RabbitLane {
  readonly #parts: SourceParts;
  #channel: Promise<Channel> | undefined;
  /** When it was last used, in milliseconds since the epoch. */
  usedAt = 0;

  constructor(parts: SourceParts) {
    this.#parts = parts;
  }

  /** Takes up to `max` messages that are ready, as many as fit into an answer. */
  async take(queue: Queue, max: number, visibilityMs: number): Promise<Delivery[]> {
    const { clock, nameOf, restore, deliveries } = this.#parts;
    this.usedAt = clock();
    const channel = await this.#open();
    const taken: Delivery[] = [];
    for (let weight = 0; taken.length < max && weight < maxAnswerWeight; ) {
      let message: GetMessage | false;
      try {
        message = await channel.get(nameOf(queue.id));
      } catch (error) {
        // The broker closes the channel over a queue that it does not know.
        if (isNotFound(error) && (await restore(queue.id))) return [];
        throw brokerAway(error);
      }
      if (message === false) break;
      const delivery = this.#deliver(queue, channel, message, clock() + visibilityMs);
      if (delivery !== undefined) taken.push(delivery);
      weight += weightOf(delivery?.data ?? "");
      if (message.fields.messageCount === 0) break;
    }
    // The channel may have broken in between: those that it brought are lost with it.
    return taken.filter(({ token }) => deliveries.isOpen(token));
  }

  /** Closes the channel. The broker gives what is open on it to others. */
  async close(): Promise<void> {
    const channel = this.#channel;
    this.#channel = undefined;
    await channel?.then((open) => open.close()).catch(() => undefined);
  }

  #deliver(queue: Queue, channel: Channel, message: GetMessage, visibleTime: number): Delivery | undefined {
    const { deliveries, clock } = this.#parts;
    const handle = { done: () => channel.ack(message), keep: undefined, channel };
    const delivery = deliveries.add(queue, fromRabbit(message, clock()), handle, visibleTime);
    if (delivery === undefined) channel.ack(message);
    return delivery;
  }

  #open(): Promise<Channel> {
    if (this.#channel !== undefined) return this.#channel;
    let opened: Channel | undefined;
    const forget = () => {
      if (this.#channel === channel) this.#channel = undefined;
      this.#parts.deliveries.lose(opened);
    };
    const channel = this.#parts.connection.channel(forget).then((open) => {
      opened = open;
      return open;
    });
    channel.catch(forget);
    this.#channel = channel;
    return channel;
  }
}

/** Whether the broker closed the channel because there is no such queue (AMQP 0-9-1: 404). */
export function isNotFound(error: unknown): boolean {
  return error instanceof Error && ((error as { code?: unknown }).code === 404 || error.message.includes("NOT_FOUND"));
}
