/** The graph of near neighbours (HNSW) over the rows of a matrix: usearch, which knows rows by their slots. */
import usearch from "usearch";
import type { Matrix } from "./matrix.ts";
import { chunkRows } from "./matrix.ts";
import { kernelOf, type Metric } from "./metric.ts";
import type { Top } from "./top.ts";

/** Neighbours of a node, and candidates that are looked at when one is added. */
const connectivity = 16;
const expansionAdd = 128;
/** Rows below which comparing with each is as fast. */
export const smallest = 4096;

/** The graph covers the slots from 0 up to `length`; rows that are dead stay in it. */
export class Graph {
  readonly #matrix: Matrix;
  readonly #metric: Metric;
  readonly #index;
  #length = 0;

  constructor(matrix: Matrix, metric: Metric) {
    this.#matrix = matrix;
    this.#metric = metric;
    this.#index = new usearch.Index({
      dimensions: matrix.dimensions,
      metric: kernelOf(metric) as never,
      // Half floats find the way as well as singles where all lengths are 1; others may be out of their range.
      quantization: (metric === "cosine" ? "f16" : "f32") as never,
      connectivity,
      expansion_add: expansionAdd,
      expansion_search: 64,
      multi: false,
    });
  }

  /** How many slots it covers. */
  get length(): number {
    return this.#length;
  }

  /** Bytes of memory, by estimate. */
  get bytes(): number {
    return this.#length * (this.#matrix.dimensions * (this.#metric === "cosine" ? 2 : 4) + connectivity * 2 * 4 + 64);
  }

  /** Takes in up to `count` rows more. */
  grow(count: number): void {
    const first = this.#length;
    const most = Math.min(count, this.#matrix.length - first, chunkRows - (first % chunkRows));
    if (most <= 0) return;
    const keys = BigUint64Array.from({ length: most }, (_, at) => BigInt(first + at));
    this.#index.add(keys, this.#matrix.rows(first, most), 1);
    this.#length += most;
  }

  /** The slots of about the `count` nearest rows, in no promised order. */
  nearest(query: Float32Array, count: number): number[] {
    if (this.#length === 0) return [];
    const { keys } = this.#index.search(query, Math.min(count, this.#length), 1);
    return Array.from(keys, Number);
  }

  /** Writes it to a file. */
  save(path: string): void {
    this.#index.save(path);
  }

  /** Reads it from a file that was written when it covered `length` slots. @throws Error when the file is of something else. */
  load(path: string, length: number): void {
    this.#index.load(path);
    if (this.#index.size() !== length || this.#index.dimensions() !== this.#matrix.dimensions) {
      throw new Error(`expected a graph of ${length} vectors, got one of ${this.#index.size()}`);
    }
    this.#length = length;
  }
}

/**
 * Offers the similarities of rows to `top`, comparing with each: slots `from` to `to` of those that `passes` lets through. Rows are compared by the
 * library in pieces, of which those with gaps are copied together first.
 */
export function compareAll(
  matrix: Matrix,
  metric: Metric,
  query: Float32Array,
  range: { readonly from: number; readonly to: number; readonly passes: (slot: number) => boolean },
  top: Top,
  size: number,
): void {
  const { dimensions } = matrix;
  let scratch: Float32Array<ArrayBuffer> | undefined;
  const slots: number[] = [];
  for (let first = range.from; first < range.to; ) {
    const end = Math.min(range.to, first + chunkRows - (first % chunkRows));
    slots.length = 0;
    for (let slot = first; slot < end; slot++) if (range.passes(slot)) slots.push(slot);
    if (slots.length > 0) {
      let rows = matrix.rows(first, end - first);
      if (slots.length < end - first) {
        scratch ??= new Float32Array(chunkRows * dimensions);
        for (let at = 0; at < slots.length; at++) scratch.set(matrix.row(slots[at] ?? 0), at * dimensions);
        rows = scratch.subarray(0, slots.length * dimensions);
      }
      const count = Math.min(size, slots.length);
      const found = usearch.exactSearch(rows, query, dimensions, count, kernelOf(metric) as never, 1);
      for (let at = 0; at < count; at++) {
        const slot = slots[Number(found.keys[at])];
        const distance = found.distances[at];
        if (slot !== undefined && distance !== undefined)
          top.offer(slot, metric === "squared-euclidean" ? -distance : 1 - distance);
      }
    }
    first = end;
  }
}
