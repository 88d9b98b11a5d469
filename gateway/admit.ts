/** Step 3: whether there is room for the request: the client's rate, and the gateway's own load. */
import { LRUCache } from "lru-cache";
import { resourceExhausted, unavailable } from "#mesh/errors.ts";
import { TokenBucket } from "./token-bucket.ts";

/** How many requests one client may send to one group of routes. */
export interface RateLimit {
  /** Requests per second in the long run; 0: no limit. */
  readonly perSecond: number;
  /** Requests at once after a pause. */
  readonly burst: number;
}

/** Generous: it stops a client that has run away, and no honest one. */
export const defaultRateLimit: RateLimit = { perSecond: 2000, burst: 4000 };

/** How many requests the gateway works on at once before it refuses more. */
export const defaultConcurrency = 10_000;

/** What was admitted: the headers that tell the client its rate (draft-ietf-httpapi-ratelimit-headers). */
export type RateHeaders = Readonly<Record<string, string>>;

/** Admits requests. */
export interface Admission {
  /**
   * Counts a request of `client` to `group`, and says what is left.
   *
   * @throws RESOURCE_EXHAUSTED with RetryInfo above the rate.
   */
  rate(client: string, group: string, now: number): RateHeaders;
  /**
   * Takes a place among the requests at work. Call the answer once, when the request is done.
   *
   * @throws UNAVAILABLE with RetryInfo when all places are taken.
   */
  enter(): () => void;
  /** The requests at work. */
  readonly active: number;
}

/** An admission with one bucket for each client and group, the least recently seen forgotten first. */
export function createAdmission(limit: RateLimit = defaultRateLimit, concurrency = defaultConcurrency): Admission {
  const buckets = new LRUCache<string, TokenBucket>({ max: 50_000 });
  let active = 0;
  return {
    rate(client, group, now) {
      if (limit.perSecond <= 0) return {};
      const key = `${group}\n${client}`;
      let bucket = buckets.get(key);
      if (bucket === undefined) {
        bucket = new TokenBucket(limit.perSecond, limit.burst, now);
        buckets.set(key, bucket);
      }
      const waitMs = bucket.take(now);
      if (waitMs > 0)
        throw resourceExhausted(`rate limit: at most ${limit.perSecond} requests per second, ${limit.burst} at once`, waitMs);
      return {
        ratelimit: `"default";r=${bucket.remaining};t=${bucket.resetSeconds}`,
        "ratelimit-policy": `"default";q=${limit.burst};w=${Math.ceil(limit.burst / limit.perSecond)}`,
      };
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
