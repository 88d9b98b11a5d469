/**
 * JSON values one after the other, cut out of bytes however these are chunked; what stands in them is not looked at here.
 *
 *     ndjson := { [value] newline } [value]          blank lines hold no value
 *     array  := "[" [ value { "," value } ] "]"      with white space anywhere between
 */
import { JsonError } from "./json.ts";

/** How values stand in a body. */
export type ItemFormat = "ndjson" | "array";

/** A value with more bytes than it may have. */
export class ItemTooLong extends Error {
  override readonly name = "ItemTooLong";
}

/** Cuts a body into values. Give it every chunk in order, then call `end`. */
export class ItemSplitter {
  readonly #format: ItemFormat;
  readonly #maxBytes: number;
  readonly #parts: Buffer[] = [];
  #bytes = 0;
  /** Of an array: before its bracket, between values, in a value, after its bracket. */
  #state: "start" | "between" | "value" | "over" = "start";
  #comma = false;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** @param maxBytes of one value, white space around it included */
  constructor(format: ItemFormat, maxBytes: number) {
    this.#format = format;
    this.#maxBytes = maxBytes;
  }

  /**
   * The values that the chunk completes.
   *
   * @throws JsonError at a place where there can be no value; ItemTooLong.
   */
  push(chunk: Buffer): Generator<Buffer> {
    return this.#format === "ndjson" ? this.#lines(chunk) : this.#items(chunk);
  }

  /** The value that the end of the body completes. @throws JsonError when an array is not closed. */
  end(): Buffer | undefined {
    if (this.#format === "array") {
      if (this.#state === "over") return undefined;
      throw new JsonError(
        this.#state === "start" ? 'expected "[", got the end' : 'expected "," or "]" after an item, got the end',
      );
    }
    const line = this.#whole();
    return isBlank(line) ? undefined : line;
  }

  *#lines(chunk: Buffer): Generator<Buffer> {
    let from = 0;
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      this.#keep(chunk.subarray(from, at));
      from = at + 1;
      const line = this.#whole();
      if (!isBlank(line)) yield line;
    }
    this.#keep(chunk.subarray(from));
  }

  *#items(chunk: Buffer): Generator<Buffer> {
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] ?? 0;
      if (this.#state === "value") {
        if (!this.#endsValue(byte)) continue;
        this.#keep(chunk.subarray(from, at));
        this.#state = "between";
        yield this.#whole();
      }
      if (isSpace(byte)) continue;
      if (this.#step(byte)) from = at;
    }
    if (this.#state === "value") this.#keep(chunk.subarray(from));
  }

  /** Takes a byte outside of values; true when a value begins with it. */
  #step(byte: number): boolean {
    switch (this.#state) {
      case "start":
        if (byte !== openBracket) throw new JsonError(`expected an array of messages, "[", got ${named(byte)}`);
        this.#state = "between";
        this.#comma = true;
        this.#depth = -1;
        return false;
      case "over":
        throw new JsonError(`expected nothing after the array, got ${named(byte)}`);
      default:
        return this.#between(byte);
    }
  }

  #between(byte: number): boolean {
    if (byte === comma && !this.#comma) {
      this.#comma = true;
      return false;
    }
    // Only the first place of an array may be empty; -1 marks it.
    if (byte === closeBracket && (!this.#comma || this.#depth === -1)) {
      this.#state = "over";
      return false;
    }
    if (!this.#comma) throw new JsonError(`expected "," or "]" after an item, got ${named(byte)}`);
    if (byte === comma || byte === closeBracket) throw new JsonError(`expected a JSON value, got ${named(byte)}`);
    this.#comma = false;
    this.#depth = 0;
    this.#state = "value";
    this.#endsValue(byte);
    return true;
  }

  /** Takes a byte of a value; true when it does not belong to it any more. */
  #endsValue(byte: number): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === backslash) this.#escaped = true;
      else if (byte === quote) this.#inString = false;
    } else if (byte === quote) this.#inString = true;
    else if (byte === openBracket || byte === openBrace) this.#depth++;
    else if (byte === closeBracket || byte === closeBrace) {
      if (this.#depth === 0) return true;
      this.#depth--;
    } else if (this.#depth === 0) return byte === comma;
    return false;
  }

  #keep(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes > this.#maxBytes) throw new ItemTooLong(`expected at most ${this.#maxBytes} bytes`);
    if (part.length > 0) this.#parts.push(part);
  }

  #whole(): Buffer {
    const [first = empty, ...more] = this.#parts;
    const whole = more.length === 0 ? first : Buffer.concat(this.#parts, this.#bytes);
    this.#parts.length = 0;
    this.#bytes = 0;
    return whole;
  }
}

const empty = Buffer.alloc(0);
const [newline, quote, backslash, comma] = [0x0a, 0x22, 0x5c, 0x2c];
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d];

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every(isSpace);
}

function named(byte: number): string {
  return byte < 0x80 ? JSON.stringify(String.fromCharCode(byte)) : `the byte 0x${byte.toString(16)}`;
}
