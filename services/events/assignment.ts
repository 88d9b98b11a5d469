/** Which partitions a member of a consumer group should give up and take. Pure. */

/** Who reads a partition. */
export interface Claim {
  readonly partition: number;
  /** Undefined when nobody does. */
  readonly member: string | undefined;
}

/** What a member does next. */
export interface Move {
  readonly release: readonly number[];
  readonly take: readonly number[];
}

/**
 * The move of `me` towards fair shares: with p partitions and n members each has p/n, rounded down, and the first p mod n members, in
 * the order of `members`, one more. A member that has too many gives up the highest; one that has too few takes what is free. What
 * it has besides it keeps, so that little moves. When all members move in turn, in any order, every partition is read in the end.
 *
 * @param members the living ones, the longest first.
 */
export function nextMove(members: readonly string[], claims: readonly Claim[], me: string): Move {
  const index = members.indexOf(me);
  const share = index < 0 ? 0 : Math.floor(claims.length / members.length) + (index < claims.length % members.length ? 1 : 0);
  const own = claims.filter(({ member }) => member === me).map(({ partition }) => partition);
  if (own.length >= share) return { release: own.toSorted((a, b) => a - b).slice(share), take: [] };
  const free = claims.filter(({ member }) => member === undefined || !members.includes(member));
  const take = free.map(({ partition }) => partition).toSorted((a, b) => a - b);
  return { release: [], take: take.slice(0, share - own.length) };
}
