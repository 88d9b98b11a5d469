/** Step 3: whether there is room for the request: the client's rate, and the gateway's own load. */
import { resourceExhausted, unavailable } from "#mesh/errors.ts";
import { localRateLimiter, type RateLimit, type RateLimiter } from "./rate-limiter.ts";
import { withHttpHeaders } from "./status.ts";

/** Generous: it stops a client that has run away, and no honest one. */
export const defaultRateLimit: RateLimit = { perSecond: 2000, burst: 4000 };

/** How many requests the gateway works on at once before it refuses more. */
export const defaultConcurrency = 10_000;

/** What was admitted: the headers that tell the client its rate (draft-ietf-httpapi-ratelimit-headers-10). */
export type RateHeaders = Readonly<Record<string, string>>;

/** What a request is counted with. */
export interface RateGroup {
  /** The contract; or, for a route with a limit of its own, its method. */
  readonly name: string;
  /** The route's own limit, from `rateLimit` of its service config; undefined: the gateway's. */
  readonly limit?: RateLimit | undefined;
}

/** Admits requests. */
export interface Admission {
  /**
   * Counts a request of `client` to a group, and says what is left.
   *
   * @throws RESOURCE_EXHAUSTED with RetryInfo above the rate; its answer has the headers too.
   */
  rate(client: string, group: RateGroup, now: number): Promise<RateHeaders>;
  /**
   * Takes a place among the requests at work. Call the answer once, when the request is done.
   *
   * @throws UNAVAILABLE with RetryInfo when all places are taken.
   */
  enter(): () => void;
  /** The requests at work. */
  readonly active: number;
}

/** The group of a method's requests: its own when it has a limit of its own, else that of all methods of its contract. */
export function rateGroup(contract: string, method: string, limit: RateLimit | undefined): RateGroup {
  return limit === undefined ? { name: contract } : { name: `${contract}/${method}`, limit };
}

/** An admission with one bucket for each client and group. */
export function createAdmission(
  general: RateLimit = defaultRateLimit,
  concurrency = defaultConcurrency,
  limiter: RateLimiter = localRateLimiter(),
): Admission {
  let active = 0;
  return {
    async rate(client, { name, limit = general }, now) {
      if (limit.perSecond <= 0) return {};
      const { waitMs, remaining, resetSeconds } = await limiter.take(`${name}\n${client}`, limit, now);
      const policy = limit === general ? "default" : name.replaceAll(/[^A-Za-z0-9./_-]/g, "");
      const headers = {
        ratelimit: `"${policy}";r=${remaining};t=${resetSeconds}`,
        "ratelimit-policy": `"${policy}";q=${limit.burst};w=${Math.ceil(limit.burst / limit.perSecond)}`,
      };
      if (waitMs === 0) return headers;
      const message = `rate limit: at most ${limit.perSecond} requests per second, ${limit.burst} at once`;
      throw withHttpHeaders(resourceExhausted(message, waitMs), headers);
    },
    enter() {
      if (active >= concurrency) throw unavailable("the gateway works on as many requests as it can", 1000);
      active++;
      let left = false;
      return () => {
        if (!left) active--;
        left = true;
      };
    },
    get active() {
      return active;
    },
  };
}
