/** What the gateway does beside transcoding, put together: cache, stats, batch, the way to a monolith. */

import type { RateHeaders } from "./admit.ts";
import { answerBatch, type BatchOptions } from "./batch.ts";
import type { Endpoint } from "./endpoints.ts";
import type { Exchange } from "./exchange.ts";
import { createGatewayStats, type GatewayStats } from "./gateway-stats.ts";
import { type Monolith, type MonolithOptions, openMonolith } from "./monolith.ts";
import { parsePathTemplate } from "./path-template.ts";
import type { Target } from "./plan.ts";
import type { RateLimiter } from "./rate-limiter.ts";
import { type CacheOptions, createResponseCache, type ResponseCache } from "./response-cache.ts";
import type { RouteEntry, RouteMatch } from "./router.ts";

/** The options of the duties; a gateway without any of them has every duty but the monolith. */
export interface DutyOptions {
  /** Bytes of all answers in the cache. Default 64 MiB. */
  readonly cacheBytes?: number;
  /** Undefined: there is none. */
  readonly monolith?: MonolithOptions;
  /** Counts rates. Default: this process alone. */
  readonly rateLimiter?: RateLimiter;
  /** True: answers hold the fields that have their default too, unless a request says otherwise. Default false. */
  readonly emitDefaults?: boolean;
}

/** The duties of one gateway. */
export interface Duties extends AsyncDisposable {
  readonly cache: ResponseCache;
  readonly stats: GatewayStats;
  readonly monolith: Monolith | undefined;
  /**
   *     POST /api/v1/batch          public; each request in it is checked for itself
   *     GET  /api/v1/gateway/stats  operators
   */
  readonly endpoints: readonly RouteEntry<Endpoint>[];
}

/** Makes them. */
export async function openDuties(options: DutyOptions, batch: BatchOptions, cache: CacheOptions): Promise<Duties> {
  const clock = cache.clock ?? Date.now;
  const stats = createGatewayStats(clock);
  const kept = createResponseCache(options.cacheBytes === undefined ? cache : { ...cache, maxBytes: options.cacheBytes });
  const monolith = options.monolith === undefined ? undefined : await openMonolith(options.monolith);
  return {
    cache: kept,
    stats,
    monolith,
    endpoints: [
      entry("POST", "/api/v1/batch", {
        access: "public",
        takesBody: true,
        answer: (_, { exchange }) => answerBatch(exchange, batch),
      }),
      entry("GET", "/api/v1/gateway/stats", {
        access: "operator",
        answer: () => ({ status: 200, json: { ...stats.report(), cache: kept.counts() } }),
      }),
    ],
    async [Symbol.asyncDispose]() {
      await monolith?.[Symbol.asyncDispose]();
    },
  };
}

/** What the monolith's requests count as. */
export const monolithGroup = { name: "monolith" };

/**
 * Passes a request on when it is the monolith's; false: it is for the services, or for nobody.
 *
 * A path under a prefix that no service has, or not with this HTTP method, is the monolith's; of those that a service has, a
 * share. OPTIONS is answered here, for the paths that exist here.
 *
 * @param admit counts the request
 */
export async function passToMonolith(
  monolith: Monolith | undefined,
  exchange: Exchange,
  found: RouteMatch<Target>,
  admit: () => Promise<RateHeaders>,
): Promise<boolean> {
  if (monolith === undefined || found.kind === "malformed") return false;
  if (found.kind === "other-methods" && exchange.httpMethod === "OPTIONS") return false;
  if (found.kind === "found" && found.entry.target.kind === "own") return false;
  if (!(found.kind === "found" ? monolith.takesKnown(exchange) : monolith.takesUnknown(exchange.path))) return false;
  exchange.route = "monolith";
  Object.assign(exchange.headers, await admit());
  await monolith.answer(exchange);
  return true;
}

function entry(httpMethod: string, template: string, target: Endpoint): RouteEntry<Endpoint> {
  return { httpMethod, template: parsePathTemplate(template), target, owner: "the gateway" };
}
