/** What the index of a collection is made of: the changes of its items, in their order. */
import type { RowWords } from "./text-index.ts";

/** Where the changes of a collection have been read up to: a change's number, and the key of the last item of it that was read. */
export interface Position {
  readonly change: number;
  readonly key: number;
}

/** The position before all changes. */
export const start: Position = { change: 0, key: 0 };

/** An item as indexes know it. */
export interface LiveRow {
  readonly key: number;
  readonly removed: false;
  readonly vector: Float32Array;
  readonly words: RowWords;
  /** JSON of an object, or "" for none. */
  readonly metadata: string;
}

/** An item that was put in or replaced, or one that was removed. */
export type Row = LiveRow | { readonly key: number; readonly removed: true };
