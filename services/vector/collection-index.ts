/**
 * The index of one collection, in memory: vectors, graph, words and metadata by slot. Slots are given out in order and never again: a replaced item
 * gets a new one, and its old one is dead.
 *
 * A row can be found as soon as it is applied. The graph takes it in later, bit by bit; rows that it does not have yet are compared with one by
 * one.
 */
import { type Condition, type Metadata, type Predicate, predicateOf } from "./filter.ts";
import { fuse, type Mode } from "./fusion.ts";
import { compareAll, Graph, smallest } from "./graph.ts";
import { Matrix, toUnit } from "./matrix.ts";
import { distanceOf, type Metric, similarityOf } from "./metric.ts";
import type { Row } from "./row.ts";
import { TextIndex } from "./text-index.ts";
import { Top } from "./top.ts";

/** What a collection's vectors are. */
export interface Shape {
  readonly dimensions: number;
  readonly metric: Metric;
}

/** A search. */
export interface Query {
  readonly mode: Mode;
  /** For the modes vector and hybrid. */
  readonly vector: Float32Array<ArrayBuffer> | undefined;
  /** For the modes text and hybrid. */
  readonly text: string;
  readonly topK: number;
  readonly condition: Condition | undefined;
  /** From 0 to 1; for hybrid. */
  readonly textWeight: number;
  readonly effort: number;
  readonly exact: boolean;
}

/** What was found. */
export interface Hit {
  readonly key: number;
  readonly score: number;
  readonly distance: number | undefined;
  readonly textScore: number | undefined;
}

/** Rows that pass a filter below which each is compared with: it takes some milliseconds, and misses nothing. */
const fewRows = 20_000;

/** An index. */
export class CollectionIndex {
  readonly shape: Shape;
  readonly #matrix: Matrix;
  readonly #text = new TextIndex();
  #graph: Graph | undefined;
  readonly #keys: number[] = [];
  readonly #metadata: (Metadata | undefined)[] = [];
  #metadataBytes = 0;
  readonly #live: boolean[] = [];
  readonly #slotOf = new Map<number, number>();

  constructor(shape: Shape) {
    this.shape = shape;
    this.#matrix = new Matrix(shape.dimensions);
  }

  /** Rows that can be found. */
  get rows(): number {
    return this.#slotOf.size;
  }

  /** Slots given out, the dead among them. */
  get slots(): number {
    return this.#matrix.length;
  }

  /** Slots that the graph has still to take in; none where it would be too small to help. */
  get pending(): number {
    return this.slots < smallest ? 0 : this.slots - this.graphSlots;
  }

  /** Slots that the graph covers. */
  get graphSlots(): number {
    return this.#graph?.length ?? 0;
  }

  /** Different words. */
  get terms(): number {
    return this.#text.terms;
  }

  /** Bytes of memory, by estimate. */
  get bytes(): number {
    return this.#matrix.bytes + (this.#graph?.bytes ?? 0) + this.#text.bytes + this.#metadataBytes * 3 + this.slots * 80;
  }

  /** Takes in changes, in their order. */
  apply(rows: Iterable<Row>): void {
    for (const row of rows) {
      this.#kill(row.key);
      if (row.removed) continue;
      const slot = this.#matrix.add(row.vector, this.shape.metric === "cosine");
      this.#slotOf.set(row.key, slot);
      this.#keys.push(row.key);
      this.#live.push(true);
      this.#metadata.push(row.metadata === "" ? undefined : JSON.parse(row.metadata));
      this.#metadataBytes += row.metadata.length;
      this.#text.add(slot, row.words);
    }
  }

  /** Whether the slot's row can be found. */
  isLive(slot: number): boolean {
    return this.#live[slot] === true;
  }

  /** Lets the graph take in up to `count` rows. */
  grow(count: number): void {
    if (this.pending === 0) return;
    this.#graph ??= new Graph(this.#matrix, this.shape.metric);
    this.#graph.grow(count);
  }

  /** The lists of words, for `loadWords`. */
  encodeWords(): Buffer {
    return this.#text.encode();
  }

  /** Takes the lists of the first `slots` rows, before those are applied. */
  loadWords(buffer: ArrayBuffer, slots: number): void {
    this.#text.load(buffer, slots);
  }

  /** Writes the graph to a file. */
  saveGraph(path: string): void {
    this.#graph?.save(path);
  }

  /** Takes the graph from a file. @throws Error when it does not fit. */
  loadGraph(path: string, length: number): void {
    if (length > this.slots) throw new Error(`expected a graph of at most ${this.slots} vectors, got one of ${length}`);
    const graph = new Graph(this.#matrix, this.shape.metric);
    graph.load(path, length);
    this.#graph = graph;
  }

  /** The best rows, best first. */
  search(query: Query): Hit[] {
    const { mode, topK } = query;
    const { passes, passing } = this.#passing(query.condition);
    if (passing === 0) return [];
    const vector = query.vector === undefined || mode === "text" ? undefined : Float32Array.from(query.vector);
    if (vector !== undefined && this.shape.metric === "cosine") toUnit(vector);
    // Each ranking gives more than is asked for, so that what is good in both is seen.
    const depth = mode === "hybrid" ? Math.max(100, topK * 4) : topK;
    const near = vector === undefined ? [] : this.#nearest(vector, depth, query, passes, passing);
    const words = new Top(depth);
    const nearSlots = near.map(({ slot }) => slot);
    const also = mode === "vector" ? new Map<number, number>() : this.#text.search(query.text, passes, words, nearSlots);
    const spoken = words.sorted();
    const similarity = new Map(near.map(({ slot, score }) => [slot, score]));
    if (vector !== undefined) for (const { slot } of spoken) this.#addSimilarity(similarity, slot, vector);
    for (const { slot, score } of spoken) also.set(slot, score);
    const fused = fuse({ mode, topK, textWeight: query.textWeight, similarity, textScores: also });
    return fused.map(({ slot, score }) => {
      const similar = similarity.get(slot);
      return {
        key: this.#keys[slot] ?? 0,
        score,
        distance: similar === undefined ? undefined : this.shape.metric === "squared-euclidean" ? -similar : 1 - similar,
        textScore: also.get(slot),
      };
    });
  }

  #addSimilarity(similarity: Map<number, number>, slot: number, vector: Float32Array): void {
    if (!similarity.has(slot)) similarity.set(slot, this.#similarity(slot, vector));
  }

  #similarity(slot: number, vector: Float32Array): number {
    const { metric } = this.shape;
    return similarityOf(metric, distanceOf(metric, this.#matrix.row(slot), vector));
  }

  /** Which slots may be found, and how many those are. */
  #passing(condition: Condition | undefined): { passes: (slot: number) => boolean; passing: number } {
    if (condition === undefined) return { passes: (slot) => this.#live[slot] === true, passing: this.rows };
    const test: Predicate = predicateOf(condition);
    const pass = new Uint8Array(this.slots);
    let passing = 0;
    for (let slot = 0; slot < pass.length; slot++) {
      if (!this.#live[slot] || !test(this.#metadata[slot])) continue;
      pass[slot] = 1;
      passing++;
    }
    return { passes: (slot) => pass[slot] === 1, passing };
  }

  #nearest(vector: Float32Array, count: number, query: Query, passes: (slot: number) => boolean, passing: number) {
    const { metric } = this.shape;
    const graph = this.#graph;
    const top = new Top(count);
    const dense = this.slots / Math.max(1, passing);
    // So many candidates that enough of them are alive and pass.
    const wanted = Math.ceil(Math.max(query.effort, count * 2) * dense);
    const alone = query.condition !== undefined && passing <= fewRows;
    let from = 0;
    if (graph !== undefined && !query.exact && !alone && wanted < graph.length / 8) {
      for (const slot of graph.nearest(vector, wanted)) if (passes(slot)) top.offer(slot, this.#similarity(slot, vector));
      from = top.bar === Number.NEGATIVE_INFINITY ? 0 : graph.length;
    }
    const fresh = from === 0 ? new Top(count) : top;
    compareAll(this.#matrix, metric, vector, { from, to: this.slots, passes }, fresh, count);
    return fresh.sorted();
  }

  #kill(key: number): void {
    const slot = this.#slotOf.get(key);
    if (slot === undefined) return;
    this.#slotOf.delete(key);
    this.#live[slot] = false;
    const metadata = this.#metadata[slot];
    if (metadata !== undefined) this.#metadataBytes -= JSON.stringify(metadata).length;
    this.#metadata[slot] = undefined;
    this.#text.remove(slot);
  }
}
