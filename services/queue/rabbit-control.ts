/**
 * How the instances of the service speak with each other, over the broker they share: a delivery is open on one instance's connection, so the
 * others ask that one to settle it; an ordered queue is held by one instance, so the others take from it there.
 *
 * Each instance has a queue of its own that ends with its connection. A request to one that is gone comes back at once.
 */
import { randomUUID } from "node:crypto";
import type { Channel, ChannelModel, ConsumeMessage, Message } from "amqplib";
import type { Logger } from "pino";
import { runWithoutContext } from "#mesh/context.ts";
import { unavailable } from "#mesh/errors.ts";
import { brokerAway } from "./rabbit-connection.ts";

/** What is asked of another instance, and what it answers: values of JSON. */
export type Ask = Readonly<Record<string, unknown>> & { readonly op: string };

/** What it works with. */
export interface ControlOptions {
  /** This instance's id. */
  readonly instance: string;
  readonly prefix: string;
  readonly log: Logger;
  /** Answers what others ask; undefined answers nothing (to a question that went to all). */
  readonly answer: (ask: Ask) => Promise<unknown>;
  /** Hears that a queue may have something to take. */
  readonly onWake: (queueId: string) => void;
}

/** The answer when there is nobody to ask. */
export const gone = Symbol("gone");

/** Milliseconds that another instance has for an answer. */
const askTimeoutMs = 5000;
/** Milliseconds that a question to all waits for answers. */
const pollMs = 150;
/** Milliseconds between two wake-ups for the same queue: in between one stands for all. */
const wakeEveryMs = 5;

/** The instances' exchange of words. */
export class RabbitControl {
  readonly #options: ControlOptions;
  #channel: Channel | undefined;
  readonly #asked = new Map<string, { take(answer: unknown): void }>();
  readonly #waking = new Set<string>();

  constructor(options: ControlOptions) {
    this.#options = options;
  }

  /** Sets up a new connection. */
  async open(model: ChannelModel): Promise<void> {
    const channel = await model.createChannel();
    channel.on("error", (error) => this.#options.log.warn({ err: error }, "the instances' channel failed"));
    channel.on("close", () => {
      if (this.#channel === channel) this.close();
    });
    await channel.assertExchange(this.#all, "fanout", { durable: false, autoDelete: true });
    await channel.assertExchange(this.#holders, "direct", { durable: false, autoDelete: true });
    await channel.assertQueue(this.#own, { exclusive: true, autoDelete: true, durable: false });
    await channel.bindQueue(this.#own, this.#all, "");
    // Keeps the exchange of holders alive as long as anybody is there.
    await channel.bindQueue(this.#own, this.#holders, `instance.${this.#options.instance}`);
    channel.on("return", (message: Message) => this.#asked.get(String(message.properties.correlationId))?.take(gone));
    await channel.consume(this.#own, (message) => message !== null && this.#hear(channel, message), { noAck: true });
    this.#channel = channel;
  }

  /** The connection is gone, and with it every answer that was waited for. */
  close(): void {
    this.#channel = undefined;
    for (const { take } of this.#asked.values()) take(gone);
    this.#asked.clear();
  }

  /** Asks one instance. `gone` when it is not there. @throws UNAVAILABLE when it does not answer. */
  async askInstance(instance: string, ask: Ask): Promise<unknown> {
    return this.#ask(this.#holders, `instance.${instance}`, ask);
  }

  /** Asks the instance that holds an ordered queue. `gone` when none does. */
  async askHolder(queueId: string, ask: Ask): Promise<unknown> {
    return this.#ask(this.#holders, queueId, ask);
  }

  /** Asks all instances, this one too, and answers with what they said within a moment. */
  async askAll(ask: Ask): Promise<unknown[]> {
    const channel = this.#assertOpen();
    const answers: unknown[] = [];
    const id = randomUUID();
    this.#asked.set(id, { take: (answer) => void (answer === gone || answers.push(answer)) });
    channel.publish(this.#all, "", encode(ask), { correlationId: id, replyTo: this.#own });
    await new Promise((resolve) => setTimeout(resolve, pollMs));
    this.#asked.delete(id);
    return answers;
  }

  /** Tells all instances, this one too, that a queue may have something to take. */
  wake(queueId: string): void {
    if (this.#waking.has(queueId)) return;
    this.#waking.add(queueId);
    runWithoutContext(() => {
      setTimeout(() => {
        this.#waking.delete(queueId);
        try {
          this.#channel?.publish(this.#all, "", encode({ op: "wake", queueId }));
        } catch {
          // Closed between two looks: whoever waits looks again by the clock.
        }
      }, wakeEveryMs);
    });
  }

  /** Says that this instance holds an ordered queue, or no longer does. */
  async announceHolder(queueId: string, holds: boolean): Promise<void> {
    const channel = this.#assertOpen();
    if (holds) await channel.bindQueue(this.#own, this.#holders, queueId);
    else await channel.unbindQueue(this.#own, this.#holders, queueId);
  }

  get #all(): string {
    return `${this.#options.prefix}queue.all`;
  }

  get #holders(): string {
    return `${this.#options.prefix}queue.instances`;
  }

  get #own(): string {
    return `${this.#options.prefix}queue.instance.${this.#options.instance}`;
  }

  #assertOpen(): Channel {
    if (this.#channel === undefined) throw brokerAway(new Error("no channel between the instances"));
    return this.#channel;
  }

  async #ask(exchange: string, key: string, ask: Ask): Promise<unknown> {
    const channel = this.#assertOpen();
    const id = randomUUID();
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#asked.set(id, { take: resolve });
    const timer = setTimeout(() => reject(unavailable("another instance did not answer", 1000)), askTimeoutMs);
    try {
      channel.publish(exchange, key, encode(ask), { correlationId: id, replyTo: this.#own, mandatory: true });
      const answer = await promise;
      if (isFailure(answer)) throw unavailable("another instance could not do it", 1000, new Error(answer.failed));
      return answer;
    } finally {
      clearTimeout(timer);
      this.#asked.delete(id);
    }
  }

  #hear(channel: Channel, { content, properties }: ConsumeMessage): void {
    const { correlationId, replyTo } = properties;
    const said: unknown = JSON.parse(content.toString("utf8"));
    if (!isAsk(said)) {
      this.#asked.get(String(correlationId))?.take(said);
      return;
    }
    if (said.op === "wake") {
      this.#options.onWake(String(said.queueId));
      return;
    }
    const reply = (answer: unknown) => {
      if (answer === undefined || this.#channel !== channel) return;
      channel.sendToQueue(String(replyTo), encode(answer), { correlationId });
    };
    this.#options.answer(said).then(reply, (error: unknown) => {
      this.#options.log.debug({ err: error, op: said.op }, "another instance asked in vain");
      reply({ failed: String(error) });
    });
  }
}

function encode(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function isAsk(value: unknown): value is Ask {
  return typeof value === "object" && value !== null && "op" in value;
}

function isFailure(value: unknown): value is { readonly failed: string } {
  return typeof value === "object" && value !== null && "failed" in value;
}
