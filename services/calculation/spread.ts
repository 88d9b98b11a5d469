/** Mean and squared deviations of outcomes so far, which can be put together. Pure. */

/** Of so many finite outcomes. */
export interface Spread {
  readonly count: number;
  readonly mean: number;
  /** The sum of squared deviations from the mean. */
  readonly squares: number;
}

/** Of none. */
export const nothing: Spread = { count: 0, mean: 0, squares: 0 };

/** Of the finite ones among these (Welford). */
export function spreadOf(outcomes: Float64Array): Spread {
  let [count, mean, squares] = [0, 0, 0];
  for (const value of outcomes) {
    if (!Number.isFinite(value)) continue;
    count++;
    const step = value - mean;
    mean += step / count;
    squares += step * (value - mean);
  }
  return { count, mean, squares };
}

/** Of both (Chan, Golub and LeVeque). */
export function together(a: Spread, b: Spread): Spread {
  const count = a.count + b.count;
  if (count === 0) return nothing;
  const step = b.mean - a.mean;
  const part = b.count / count;
  return { count, mean: a.mean + step * part, squares: a.squares + b.squares + step * step * a.count * part };
}

/** The standard error of the mean; undefined for fewer than two. */
export function standardErrorOf({ count, squares }: Spread): number | undefined {
  return count < 2 ? undefined : Math.sqrt(squares / (count - 1) / count);
}
