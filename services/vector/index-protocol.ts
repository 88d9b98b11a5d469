/** What the process and the thread of its indexes say to each other. */
import type { Hit, Query, Shape } from "./collection-index.ts";
import type { Position } from "./row.ts";

/** A change of an item, before its words are known. */
export interface ItemChange {
  readonly key: number;
  readonly removed: boolean;
  readonly text: string;
  /** JSON of an object, or "" for none. */
  readonly metadata: string;
}

/** How an index stands. */
export interface IndexState {
  readonly rows: number;
  readonly pending: number;
  readonly terms: number;
  readonly bytes: number;
  readonly position: Position;
  /** What was wrong with its files when it was opened. */
  readonly damage: string | undefined;
}

/** What can be asked of the thread, by name: what is given, and what is answered. */
export interface Calls {
  /** Opens an index with its files; one that is open stays as it is. */
  open: { given: { id: string; path: string; shape: Shape; upTo: number }; answer: IndexState };
  /** Takes in changes; the vectors of those that are not removed stand behind each other. */
  apply: {
    given: { id: string; changes: readonly ItemChange[]; vectors: Float32Array<ArrayBuffer>; position: Position };
    answer: IndexState;
  };
  /** Empties an index. */
  clear: { given: { id: string }; answer: IndexState };
  search: { given: { id: string; query: Query }; answer: readonly Hit[] };
  state: { given: { id: string }; answer: IndexState };
  /** Closes an index, with its files kept or removed. */
  close: { given: { id: string; remove: boolean }; answer: undefined };
  /** Saves and closes all. */
  end: { given: Record<string, never>; answer: undefined };
}

/** A question. */
export interface Asked<K extends keyof Calls = keyof Calls> {
  readonly number: number;
  readonly call: K;
  readonly given: Calls[K]["given"];
}

/** Its answer. */
export interface Answered {
  readonly number: number;
  readonly answer?: unknown;
  /** What went wrong. */
  readonly error?: string;
}
