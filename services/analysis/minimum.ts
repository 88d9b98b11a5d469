/** The least value of a function on the unit cube. Pure. */

/**
 * Where `f` of `size` numbers from 0 to 1 is least, as far as can be seen: the simplex of Nelder and Mead from the three best places of a
 * grid. The same function always gives the same place.
 */
export function minimum(f: (at: readonly number[]) => number, size: number): number[] {
  const value = (at: readonly number[]) => {
    const found = f(at);
    return Number.isNaN(found) ? Number.POSITIVE_INFINITY : found;
  };
  const starts = grid(size).map((at) => ({ at, value: value(at) }));
  starts.sort((a, b) => a.value - b.value);
  const ends = starts.slice(0, 3).map(({ at }) => descend(value, at));
  return (ends.reduce((a, b) => (b.value < a.value ? b : a)) as Place).at;
}

interface Place {
  readonly at: number[];
  readonly value: number;
}

/** The first parameter, of the level, must not be 0. */
const steps = [0.02, 0.1, 0.3, 0.6, 0.95];

function grid(size: number): number[][] {
  return size === 0 ? [[]] : grid(size - 1).flatMap((rest) => steps.map((step) => [...rest, step]));
}

function descend(f: (at: readonly number[]) => number, start: readonly number[]): Place {
  const clamped = (at: readonly number[]): Place => {
    const inside = at.map((one) => Math.min(1, Math.max(1e-9, one)));
    return { at: inside, value: f(inside) };
  };
  let best: Place = clamped(start);
  // A simplex may go flat at a wall: it is set up anew where it ended until that brings nothing.
  for (let round = 0; round < 6; round++) {
    const before = best.value;
    const corners = best.at.map((_, axis) => best.at.map((one, i) => (i === axis ? one + (one > 0.5 ? -0.1 : 0.1) : one)));
    best = simplex(clamped, [best, ...corners.map(clamped)]);
    if (before - best.value <= 1e-13 * Math.abs(before)) break;
  }
  return best;
}

function simplex(evaluate: (at: readonly number[]) => Place, corners: Place[]): Place {
  const size = corners.length - 1;
  for (let step = 0; step < 400; step++) {
    corners.sort((a, b) => a.value - b.value);
    const [best, worst] = [corners[0] as Place, corners[size] as Place];
    if (Math.max(...worst.at.map((one, i) => Math.abs(one - (best.at[i] as number)))) < 1e-10) break;
    const middle = best.at.map((_, i) => corners.slice(0, size).reduce((sum, { at }) => sum + (at[i] as number), 0) / size);
    const along = (factor: number) => evaluate(middle.map((one, i) => one + factor * ((worst.at[i] as number) - one)));
    const mirrored = along(-1);
    if (mirrored.value < best.value) {
      const further = along(-2);
      corners[size] = further.value < mirrored.value ? further : mirrored;
    } else if (mirrored.value < (corners[size - 1] as Place).value) corners[size] = mirrored;
    else {
      const nearer = mirrored.value < worst.value ? along(-0.5) : along(0.5);
      if (nearer.value < Math.min(worst.value, mirrored.value)) corners[size] = nearer;
      else
        for (let i = 1; i <= size; i++)
          corners[i] = evaluate((corners[i] as Place).at.map((one, j) => (one + (best.at[j] as number)) / 2));
    }
  }
  return corners.reduce((a, b) => (b.value < a.value ? b : a));
}
