/**
 * Ranking by words: BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009) over an inverted index in memory.
 *
 * Words are known by 32-bit hashes: of 100,000 different ones, one pair or so are taken for each other. Rows that are dead stay in the lists and
 * are passed over.
 */
import type { Top } from "./top.ts";
import { hashOf, singular, wordsOf } from "./words.ts";

/** The words of one row: hashes, how often each is there, and how many words there are in all. */
export interface RowWords {
  readonly hashes: Uint32Array<ArrayBuffer>;
  readonly times: Uint16Array<ArrayBuffer>;
  readonly length: number;
}

/** How fast more of the same word counts less, and how much long texts count less: the customary values. */
const k1 = 1.2;
const b = 0.75;
/** Entries of lists that one search looks at; beyond, the commonest of its words are left out. */
const maxEntries = 500_000;

/** The words of a text. */
export function rowWords(text: string): RowWords {
  const words = wordsOf(text);
  const counts = new Map<number, number>();
  for (const word of words) {
    const hash = hashOf(singular(word));
    counts.set(hash, (counts.get(hash) ?? 0) + 1);
  }
  const times = Uint16Array.from(counts.values(), (count) => Math.min(count, 65_535));
  return { hashes: Uint32Array.from(counts.keys()), times, length: words.length };
}

/** One word's rows. */
interface List {
  slots: Uint32Array<ArrayBuffer>;
  times: Uint16Array<ArrayBuffer>;
  length: number;
}

/** The inverted index. */
export class TextIndex {
  /** By the hash as a signed number, which V8 keeps without an object of its own. */
  readonly #lists = new Map<number, List>();
  #lengths = new Uint32Array(1024);
  /** Rows with words that live, and their words. */
  #rows = 0;
  #words = 0;
  #bytes = 0;
  #scores = new Float32Array(0);
  /** Slots below this were in the lists from the beginning. */
  #loaded = 0;

  /** Different words. */
  get terms(): number {
    return this.#lists.size;
  }

  /** Bytes of memory, by estimate. */
  get bytes(): number {
    return this.#bytes + this.#lists.size * 150 + this.#lengths.byteLength;
  }

  /** Adds the words of a row; rows come in the order of their slots. */
  add(slot: number, { hashes, times, length }: RowWords): void {
    if (slot >= this.#lengths.length) this.#lengths = grown(this.#lengths, slot + 1);
    this.#lengths[slot] = length;
    if (length === 0) return;
    this.#rows++;
    this.#words += length;
    if (slot < this.#loaded) return;
    for (let at = 0; at < hashes.length; at++) this.#append(hashes[at] ?? 0, slot, times[at] ?? 0);
  }

  /**
   * All lists, as `load` takes them: their number u32, then the hash and length u32 of each, then all slots u32, then all times u16, in the
   * machine's order of bytes.
   */
  encode(): Buffer {
    const lists = [...this.#lists];
    const entries = lists.reduce((sum, [, { length }]) => sum + length, 0);
    const buffer = new ArrayBuffer(4 + lists.length * 8 + entries * 6);
    const heads = new Uint32Array(buffer, 0, 1 + lists.length * 2);
    const slots = new Uint32Array(buffer, heads.byteLength, entries);
    const times = new Uint16Array(buffer, heads.byteLength + slots.byteLength, entries);
    heads[0] = lists.length;
    let at = 0;
    for (const [number, [hash, list]] of lists.entries()) {
      heads.set([hash >>> 0, list.length], 1 + number * 2);
      slots.set(list.slots.subarray(0, list.length), at);
      times.set(list.times.subarray(0, list.length), at);
      at += list.length;
    }
    return Buffer.from(buffer);
  }

  /** Takes lists of the first `slots` rows, which are then added without their words: much faster than one by one. */
  load(buffer: ArrayBuffer, slots: number): void {
    const [count = 0] = new Uint32Array(buffer, 0, 1);
    const heads = new Uint32Array(buffer, 4, count * 2);
    const entries = (buffer.byteLength - 4 - heads.byteLength) / 6;
    const allSlots = new Uint32Array(buffer, 4 + heads.byteLength, entries);
    const allTimes = new Uint16Array(buffer, 4 + heads.byteLength + allSlots.byteLength, entries);
    for (let number = 0, at = 0; number < count; number++) {
      const length = heads[number * 2 + 1] ?? 0;
      const list = { slots: allSlots.subarray(at, at + length), times: allTimes.subarray(at, at + length), length };
      this.#lists.set((heads[number * 2] ?? 0) | 0, list);
      at += length;
    }
    this.#bytes = entries * 6;
    this.#loaded = slots;
  }

  /** Says that a row is dead. */
  remove(slot: number): void {
    const length = this.#lengths[slot] ?? 0;
    if (length === 0) return;
    this.#rows--;
    this.#words -= length;
    this.#lengths[slot] = 0;
  }

  /**
   * Offers the BM25 score of each row that has one of the words and passes to `top`, and answers with the scores of the rows `also` that
   * have one. The rarest words come first.
   */
  search(text: string, passes: (slot: number) => boolean, top: Top, also: readonly number[]): Map<number, number> {
    const lists = [...rowWords(text).hashes].flatMap((hash) => this.#lists.get(hash | 0) ?? []);
    lists.sort((one, other) => one.length - other.length);
    const scores = this.#emptyScores();
    const touched: number[] = [];
    const mean = this.#words / Math.max(1, this.#rows);
    let entries = 0;
    for (const list of lists) {
      entries += list.length;
      if (entries > maxEntries && touched.length > 0) break;
      // Lists count the dead too, so that one may be longer than there are rows.
      const rows = Math.max(this.#rows, list.length);
      const rarity = Math.log(1 + (rows - list.length + 0.5) / (list.length + 0.5));
      for (let at = 0; at < list.length; at++) {
        const slot = list.slots[at] ?? 0;
        const length = this.#lengths[slot] ?? 0;
        const times = list.times[at] ?? 0;
        if (length === 0) continue;
        if (scores[slot] === 0) touched.push(slot);
        scores[slot] = (scores[slot] ?? 0) + (rarity * times * (k1 + 1)) / (times + k1 * (1 - b + (b * length) / mean));
      }
    }
    const found = new Map<number, number>();
    for (const slot of also) {
      const score = scores[slot] ?? 0;
      if (score > 0) found.set(slot, score);
    }
    for (const slot of touched) {
      const score = scores[slot] ?? 0;
      if (score >= top.bar && passes(slot)) top.offer(slot, score);
      scores[slot] = 0;
    }
    return found;
  }

  /** A score for each slot, all 0, that is used again and again. */
  #emptyScores(): Float32Array<ArrayBuffer> {
    if (this.#scores.length < this.#lengths.length) this.#scores = new Float32Array(this.#lengths.length);
    return this.#scores;
  }

  #append(hash: number, slot: number, times: number): void {
    let list = this.#lists.get(hash | 0);
    if (list === undefined) {
      list = { slots: new Uint32Array(2), times: new Uint16Array(2), length: 0 };
      this.#lists.set(hash | 0, list);
      this.#bytes += 12;
    }
    if (list.length === list.slots.length) {
      const before = list.slots.length;
      list.slots = grown(list.slots, before + 1);
      list.times = grown(list.times, before + 1);
      this.#bytes += (list.slots.length - before) * 6;
    }
    list.slots[list.length] = slot;
    list.times[list.length++] = times;
  }
}

/** A copy with room for `least`, half as much again as before or more. */
function grown<T extends Uint32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>>(array: T, least: number): T {
  const size = Math.max(least, Math.ceil(array.length * 1.5));
  const next = (array instanceof Uint32Array ? new Uint32Array(size) : new Uint16Array(size)) as T;
  next.set(array);
  return next;
}
