/** The environment that the analytics service reads, beside what every process does. */
import { duration, integer, optionalUrl } from "#mesh/config.ts";

/** By the names that the code uses. */
export const settings = {
  /** Where answers are kept for all instances together: redis://[user:password@]host:port[/database], rediss: for TLS. */
  redisUrl: optionalUrl("REDIS_URL", "redis:", "rediss:"),
  /** How long an answer is kept: what the ledger records meanwhile is not in it. */
  cacheTtl: duration("ANALYTICS_CACHE_TTL", "1m"),
  /** What the answers that a process keeps may take, in MiB. */
  cacheMib: integer("ANALYTICS_CACHE_MIB", 1, 65_536, 64),
  /** How many answers are computed at the same time; others wait. Anomalies takes some 30 MB for a million transactions. */
  concurrency: integer("ANALYTICS_CONCURRENCY", 1, 100, 2),
  /** From how many transactions on a period is refused by anomalies, which holds 24 bytes of each. */
  maxTransactions: integer("ANALYTICS_MAX_TRANSACTIONS", 1000, 100_000_000, 5_000_000),
};
