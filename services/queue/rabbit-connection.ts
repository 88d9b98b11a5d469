/** The connection to RabbitMQ, made again whenever it breaks. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Channel, type ChannelModel, connect } from "amqplib";
import type { Logger } from "pino";
import { runWithoutContext } from "#mesh/context.ts";
import { unavailable } from "#mesh/errors.ts";

/** What makes it. */
export interface RabbitConnectionOptions {
  readonly url: URL;
  readonly log: Logger;
  /** Sets up what the connection needs, before anybody else gets it. */
  readonly onOpen: (model: ChannelModel) => Promise<void>;
  /** Hears that it broke, after all its channels did. */
  readonly onLost: () => void;
}

/** Seconds between heartbeats: a broker that hangs is given up after two of them. */
const heartbeatSeconds = 5;
/** Milliseconds that one attempt to connect may take. */
const connectTimeoutMs = 5000;

/** A connection that mends itself. */
export class RabbitConnection implements AsyncDisposable {
  readonly #options: RabbitConnectionOptions;
  readonly #stop = new AbortController();
  #model: ChannelModel | undefined;
  #reason: unknown = new Error("not connected yet");
  readonly #running: Promise<void>;
  readonly #first = Promise.withResolvers<void>();

  constructor(options: RabbitConnectionOptions) {
    this.#options = options;
    this.#running = runWithoutContext(() => this.#run());
  }

  /** Settles after the first attempt to connect, however that went. */
  async firstAttempt(): Promise<void> {
    await this.#first.promise;
  }

  /** What is wrong with the connection; undefined when it stands. */
  get reason(): string | undefined {
    if (this.#model !== undefined) return undefined;
    return this.#reason instanceof Error
      ? this.#reason.message || String((this.#reason as { code?: unknown }).code)
      : String(this.#reason);
  }

  /** A channel that is told when it closes. @throws UNAVAILABLE while the broker is away. */
  async channel(onClose: () => void): Promise<Channel> {
    return this.open((model) => model.createChannel(), onClose);
  }

  /** As channel(), with another kind of channel. */
  async open<C extends Channel>(create: (model: ChannelModel) => Promise<C>, onClose: () => void): Promise<C> {
    const model = this.#model;
    if (model === undefined) throw brokerAway(this.#reason);
    try {
      const channel = await create(model);
      channel.on("error", (error) => this.#options.log.debug({ err: error }, "a channel to RabbitMQ failed"));
      channel.on("close", onClose);
      return channel;
    } catch (error) {
      throw brokerAway(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#model?.close().catch(() => undefined);
    await this.#running;
  }

  async #run(): Promise<void> {
    const { url, log, onOpen, onLost } = this.#options;
    const { signal } = this.#stop;
    const target = new URL(url);
    if (!target.searchParams.has("heartbeat")) target.searchParams.set("heartbeat", String(heartbeatSeconds));
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const model = await connect(target.href, { timeout: connectTimeoutMs, keepAlive: true, noDelay: true });
        const closed = Promise.withResolvers<void>();
        model.on("error", (error) => {
          this.#reason = error;
        });
        model.on("close", () => closed.resolve());
        await onOpen(model);
        this.#model = model;
        attempt = 0;
        this.#first.resolve();
        if (signal.aborted) await model.close();
        await closed.promise;
        this.#model = undefined;
        onLost();
        if (!signal.aborted) log.warn({ err: this.#reason }, "the connection to RabbitMQ was lost");
      } catch (error) {
        this.#reason = error;
        log.debug({ err: error }, "cannot connect to RabbitMQ");
      }
      this.#first.resolve();
      await sleep(Math.min(2000, 100 * 2 ** attempt) * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
    }
  }
}

/** UNAVAILABLE: the broker is away, or went away in the middle of it. */
export function brokerAway(cause: unknown): Error {
  return unavailable("RabbitMQ is away", 1000, cause);
}
