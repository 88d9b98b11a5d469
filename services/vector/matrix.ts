/** The vectors of a collection in memory, by slot: rows that are added and never changed. */

/** Rows in a piece of memory: pieces are added as rows come, and none is ever copied. */
export const chunkRows = 1024;

/** Rows of single floats. */
export class Matrix {
  readonly dimensions: number;
  readonly #chunks: Float32Array<ArrayBuffer>[] = [];
  #length = 0;

  constructor(dimensions: number) {
    this.dimensions = dimensions;
  }

  /** How many rows there are. */
  get length(): number {
    return this.#length;
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#chunks.length * chunkRows * this.dimensions * 4;
  }

  /** Adds a row, scaled to length 1 when `unit` says so (one of zeros stays), and answers with its slot. */
  add(row: ArrayLike<number>, unit: boolean): number {
    const slot = this.#length++;
    if (slot % chunkRows === 0) this.#chunks.push(new Float32Array(chunkRows * this.dimensions));
    const at = this.row(slot);
    at.set(row);
    if (unit) toUnit(at);
    return slot;
  }

  /** A view of a row. */
  row(slot: number): Float32Array<ArrayBuffer> {
    return this.rows(slot, 1);
  }

  /** A view of rows that lie in one piece: `first` to `first + count`, at most to the next multiple of chunkRows. */
  rows(first: number, count: number): Float32Array<ArrayBuffer> {
    const chunk = this.#chunks[Math.floor(first / chunkRows)];
    if (chunk === undefined) throw new RangeError(`there is no row ${first}`);
    const at = (first % chunkRows) * this.dimensions;
    return chunk.subarray(at, at + count * this.dimensions);
  }
}

/** Scales a vector to length 1 in place; zeros stay. Large numbers do not overflow, since the sum is a double. */
export function toUnit(vector: Float32Array): void {
  let square = 0;
  for (const value of vector) square += value * value;
  if (square === 0) return;
  const scale = 1 / Math.sqrt(square);
  for (let at = 0; at < vector.length; at++) vector[at] = (vector[at] ?? 0) * scale;
}
