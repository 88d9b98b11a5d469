/** Counts requests against a rate: in this process, or in Redis for all gateways together. */
import { LRUCache } from "lru-cache";
import { TokenBucket } from "./token-bucket.ts";

/** How many requests one client may send to one group of routes. */
export interface RateLimit {
  /** Requests per second in the long run; 0: no limit. */
  readonly perSecond: number;
  /** Requests at once after a pause. */
  readonly burst: number;
}

/** What became of one request. */
export interface Taken {
  /** 0: it may go on; otherwise the milliseconds until one may. */
  readonly waitMs: number;
  /** How many more may come at once now. */
  readonly remaining: number;
  /** Whole seconds until `burst` may come at once again. */
  readonly resetSeconds: number;
}

/** Counts. Everything under one key shares one bucket. */
export interface RateLimiter {
  /** Takes one from the bucket of a key. It does not throw. */
  take(key: string, limit: RateLimit, now: number): Taken | Promise<Taken>;
}

/** How many buckets one process keeps: the least recently used are forgotten, which is to say full again. */
const maxBuckets = 50_000;

/** A limiter of this process alone. */
export function localRateLimiter(): RateLimiter {
  const buckets = new LRUCache<string, TokenBucket>({ max: maxBuckets });
  return {
    take(key, { perSecond, burst }, now) {
      // A limit that changes while the gateway runs begins with new buckets.
      const id = `${perSecond}/${burst}\n${key}`;
      let bucket = buckets.get(id);
      if (bucket === undefined) {
        bucket = new TokenBucket(perSecond, burst, now);
        buckets.set(id, bucket);
      }
      const waitMs = bucket.take(now);
      return { waitMs, remaining: bucket.remaining, resetSeconds: bucket.resetSeconds };
    },
  };
}
