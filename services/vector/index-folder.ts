/**
 * The index of one collection with its files:
 *
 *     rows.log     every row, as it was applied (row-log.ts)
 *     graph        the graph over the first rows of it, written now and then
 *     words        the lists of words of the first rows, written with it
 *     *.json       how many rows that is, and the file's bytes and CRC-32
 *
 * Files that are missing or damaged cost time, nothing else: rows come from the database again, and the graph from the rows.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { crc32 } from "node:zlib";
import { CollectionIndex, type Shape } from "./collection-index.ts";
import type { Position, Row } from "./row.ts";
import { RowLog } from "./row-log.ts";

/** Rows that the graph takes in in one step, of some milliseconds. */
const stepRows = 8;
/** Dead slots from which on it is worth making the index anew without them, when they are also a third of all. */
const deadRows = 5000;

/** What a saved file holds: of how many slots, and how it is known again. */
interface Note {
  readonly slots: number;
  readonly bytes: number;
  readonly crc: number;
}

/** An index that keeps itself in a folder. */
export class IndexFolder {
  readonly #path: string;
  readonly #shape: Shape;
  #index: CollectionIndex;
  #log: RowLog;
  #saved = 0;
  #compaction:
    | { readonly folder: IndexFolder; readonly rest: Iterator<readonly Row[]>; slot: number; readonly end: number }
    | undefined;

  /** What was wrong with the files, for the log of the service; undefined when nothing was. */
  damage: string | undefined;

  /** Opens the folder, reading what is in it. `upTo`: files that know of later changes are of another database, and are begun anew. */
  constructor(path: string, shape: Shape, upTo = Number.POSITIVE_INFINITY) {
    this.#path = path;
    this.#shape = shape;
    rmSync(`${path}.next`, { recursive: true, force: true });
    mkdirSync(path, { recursive: true });
    this.#index = new CollectionIndex(shape);
    this.#log = new RowLog(join(path, "rows.log"), shape.dimensions);
    if (!this.#read()) {
      // The lists of words are of rows that the log does not have.
      this.#dropSaved();
      this.#log.close();
      this.#index = new CollectionIndex(shape);
      this.#log = new RowLog(join(path, "rows.log"), shape.dimensions);
      this.#read();
    }
    if (this.#log.position.change > upTo) {
      this.#clear();
      this.damage = "rows.log knows of changes that the database does not have";
    }
    this.#loadGraph();
  }

  /** The index. */
  get index(): CollectionIndex {
    return this.#index;
  }

  /** What it has taken in. */
  get position(): Position {
    return this.#log.position;
  }

  /** Whether there is work for `step`. */
  get busy(): boolean {
    return this.#index.pending > 0 || this.#compaction !== undefined;
  }

  /** Slots that the saved graph lacks. */
  get unsaved(): number {
    return this.#index.graphSlots - this.#saved;
  }

  /** Takes in changes. */
  apply(rows: readonly Row[], position: Position): void {
    this.#log.append(rows, position);
    this.#index.apply(rows);
    this.#compaction?.folder.apply(rows, position);
    const dead = this.#index.slots - this.#index.rows;
    if (this.#compaction === undefined && dead > deadRows && dead > this.#index.slots / 3) this.#beginCompaction();
  }

  /** A few milliseconds of what is to be done besides: for the graph, or for the index that will take this one's place. */
  step(): void {
    if (this.#compaction !== undefined) this.#compact();
    else this.#index.grow(stepRows);
  }

  /** Writes the graph and the lists of words to their files. */
  save(): void {
    const slots = this.#index.graphSlots;
    if (slots === 0) return;
    const graph = join(this.#path, "graph");
    this.#index.saveGraph(`${graph}.new`);
    finishSave(graph, slots);
    const words = join(this.#path, "words");
    writeFileSync(`${words}.new`, this.#index.encodeWords());
    finishSave(words, this.#index.slots);
    this.#saved = slots;
  }

  /** Begins anew, with nothing. */
  clear(): void {
    this.#clear();
  }

  /** Closes the files; with `remove` it takes them away too. */
  close(remove = false): void {
    this.#compaction?.folder.close(true);
    this.#log.close();
    if (remove) rmSync(this.#path, { recursive: true, force: true });
  }

  #clear(): void {
    this.#log.close();
    this.#compaction?.folder.close(true);
    this.#compaction = undefined;
    rmSync(this.#path, { recursive: true, force: true });
    mkdirSync(this.#path, { recursive: true });
    this.#index = new CollectionIndex(this.#shape);
    this.#log = new RowLog(join(this.#path, "rows.log"), this.#shape.dimensions);
    this.#saved = 0;
  }

  /** Reads the words and the log. False when the words are of more rows than the log has. */
  #read(): boolean {
    const words = join(this.#path, "words");
    const note = this.#checked(words);
    if (note !== undefined) {
      const { buffer, byteOffset, byteLength } = readFileSync(words);
      this.#index.loadWords(buffer.slice(byteOffset, byteOffset + byteLength), note.slots);
    }
    const size = statSync(join(this.#path, "rows.log")).size;
    for (const rows of this.#log.read()) this.#index.apply(rows);
    if (this.#log.bytes < size) {
      this.damage = `rows.log is damaged at byte ${this.#log.bytes}`;
      this.#log.cut();
    }
    return note === undefined || note.slots <= this.#index.slots;
  }

  #loadGraph(): void {
    const path = join(this.#path, "graph");
    const note = this.#checked(path);
    try {
      if (note === undefined) return;
      this.#index.loadGraph(path, note.slots);
      this.#saved = note.slots;
    } catch (error) {
      this.damage ??= `graph cannot be read: ${error instanceof Error ? error.message : String(error)}`;
      // Once there are as many rows again it would seem to fit.
      this.#dropSaved();
    }
  }

  /** The note of a saved file, when the file is as it was saved: what reads it trusts it. */
  #checked(path: string): Note | undefined {
    if (!existsSync(`${path}.json`)) return undefined;
    try {
      const note: Note = JSON.parse(readFileSync(`${path}.json`, "utf8"));
      if (statSync(path).size !== note.bytes || crcOf(path) !== note.crc) throw new Error("its checksum is another");
      return note;
    } catch (error) {
      this.damage ??= `${basename(path)} cannot be read: ${error instanceof Error ? error.message : String(error)}`;
      return undefined;
    }
  }

  #dropSaved(): void {
    for (const file of ["graph.json", "graph", "words.json", "words"]) rmSync(join(this.#path, file), { force: true });
    this.#saved = 0;
  }

  #beginCompaction(): void {
    const folder = new IndexFolder(`${this.#path}.next`, this.#shape);
    folder.clear();
    const reader = new RowLog(join(this.#path, "rows.log"), this.#shape.dimensions);
    const blocks = reader.read(this.#log.bytes);
    const rest = {
      next() {
        const block = blocks.next();
        if (block.done === true) reader.close();
        return block;
      },
    };
    this.#compaction = { folder, rest, slot: 0, end: this.#index.slots };
  }

  /** Copies the next block's rows that live still; after the last, waits for the graph and takes the other's place. */
  #compact(): void {
    const compaction = this.#compaction;
    if (compaction === undefined) return;
    const { folder, rest } = compaction;
    const block = compaction.slot < compaction.end ? rest.next() : { done: true as const, value: undefined };
    if (block.done !== true) {
      const live = block.value.filter((row) => !row.removed && this.#index.isLive(compaction.slot++));
      if (live.length > 0) folder.apply(live, this.position);
      return;
    }
    compaction.slot = compaction.end;
    folder.step();
    if (folder.busy) return;
    this.#log.close();
    rmSync(this.#path, { recursive: true, force: true });
    renameSync(`${this.#path}.next`, this.#path);
    this.#index = folder.#index;
    this.#log = folder.#log;
    this.#saved = 0;
    this.#compaction = undefined;
  }
}

/** Puts a new file in the place of the old one, with its note. A kill between the two leaves a file without a note, which is not read. */
function finishSave(path: string, slots: number): void {
  const note: Note = { slots, bytes: statSync(`${path}.new`).size, crc: crcOf(`${path}.new`) };
  rmSync(`${path}.json`, { force: true });
  renameSync(`${path}.new`, path);
  writeFileSync(`${path}.json`, JSON.stringify(note));
}

/** The CRC-32 of a file, read in pieces. */
function crcOf(path: string): number {
  const file = openSync(path, "r");
  try {
    const piece = Buffer.alloc(2 ** 20);
    let crc = 0;
    for (;;) {
      const length = readSync(file, piece);
      if (length === 0) return crc;
      crc = crc32(piece.subarray(0, length), crc);
    }
  } finally {
    closeSync(file);
  }
}
