/** The environment that says how requests are served, of the platform's gateway and of one that stands alone. */
import { duration, flag, integer, list, oneOf, text, type Values } from "#mesh/config.ts";
import { dutySettings } from "./duty-settings.ts";
import type { GatewayOptions } from "./gateway-options.ts";

/** The settings. */
export const servingSettings = {
  /** The address to bind; empty: HEDDLE_HOST, or 127.0.0.1 for a gateway that stands alone. */
  gatewayHost: text("GATEWAY_HOST", ""),
  /** Origins whose pages may call, separated by commas; `*` for every one. */
  gatewayCorsOrigins: list("GATEWAY_CORS_ORIGINS"),
  /** How many proxies stand in front; so many entries of X-Forwarded-For are believed. */
  gatewayTrustedHops: integer("GATEWAY_TRUSTED_HOPS", 0, 100, 0),
  /** Requests per second for each client and contract; 0 for no limit. */
  gatewayRateLimit: integer("GATEWAY_RATE_LIMIT", 0, 1_000_000, 2000),
  /** Requests at once after a pause. */
  gatewayRateBurst: integer("GATEWAY_RATE_BURST", 1, 1_000_000, 4000),
  /** Bytes of a request's body, 4 MiB unless it says otherwise. */
  gatewayMaxBodyBytes: integer("GATEWAY_MAX_BODY_BYTES", 1, 2 ** 30, 4 * 2 ** 20),
  /** How long a body may take to arrive. */
  gatewayBodyTimeoutMs: duration("GATEWAY_BODY_TIMEOUT", "30s"),
  /** Between signs of life of a silent event stream, and how long a first message is waited for before the answer's head goes out. */
  gatewayHeartbeatMs: duration("GATEWAY_HEARTBEAT", "15s"),
  /** Skips what the contract does not know in queries and bodies, in place of refusing it. */
  gatewayLenient: flag("GATEWAY_LENIENT", false),
  /** Serves `/openapi.json` and `/docs`. */
  gatewayDocs: flag("GATEWAY_DOCS", true),
  /** Which percent escapes stay in path variables of several segments: %2F, all reserved characters', or none. */
  multiSegment: oneOf("GATEWAY_MULTI_SEGMENT", ["slash", "reserved", "all"], "slash"),
  /** Whether a slash at the end of a path makes it another one. */
  trailingSlash: oneOf("GATEWAY_TRAILING_SLASH", ["refuse", "ignore"], "refuse"),
  ...dutySettings,
};

/** What a gateway with these settings is made with, but for its duties. */
export function servingOptions(config: Values<typeof servingSettings>) {
  return {
    cors: { origins: config.gatewayCorsOrigins },
    rateLimit: { perSecond: config.gatewayRateLimit, burst: config.gatewayRateBurst },
    trustedHops: config.gatewayTrustedHops,
    maxBodyBytes: config.gatewayMaxBodyBytes,
    bodyTimeoutMs: config.gatewayBodyTimeoutMs,
    lenient: config.gatewayLenient,
    docs: config.gatewayDocs,
    streams: { heartbeatMs: config.gatewayHeartbeatMs },
    templates: { matching: { multiSegment: config.multiSegment, trailingSlash: config.trailingSlash } },
  } satisfies Partial<GatewayOptions>;
}
