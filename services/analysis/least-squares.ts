/** Least squares by Householder's QR. Pure. */

/** The fit of a response by columns. */
export interface Fit {
  /** For each column its coefficient; NaN when it depends on the columns before it. */
  readonly coefficients: Float64Array;
  /** For each column what its coefficient's variance is of that of the residuals; NaN as above. */
  readonly leverages: Float64Array;
  /** For each column the sum of squares that it adds to those before it; 0 when it depends on them. */
  readonly sequential: Float64Array;
  /** How many columns have a coefficient. */
  readonly rank: number;
  readonly fitted: Float64Array;
  readonly residuals: Float64Array;
}

/** A column counts as one that depends on those before it when so little of its length is left without them; R's choice. */
const tolerance = 1e-7;

/** Fits `y` by `columns`, all of one length; they are left as they are. */
export function leastSquares(columns: readonly Float64Array[], y: Float64Array): Fit {
  const work = columns.map((column) => column.slice());
  const pivots = triangle(work);
  const reflected = y.slice();
  for (const [row, at] of pivots.entries()) reflect(work[at] as Float64Array, row, reflected);
  const upper = (row: number, column: number) => factorAt(work, pivots, row, column);
  let solution = solve(upper, reflected, pivots.length);

  // One step of refinement: what the residuals say about the coefficients' own rounding.
  const residuals = residualsOf(columns, pivots, solution, y);
  const again = residuals.slice();
  for (const [row, at] of pivots.entries()) reflect(work[at] as Float64Array, row, again);
  const better = solve(upper, again, pivots.length);
  solution = solution.map((value, at) => value + (better[at] as number));

  const coefficients = new Float64Array(columns.length).fill(Number.NaN);
  const leverages = new Float64Array(columns.length).fill(Number.NaN);
  const sequential = new Float64Array(columns.length);
  const variances = inverseSquares(upper, pivots.length);
  for (const [row, at] of pivots.entries()) {
    coefficients[at] = solution[row] as number;
    leverages[at] = variances[row] as number;
    sequential[at] = (reflected[row] as number) ** 2;
  }
  const left = residualsOf(columns, pivots, solution, y);
  return {
    coefficients,
    leverages,
    sequential,
    rank: pivots.length,
    residuals: left,
    fitted: y.map((v, i) => v - (left[i] as number)),
  };
}

/**
 * Turns the columns, in place, into reflections and what is left above them, and says which were used, in order. A used column holds its
 * reflection's vector from its row on; `diagonals` beside it holds R's diagonal.
 */
const diagonals = new WeakMap<Float64Array, { diagonal: number; scale: number }>();

function triangle(work: readonly Float64Array[]): number[] {
  const lengths = work.map((column) => Math.sqrt(squares(column, 0)));
  const pivots: number[] = [];
  for (const [at, column] of work.entries()) {
    const row = pivots.length;
    if (row >= column.length) continue;
    const norm = Math.sqrt(squares(column, row));
    if (!(norm > tolerance * (lengths[at] as number))) continue;
    const head = column[row] as number;
    const diagonal = head > 0 ? -norm : norm;
    column[row] = head - diagonal;
    diagonals.set(column, { diagonal, scale: norm * (norm + Math.abs(head)) });
    for (const next of work.slice(at + 1)) reflect(column, row, next);
    pivots.push(at);
  }
  return pivots;
}

/** Applies the reflection that `vector` holds from `row` on. */
function reflect(vector: Float64Array, row: number, target: Float64Array): void {
  const { scale = 1 } = diagonals.get(vector) ?? {};
  let product = 0;
  for (let i = row; i < vector.length; i++) product += (vector[i] as number) * (target[i] as number);
  const factor = product / scale;
  for (let i = row; i < vector.length; i++) target[i] = (target[i] as number) - factor * (vector[i] as number);
}

function factorAt(work: readonly Float64Array[], pivots: readonly number[], row: number, column: number): number {
  const vector = work[pivots[column] as number] as Float64Array;
  return row === column ? (diagonals.get(vector)?.diagonal ?? Number.NaN) : (vector[row] as number);
}

function solve(upper: (row: number, column: number) => number, right: Float64Array, rank: number): Float64Array {
  const solution = new Float64Array(rank);
  for (let row = rank - 1; row >= 0; row--) {
    let value = right[row] as number;
    for (let column = row + 1; column < rank; column++) value -= upper(row, column) * (solution[column] as number);
    solution[row] = value / upper(row, row);
  }
  return solution;
}

/** The diagonal of (R'R)^-1: the squares of the rows of R^-1. */
function inverseSquares(upper: (row: number, column: number) => number, rank: number): Float64Array {
  const sums = new Float64Array(rank);
  for (let unit = 0; unit < rank; unit++) {
    const right = new Float64Array(rank);
    right[unit] = 1;
    const column = solve(upper, right, rank);
    for (let row = 0; row <= unit; row++) sums[row] = (sums[row] as number) + (column[row] as number) ** 2;
  }
  return sums;
}

function residualsOf(columns: readonly Float64Array[], pivots: readonly number[], solution: Float64Array, y: Float64Array) {
  const left = y.slice();
  for (const [row, at] of pivots.entries()) {
    const column = columns[at] as Float64Array;
    const coefficient = solution[row] as number;
    for (let i = 0; i < left.length; i++) left[i] = (left[i] as number) - coefficient * (column[i] as number);
  }
  return left;
}

function squares(values: Float64Array, from: number): number {
  let sum = 0;
  for (let at = from; at < values.length; at++) sum += (values[at] as number) ** 2;
  return sum;
}
