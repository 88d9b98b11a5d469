/** Answers in Redis, for all instances. While Redis is away or slow, each instance keeps its own alone. */
import { createClient, RESP_TYPES } from "@redis/client";
import type { Logger } from "#mesh/telemetry/log.ts";
import type { SharedStore } from "./answer-cache.ts";

/** What the store needs. */
export interface RedisStoreOptions {
  /** `redis://[user:password@]host:port[/database]`, or `rediss:` for TLS. */
  readonly url: string;
  readonly log: Logger;
  /** Milliseconds that an answer waits for Redis. Default 100. */
  readonly timeoutMs?: number;
}

/** How long Redis is left alone after it did not answer in time, in milliseconds. */
const restMs = 1000;

/** Starts to connect; nothing is waited for. Disposing closes the connection. */
export function redisStore({ url, log, timeoutMs = 100 }: RedisStoreOptions): SharedStore & AsyncDisposable {
  const client = createClient({
    url,
    // What cannot be sent at once is computed instead.
    disableOfflineQueue: true,
    socket: { connectTimeout: 2000, reconnectStrategy: (tries) => Math.min(50 * 2 ** tries, 2000) },
  });
  const bytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  let away = false;
  let restUntil = 0;

  function lost(error: unknown): void {
    if (!away) log.warn({ err: error }, "Redis is away: answers are kept by each instance alone");
    away = true;
  }

  client.on("error", lost);
  client.on("ready", () => {
    if (away) log.info("Redis is back: answers are kept for all instances");
    away = false;
    restUntil = 0;
  });
  client.connect().catch(lost);

  function usable(): boolean {
    return client.isReady && performance.now() >= restUntil;
  }

  return {
    async get(key) {
      if (!usable()) return undefined;
      try {
        return (await within(bytes.get(key), timeoutMs)) ?? undefined;
      } catch (error) {
        restUntil = performance.now() + restMs;
        lost(error);
        return undefined;
      }
    },
    put(key, value, ttlMs) {
      if (usable()) bytes.set(key, Buffer.from(value), { expiration: { type: "PX", value: ttlMs } }).catch(lost);
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
    },
  };
}

async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`expected an answer within ${ms} ms`)), ms);
  });
  // Whichever comes second has nobody who waits for it.
  work.catch(() => {});
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
