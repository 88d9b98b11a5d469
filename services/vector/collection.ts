/** A collection, as the service knows it. */
import type { Metric } from "./metric.ts";

/** What makes vectors of its texts. */
export type EmbeddingKind = "built-in" | "remote" | "none";

/** A collection. */
export interface Collection {
  readonly id: string;
  /** A user's id, or `service:<name>`. */
  readonly owner: string;
  readonly name: string;
  readonly dimensions: number;
  readonly metric: Metric;
  readonly embedding: EmbeddingKind;
  readonly model: string;
  /** The number of its last change. */
  readonly change: number;
  /** Up to this change, removals may be forgotten. */
  readonly purgedChange: number;
  readonly itemCount: number;
  readonly createTime: number;
}

/** The collection that is meant when none is named. */
export const defaultName = "default";

/** An item. */
export interface Item {
  readonly id: string;
  readonly text: string;
  /** Empty where it was not asked for. */
  readonly vector: Float32Array;
  /** JSON of an object, or "" for none. */
  readonly metadata: string;
  readonly updateTime: number;
}

/** An item to put in: its vector is as long as the collection's dimensions. */
export type NewItem = Omit<Item, "updateTime">;

/** Single floats, little-endian, as the database has them. */
export function bytesOf(vector: Float32Array): Buffer {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
}

/** The vector in bytes of the database, copied. */
export function vectorOf(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const vector = new Float32Array(bytes.byteLength / 4);
  new Uint8Array(vector.buffer).set(bytes);
  return vector;
}
