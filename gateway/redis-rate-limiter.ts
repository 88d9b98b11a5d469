/**
 * A rate limiter that all gateways share, in Redis. One script reads, counts and writes a bucket, so that no two gateways can
 * take the same token, and by Redis's own clock, so that theirs need not agree.
 *
 * While Redis is away or slow each gateway counts alone: a limit that is too generous for a while is better than no service.
 * `heddle.gateway.rate_limit.fallback` counts such requests, and the log says when it begins and when it ends.
 */

import type { Meter } from "@opentelemetry/api";
import { createClient } from "@redis/client";
import type { Logger } from "#mesh/telemetry/log.ts";
import { localRateLimiter, type RateLimiter, type Taken } from "./rate-limiter.ts";

/** What the limiter needs. */
export interface RedisRateLimiterOptions {
  /** `redis://[user:password@]host:port[/database]`, or `rediss:` for TLS. */
  readonly url: string;
  readonly log: Logger;
  readonly meter: Meter;
  /** Milliseconds that a request waits for Redis before it is counted here. Default 100. */
  readonly timeoutMs?: number;
}

/** How long Redis is left alone after it did not answer in time, in milliseconds. */
const restMs = 1000;

/** Starts to connect; nothing is waited for. Disposing closes the connection. */
export function redisRateLimiter({ url, log, meter, timeoutMs = 100 }: RedisRateLimiterOptions): RateLimiter & AsyncDisposable {
  const local = localRateLimiter();
  const fallbacks = meter.createCounter("heddle.gateway.rate_limit.fallback", {
    description: "Requests whose rate was counted by this gateway alone, since Redis did not answer",
  });
  const client = createClient({
    url,
    // What cannot be sent at once is counted here instead; a queue would only make requests wait.
    disableOfflineQueue: true,
    socket: { connectTimeout: 2000, reconnectStrategy: (tries) => Math.min(50 * 2 ** tries, 2000) },
  });
  let away = false;
  let restUntil = 0;

  function lost(error: unknown): void {
    if (!away) log.warn({ err: error }, "Redis is away: rates are counted by each gateway alone");
    away = true;
  }

  client.on("error", lost);
  client.on("ready", () => {
    if (away) log.info("Redis is back: rates are counted by all gateways together");
    away = false;
    restUntil = 0;
  });
  client.connect().catch(lost);

  async function ask(key: string, perSecond: number, burst: number): Promise<Taken> {
    const call = client.eval(script, { keys: [`heddle:rate:${key}`], arguments: [String(perSecond), String(burst)] });
    const [waitMs = 0, remaining = 0, resetSeconds = 0] = (await within(call, timeoutMs)) as number[];
    return { waitMs, remaining, resetSeconds };
  }

  return {
    async take(key, limit, now) {
      if (client.isReady && performance.now() >= restUntil) {
        try {
          return await ask(`${limit.perSecond}/${limit.burst}:${key}`, limit.perSecond, limit.burst);
        } catch (error) {
          restUntil = performance.now() + restMs;
          lost(error);
        }
      }
      fallbacks.add(1);
      return local.take(key, limit, now);
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
    },
  };
}

/** Thousandths of tokens, so that whole milliseconds at a whole rate add up exactly; the same sums as token-bucket.ts. */
const script = `
local rate, full = tonumber(ARGV[1]), tonumber(ARGV[2]) * 1000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local bucket = redis.call('HMGET', KEYS[1], 'level', 'at')
local level, at = tonumber(bucket[1]) or full, tonumber(bucket[2]) or now
level = math.min(full, level + math.max(0, now - at) * rate)
local wait = 0
if level >= 1000 then level = level - 1000 else wait = math.ceil((1000 - level) / rate) end
redis.call('HSET', KEYS[1], 'level', level, 'at', math.max(now, at))
redis.call('PEXPIRE', KEYS[1], math.ceil(full / rate) + 1000)
return { wait, math.floor(level / 1000), math.ceil((full - level) / rate / 1000) }
`;

async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`expected an answer within ${ms} ms`)), ms);
  });
  // Whichever comes second has nobody who waits for it.
  work.catch(() => {});
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
