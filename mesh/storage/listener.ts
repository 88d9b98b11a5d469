/** LISTEN over one connection that is made again whenever it breaks. */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Logger } from "pino";

interface Subscription {
  readonly channel: string;
  readonly hear: (payload: string) => void;
  readonly reconnected: (() => void) | undefined;
}

/** The channels that a process listens to. Connects with the first one. */
export class Listener {
  readonly #options: pg.ClientConfig;
  readonly #log: Logger;
  readonly #subscriptions = new Set<Subscription>();
  #client: pg.Client | undefined;
  #running: Promise<void> | undefined;
  readonly #closing = new AbortController();
  #wake = new AbortController();

  constructor(options: pg.ClientConfig, log: Logger) {
    this.#options = options;
    this.#log = log;
  }

  /** Settles when the server listens; when it is away, at once, and `onReconnect` tells when it does. */
  async listen(channel: string, hear: (payload: string) => void, onReconnect?: () => void): Promise<AsyncDisposable> {
    const subscription: Subscription = { channel, hear, reconnected: onReconnect };
    this.#subscriptions.add(subscription);
    if (this.#running === undefined) {
      const first = Promise.withResolvers<void>();
      this.#running = this.#run(first.resolve);
      await first.promise;
    } else {
      // A failure ends the connection, and the next one listens to all channels.
      await this.#client?.query(`listen ${pg.escapeIdentifier(channel)}`).catch(() => undefined);
    }
    return { [Symbol.asyncDispose]: () => this.#forget(subscription) };
  }

  /** Ends the wait between two attempts: the database is known to be back. */
  reconnectNow(): void {
    this.#wake.abort();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#wake.abort();
    await this.#client?.end().catch(() => undefined);
    await this.#running;
  }

  async #forget(subscription: Subscription): Promise<void> {
    this.#subscriptions.delete(subscription);
    if ([...this.#subscriptions].some(({ channel }) => channel === subscription.channel)) return;
    await this.#client?.query(`unlisten ${pg.escapeIdentifier(subscription.channel)}`).catch(() => undefined);
  }

  async #run(firstTry: () => void): Promise<void> {
    const { signal } = this.#closing;
    for (let attempt = 1; !signal.aborted; attempt++) {
      const ended = Promise.withResolvers<void>();
      try {
        await this.#connect(ended.resolve);
      } catch (error) {
        this.#log.debug({ err: error }, "cannot listen to the database");
        firstTry();
        this.#wake = new AbortController();
        if (!signal.aborted)
          await sleep(250 + Math.random() * 250, undefined, { signal: this.#wake.signal }).catch(() => undefined);
        continue;
      }
      if (attempt > 1) for (const { reconnected } of [...this.#subscriptions]) this.#guarded(() => reconnected?.());
      firstTry();
      await ended.promise;
      this.#client = undefined;
      if (!signal.aborted) this.#log.warn("the database connection that listens was lost");
    }
  }

  async #connect(onEnd: () => void): Promise<void> {
    // A connection that listens idles for ever, and only keep-alive shows that it died.
    const client = new pg.Client({ ...this.#options, statement_timeout: 5000 });
    client.on("error", onEnd);
    client.on("end", onEnd);
    client.on("notification", ({ channel, payload }) => {
      for (const subscription of [...this.#subscriptions]) {
        if (subscription.channel === channel) this.#guarded(() => subscription.hear(payload ?? ""));
      }
    });
    try {
      await client.connect();
      this.#client = client;
      // Those that subscribe from here on send their own LISTEN.
      for (const channel of new Set([...this.#subscriptions].map((subscription) => subscription.channel))) {
        await client.query(`listen ${pg.escapeIdentifier(channel)}`);
      }
      if (this.#closing.signal.aborted) await client.end();
    } catch (error) {
      this.#client = undefined;
      await client.end().catch(() => undefined);
      throw error;
    }
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#log.error({ err: error }, "a listener of a database channel failed");
    }
  }
}
