/** When a notification is tried again, and when it is given up. Pure: the clock and the dice are parameters. */
import type { Delivery } from "./channel.ts";

/** How often and how soon. */
export interface RetryPolicy {
  /** How many attempts there are at most, the first included. */
  readonly maxAttempts: number;
  /** Milliseconds after the first attempt. */
  readonly initialMs: number;
  /** How much longer each wait is than the one before. */
  readonly factor: number;
  /** The longest wait in milliseconds. */
  readonly maxMs: number;
}

/** What follows from an attempt. */
export type Outcome =
  | { readonly status: "sent" }
  | { readonly status: "pending"; readonly nextAttemptTime: number }
  | { readonly status: "failed"; readonly reason: string };

/**
 * What follows from attempt number `attempt` (from 1) that ended at `now` with `delivery`. `random` is from 0 to 1.
 *
 * A wait is min(initial * factor^(attempt-1), max), times 0.8 to 1.2 so that notifications that failed together do not come back
 * together; a provider's Retry-After makes it longer, never shorter. A next attempt after `expireTime` is none.
 */
export function outcomeOf(
  delivery: Delivery,
  { attempt, expireTime, now, random }: { attempt: number; expireTime: number; now: number; random: number },
  policy: RetryPolicy,
): Outcome {
  if (delivery.ok) return { status: "sent" };
  if (delivery.permanent) return { status: "failed", reason: delivery.detail };
  if (attempt >= policy.maxAttempts) {
    return { status: "failed", reason: `gave up after ${attempts(attempt)}: ${delivery.detail}` };
  }
  const nextAttemptTime = now + Math.max(backoffMs(attempt, random, policy), delivery.retryAfterMs ?? 0);
  if (nextAttemptTime >= expireTime) {
    const reason = `gave up after ${attempts(attempt)}, since the next would come after expire_time: ${delivery.detail}`;
    return { status: "failed", reason };
  }
  return { status: "pending", nextAttemptTime };
}

/** Why a claimed notification is not tried at all: it expired, or its attempts were used up by senders that died. Pure. */
export function refusalOf(
  claimed: { attempt: number; expireTime: number },
  now: number,
  policy: RetryPolicy,
): string | undefined {
  if (claimed.expireTime <= now) return `expired at ${new Date(claimed.expireTime).toISOString()} before it could be sent`;
  if (claimed.attempt > policy.maxAttempts) return `gave up after ${attempts(claimed.attempt - 1)}`;
  return undefined;
}

function backoffMs(attempt: number, random: number, { initialMs, factor, maxMs }: RetryPolicy): number {
  return Math.round(Math.min(initialMs * factor ** (attempt - 1), maxMs) * (0.8 + 0.4 * random));
}

function attempts(count: number): string {
  return count === 1 ? "1 attempt" : `${count} attempts`;
}
