/** When repeated failures lock a sign-in out, and for how long. Pure: the clock is a parameter. */

/** How patient we are. */
export interface LockoutPolicy {
  /** This many failures are free; the lock begins with the last of them. */
  readonly threshold: number;
  /** Milliseconds of the first lock; each failure after it doubles it. */
  readonly baseMs: number;
  /** Milliseconds that a lock lasts at most. */
  readonly maxMs: number;
  /** Milliseconds without a failure after which the count starts anew. */
  readonly forgetMs: number;
}

/** What is stored of one key (an account, an address, a signed-in user). Times in ms since the epoch. */
export interface Attempts {
  readonly failures: number;
  readonly lastTime: number;
  readonly lockedUntil: number | undefined;
}

/** What becomes of an attempt: let through, counted as a failure until it is known to be none; or refused until then. */
export type Verdict =
  | { readonly allowed: true; readonly next: Attempts }
  | { readonly allowed: false; readonly retryAfterMs: number };

/**
 * Judges one attempt before it is made. It is counted in advance, so that a thousand at the same time are a thousand; one that turns out
 * right is taken back.
 */
export function judge(now: number, before: Attempts | undefined, policy: LockoutPolicy): Verdict {
  const lockedUntil = before?.lockedUntil ?? 0;
  if (lockedUntil > now) return { allowed: false, retryAfterMs: lockedUntil - now };
  const fresh = before === undefined || now - before.lastTime >= policy.forgetMs;
  const failures = (fresh ? 0 : before.failures) + 1;
  const lockMs = lockMsAfter(failures, policy);
  return { allowed: true, next: { failures, lastTime: now, lockedUntil: lockMs === 0 ? undefined : now + lockMs } };
}

/** Milliseconds of the lock that the n-th failure brings; 0 below the threshold. */
export function lockMsAfter(failures: number, policy: LockoutPolicy): number {
  if (failures < policy.threshold) return 0;
  return Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(failures - policy.threshold, 40));
}
