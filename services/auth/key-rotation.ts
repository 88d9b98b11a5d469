/** Which signing key is used, which are published, and when the next one is due. Pure: the clock is a parameter. */

/** What the plan needs to know of a key. */
export interface KeyTimes {
  readonly kid: string;
  /** From when on it signs, in ms since the epoch. */
  readonly startTime: number;
}

/** In milliseconds. */
export interface RotationPolicy {
  /** How long a key signs. */
  readonly signForMs: number;
  /** How long a key is published before it signs, so that verifiers know it when the first token comes. */
  readonly publishAheadMs: number;
  /** How long the longest token lives, and a margin for clocks that differ. */
  readonly tokenLifetimeMs: number;
}

/** What to do now. */
export interface KeyPlan<K extends KeyTimes> {
  /** The key that signs; undefined only before there is any. */
  readonly signer: K | undefined;
  /** What verifiers may see: the signer first, then those whose tokens have not all ended, then the next one. */
  readonly published: readonly K[];
  /** Those that no token can depend on any more. */
  readonly outdated: readonly K[];
  /** A key is due that starts to sign then; undefined when none is. */
  readonly createToStartAt: number | undefined;
}

/** Sorts the keys at time `now`. */
export function planKeys<K extends KeyTimes>(keys: readonly K[], policy: RotationPolicy, now: number): KeyPlan<K> {
  const sorted = keys.toSorted((a, b) => b.startTime - a.startTime || (a.kid < b.kid ? 1 : -1));
  const upcoming = sorted.filter(({ startTime }) => startTime > now);
  const [signer, ...old] = sorted.slice(upcoming.length);
  // An old key signed until the next one started.
  const nextStart = new Map(sorted.slice(1).map((key, index) => [key, sorted[index]?.startTime ?? now]));
  const isOutdated = (key: K) => (nextStart.get(key) ?? now) + policy.tokenLifetimeMs <= now;
  return {
    signer,
    published: [...(signer === undefined ? [] : [signer]), ...old.filter((key) => !isOutdated(key)), ...upcoming],
    outdated: old.filter(isOutdated),
    createToStartAt: upcoming.length > 0 ? undefined : dueAt(signer, policy, now),
  };
}

function dueAt(signer: KeyTimes | undefined, policy: RotationPolicy, now: number): number | undefined {
  if (signer === undefined) return now;
  if (now < signer.startTime + policy.signForMs - policy.publishAheadMs) return undefined;
  return Math.max(signer.startTime + policy.signForMs, now + policy.publishAheadMs);
}
