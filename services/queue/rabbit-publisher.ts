/** Publishing to RabbitMQ: settles when the broker has every message on disk. */
import type { ConfirmChannel, Options } from "amqplib";
import { unavailable } from "#mesh/errors.ts";
import { brokerAway, type RabbitConnection } from "./rabbit-connection.ts";

/** One message on its way. */
export interface Outgoing {
  readonly content: Buffer;
  readonly properties: Options.Publish;
}

/** Milliseconds that the broker has to confirm. */
const confirmTimeoutMs = 10_000;

/** A channel in confirm mode, opened when it is needed. */
export class RabbitPublisher {
  readonly #connection: RabbitConnection;
  #channel: Promise<ConfirmChannel> | undefined;
  /** The `appId`s of messages that the broker returned, since there is no such queue. */
  readonly #returned = new Set<string>();
  #count = 0;

  constructor(connection: RabbitConnection) {
    this.#connection = connection;
  }

  /**
   * Publishes messages in order, straight to a queue, to be kept through restarts of the broker.
   *
   * Answers with those that the broker returned because there is no such queue: none is lost without a word.
   *
   * @throws UNAVAILABLE when a message was not confirmed: it may have been stored, or not.
   */
  async publish(queue: string, messages: readonly Outgoing[]): Promise<Outgoing[]> {
    const channel = await this.#open();
    const confirms = messages.map((message) => {
      const { promise, resolve, reject } = Promise.withResolvers<Outgoing | undefined>();
      // The broker sends a returned message back before it confirms it; the number tells which one it was.
      const number = String(this.#count++);
      const options = { ...message.properties, persistent: true, mandatory: true, appId: number };
      channel.publish("", queue, message.content, options, (error) => {
        if (error) reject(brokerAway(error));
        else resolve(this.#returned.delete(number) ? message : undefined);
      });
      return promise;
    });
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(unavailable("RabbitMQ did not confirm in time", 1000)), confirmTimeoutMs);
    try {
      const settled = await Promise.race([Promise.allSettled(confirms), late.promise]);
      return settled.flatMap((one) => {
        if (one.status === "rejected") throw one.reason;
        return one.value ?? [];
      });
    } finally {
      clearTimeout(timer);
    }
  }

  async #open(): Promise<ConfirmChannel> {
    if (this.#channel === undefined) {
      const forget = () => {
        this.#channel = undefined;
      };
      this.#channel = this.#connection.open((model) => model.createConfirmChannel(), forget);
      const channel = await this.#channel.catch((error: unknown) => {
        forget();
        throw error;
      });
      channel.on("return", ({ properties }) => this.#returned.add(String(properties.appId)));
    }
    return this.#channel;
  }
}
