/** Round numbers that span a range. Pure. */

/** A bin becomes wider by choice: its width may be this much nearer to what was asked for in the smaller unit. */
const bias = 1.5;
const biasOfFive = 0.5 + 1.5 * bias;

/**
 * Equally spaced numbers that are 1, 2 or 5 times a power of ten apart, about `n` steps from at most `low` to at least `high` (pretty of R,
 * with at least one step).
 */
export function pretty(low: number, high: number, n: number): number[] {
  const span = high - low;
  const largest = Math.max(Math.abs(low), Math.abs(high));
  const relative = (1 + (biasOfFive >= 1.5 * bias + 0.5 ? 1 / (1 + bias) : 1.5 / (1 + biasOfFive))) * Math.max(1, n);
  const tiny = span < largest * relative * Number.EPSILON * 3;
  let cell = span / Math.max(1, n);
  if (span === 0 && high === 0) cell = 0.75;
  else if (tiny) cell = (largest > 10 ? 9 + largest / 10 : largest) * 0.75;
  const base = 10 ** Math.floor(Math.log10(cell));
  let unit = base;
  if (2 * base - cell < bias * (cell - unit)) {
    unit = 2 * base;
    if (5 * base - cell < biasOfFive * (cell - unit)) {
      unit = 5 * base;
      if (10 * base - cell < bias * (cell - unit)) unit = 10 * base;
    }
  }
  const slack = 1e-10;
  let first = Math.floor(low / unit + slack);
  let last = Math.ceil(high / unit - slack);
  while (first * unit > low + slack * unit) first--;
  while (last * unit < high - slack * unit) last++;
  if (last === first) last++;
  return Array.from({ length: last - first + 1 }, (_, at) => multiple(first + at, unit));
}

/** Units below 1 are divided by their inverse, which is exact where they are not: 3 / 10, not 3 * 0.1. */
function multiple(count: number, unit: number): number {
  const inverse = Math.round(1 / unit);
  return unit < 1 && Math.abs(inverse * unit - 1) < 1e-12 ? count / inverse : count * unit;
}
