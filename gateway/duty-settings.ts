/** The environment of the gateway's duties, and what it makes of them. */
import type { Meter } from "@opentelemetry/api";
import { duration, flag, integer, list, optionalUrl, type Values } from "#mesh/config.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import type { DutyOptions } from "./duties.ts";
import { redisRateLimiter } from "./redis-rate-limiter.ts";

/** The settings. */
export const dutySettings = {
  /** Writes fields that hold their default too, where a request does not say otherwise. */
  emitDefaults: flag("GATEWAY_EMIT_DEFAULTS", false),
  /** Bytes of all answers in the response cache, 64 MiB unless it says otherwise. */
  cacheBytes: integer("GATEWAY_CACHE_BYTES", 1, 2 ** 34, 64 * 2 ** 20),
  /** Counts rates in Redis, for all gateways together. */
  redisUrl: optionalUrl("REDIS_URL", "redis:", "rediss:"),
  /** The monolith that answers what no service does yet. */
  monolithUrl: optionalUrl("MONOLITH_URL", "http:", "https:"),
  /** Path prefixes that are the monolith's, separated by commas; all paths when there are none. */
  monolithPrefixes: list("MONOLITH_PREFIXES"),
  /** Of the clients that ask for paths which services have too: so many of a hundred go to the monolith. */
  monolithPercent: integer("MONOLITH_PERCENT", 0, 100, 0),
  /** How long the monolith may take to begin its answer, and between two pieces of it. */
  monolithTimeoutMs: duration("MONOLITH_TIMEOUT", "30s"),
};

/** The duties of a gateway with these settings. What they open is closed by `undo`. */
export function dutyOptions(
  config: Values<typeof dutySettings> & { readonly gatewayTrustedHops: number },
  { log, meter, undo }: { log: Logger; meter: Meter; undo: AsyncDisposableStack },
): DutyOptions {
  const { emitDefaults, cacheBytes, redisUrl, monolithUrl, monolithPrefixes, monolithPercent, monolithTimeoutMs } = config;
  const prefixes =
    monolithPrefixes.length === 0 ? ["/"] : monolithPrefixes.map((prefix) => (prefix.startsWith("/") ? prefix : `/${prefix}`));
  const monolith = { prefixes, percent: monolithPercent, timeoutMs: monolithTimeoutMs, trustedHops: config.gatewayTrustedHops };
  return {
    emitDefaults,
    cacheBytes,
    ...(redisUrl === undefined ? {} : { rateLimiter: undo.use(redisRateLimiter({ url: redisUrl.href, log, meter })) }),
    ...(monolithUrl === undefined ? {} : { monolith: { ...monolith, url: monolithUrl } }),
  };
}
