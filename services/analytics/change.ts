/** How values compare. Pure. */

/** How a value changed from one period to another. */
export interface Change {
  readonly previous: bigint;
  readonly difference: bigint;
  /** Undefined when `previous` is 0. */
  readonly ratio: number | undefined;
}

/** The change to `value`. */
export function changeOf(value: bigint, previous: bigint): Change {
  const difference = value - previous;
  return { previous, difference, ratio: ratioOf(difference, previous < 0n ? -previous : previous) };
}

/** a / b in double precision; undefined unless b is above 0. */
export function ratioOf(a: bigint, b: bigint): number | undefined {
  return b > 0n ? Number(a) / Number(b) : undefined;
}
