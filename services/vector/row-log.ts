/**
 * The rows of a collection in a file, in the order in which they came, so that a restart reads them from there. The database has the truth: what
 * is damaged here is read anew from it, so nothing waits for the disk.
 *
 *     file    = block*
 *     block   = magic u32, payload bytes u32, CRC-32 of all that follows u32, rows u32, change f64, key f64, payload
 *     payload = row*
 *     row     = key f64, removed u32, word count u32, different words u32, metadata bytes u32,
 *               vector f32*, hashes u32*, times u16*, metadata, zeros up to a multiple of 4
 *
 * all little-endian; a removed row ends after its six numbers.
 */
import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { Position, Row } from "./row.ts";
import { start } from "./row.ts";

const magic = 0x31676c68;
const headBytes = 32;
const rowHeadBytes = 24;
/** No block is written that is longer, so a longer one is damage. */
const maxPayload = 256 * 2 ** 20;

/** An open log. */
export class RowLog {
  readonly #file: number;
  readonly #dimensions: number;
  #bytes = 0;
  #position: Position = start;

  /** Opens the log at `path`, making it when it is not there. */
  constructor(path: string, dimensions: number) {
    this.#file = openSync(path, existsSync(path) ? "r+" : "w+");
    this.#dimensions = dimensions;
  }

  /** How long it is; what lies behind is not of it. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The position of its last block. */
  get position(): Position {
    return this.#position;
  }

  /**
   * Reads blocks from the beginning, or on from where the last one ended, up to `end` bytes: for another log's reader too. What follows the first
   * damaged block is cut off before the next append.
   */
  *read(end = fstatSync(this.#file).size): Generator<readonly Row[]> {
    const head = Buffer.alloc(headBytes);
    while (this.#bytes + headBytes <= end) {
      if (readSync(this.#file, head, 0, headBytes, this.#bytes) < headBytes || head.readUInt32LE(0) !== magic) return;
      const length = head.readUInt32LE(4);
      if (length > maxPayload || this.#bytes + headBytes + length > end) return;
      const payload = Buffer.alloc(length);
      if (readSync(this.#file, payload, 0, length, this.#bytes + headBytes) < length) return;
      if (crc32(payload, crc32(head.subarray(12))) !== head.readUInt32LE(8)) return;
      const rows = decode(payload, head.readUInt32LE(12), this.#dimensions);
      this.#bytes += headBytes + length;
      this.#position = { change: head.readDoubleLE(16), key: head.readDoubleLE(24) };
      yield rows;
    }
  }

  /** Adds a block. */
  append(rows: readonly Row[], position: Position): void {
    const payload = encode(rows);
    const head = Buffer.alloc(headBytes);
    head.writeUInt32LE(magic, 0);
    head.writeUInt32LE(payload.length, 4);
    head.writeUInt32LE(rows.length, 12);
    head.writeDoubleLE(position.change, 16);
    head.writeDoubleLE(position.key, 24);
    head.writeUInt32LE(crc32(payload, crc32(head.subarray(12))), 8);
    const block = Buffer.concat([head, payload]);
    ftruncateSync(this.#file, this.#bytes);
    for (let at = 0; at < block.length; ) at += writeSync(this.#file, block, at, block.length - at, this.#bytes + at);
    this.#bytes += block.length;
    this.#position = position;
  }

  /** Closes the file. */
  close(): void {
    closeSync(this.#file);
  }
}

function encode(rows: readonly Row[]): Buffer {
  const sizes = rows.map((row) => (row.removed ? rowHeadBytes : bytesOf(row)));
  const buffer = Buffer.alloc(sizes.reduce((sum, size) => sum + size, 0));
  let begin = 0;
  for (const [index, row] of rows.entries()) {
    buffer.writeDoubleLE(row.key, begin);
    buffer.writeUInt32LE(row.removed ? 1 : 0, begin + 8);
    if (!row.removed) {
      const { vector, words, metadata } = row;
      buffer.writeUInt32LE(words.length, begin + 12);
      buffer.writeUInt32LE(words.hashes.length, begin + 16);
      buffer.writeUInt32LE(Buffer.byteLength(metadata), begin + 20);
      let at = begin + rowHeadBytes;
      for (const part of [vector, words.hashes, words.times]) {
        buffer.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
        at += part.byteLength;
      }
      buffer.write(metadata, at);
    }
    begin += sizes[index] ?? 0;
  }
  return buffer;
}

function bytesOf({ vector, words, metadata }: Exclude<Row, { removed: true }>): number {
  return padded(rowHeadBytes + vector.byteLength + words.hashes.length * 6 + Buffer.byteLength(metadata));
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}

function decode(payload: Buffer, count: number, dimensions: number): Row[] {
  const rows: Row[] = [];
  let at = 0;
  for (let row = 0; row < count; row++) {
    const key = payload.readDoubleLE(at);
    const removed = payload.readUInt32LE(at + 8) === 1;
    const length = payload.readUInt32LE(at + 12);
    const different = payload.readUInt32LE(at + 16);
    const metadataBytes = payload.readUInt32LE(at + 20);
    at += rowHeadBytes;
    if (removed) {
      rows.push({ key, removed });
      continue;
    }
    const base = payload.byteOffset + at;
    const vector = new Float32Array(payload.buffer, base, dimensions);
    const hashes = new Uint32Array(payload.buffer as ArrayBuffer, base + dimensions * 4, different);
    const times = new Uint16Array(payload.buffer as ArrayBuffer, base + dimensions * 4 + different * 4, different);
    const text = at + dimensions * 4 + different * 6;
    const metadata = payload.toString("utf8", text, text + metadataBytes);
    rows.push({ key, removed, vector, words: { hashes, times, length }, metadata });
    at = padded(text + metadataBytes);
  }
  return rows;
}
