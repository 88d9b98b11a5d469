/**
 * A strict JSON reader (RFC 8259) for request bodies: the positions of mistakes, no duplicate keys, bounded nesting and
 * bounded memory, and numbers that a double would change kept as the text that was sent.
 */
import { jsonWeights, maxWeight, tooHeavy } from "#mesh/net/weight.ts";

/** A number as it was sent, where a double cannot hold it to the last digit. */
export class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A JSON value. Objects are maps, so that no key is special. */
export type Json = null | boolean | number | NumberText | string | readonly Json[] | JsonObject;

/** A JSON object: its members in the order sent. */
export type JsonObject = ReadonlyMap<string, Json>;

/** Not JSON, or more of it than is taken: what was expected and what came, with line and column from 1. */
export class JsonError extends Error {
  override readonly name = "JsonError";
}

/** How deep arrays and objects may nest, as in protobuf's own readers. */
const maxDepth = 100;

/**
 * Reads one JSON text.
 *
 * @throws JsonError at the first mistake, and at bytes after the value.
 */
export function parseJson(text: string): Json {
  const reader = new JsonReader(text);
  while (!reader.step(valuesBetweenPauses));
  return reader.value;
}

/** The same with a pause after every few thousand values, for texts that take longer than others should wait. */
export function* parsingJson(text: string): Generator<void, Json> {
  const reader = new JsonReader(text);
  while (!reader.step(valuesBetweenPauses)) yield;
  return reader.value;
}

/** About a millisecond's work. */
const valuesBetweenPauses = 8192;

/** The value in a message for people: scalars as sent but cut off, the rest by kind. */
export function describeJson(value: Json): string {
  if (value === null) return "null";
  if (value instanceof NumberText) return value.text.slice(0, 50);
  if (typeof value === "object") return Array.isArray(value) ? "an array" : "an object";
  const written = JSON.stringify(typeof value === "string" ? value.slice(0, 100) : value);
  const long = written.length > 60 || (typeof value === "string" && value.length > 100);
  return long ? `${written.slice(0, 50)}... (${String(value).length} characters)` : written;
}

/** Objects without members are many in some texts, and a map for each would take a hundred times its two bytes. */
const emptyObject: JsonObject = new Map();

/** Reads with a stack of its own, so that it can stop after any value and go on later. Times count: it is on every body's way. */
class JsonReader {
  readonly #text: string;
  #at = 0;
  #weight = 0;
  /** The arrays and objects that are open, outermost first. */
  readonly #open: (Json[] | Map<string, Json>)[] = [];
  /** The key that each open object waits for the value of. */
  readonly #keys: string[] = [];
  /** What was read, once `step` has answered true. */
  value: Json = null;

  constructor(text: string) {
    this.#text = text;
  }

  /** Reads on by so many values; true at the end of the text. */
  step(limit: number): boolean {
    for (let left = limit; left > 0; left--) {
      this.#skipBlanks();
      const value = this.#begin();
      if (value !== undefined && this.#end(value)) return true;
    }
    return false;
  }

  /** A value that is read whole: a scalar, an empty array or object. Undefined: an array or object was opened. */
  #begin(): Json | undefined {
    switch (this.#text.charCodeAt(this.#at)) {
      case 0x7b: {
        this.#weigh(jsonWeights.object);
        if (this.#isEmpty("}")) return emptyObject;
        const members = new Map<string, Json>();
        this.#open.push(members);
        this.#keys.push(this.#readKey(members));
        return undefined;
      }
      case 0x5b:
        this.#weigh(jsonWeights.array);
        if (this.#isEmpty("]")) return [];
        this.#weigh(jsonWeights.item);
        this.#open.push([]);
        return undefined;
      case 0x22:
        return this.#readString();
      case 0x74:
        return this.#readWord("true", true);
      case 0x66:
        return this.#readWord("false", false);
      case 0x6e:
        return this.#readWord("null", null);
      default:
        return this.#readNumber();
    }
  }

  /** Puts a value where it belongs, and closes what ends with it. True at the end of the text. */
  #end(read: Json): boolean {
    let value = read;
    for (;;) {
      const parent = this.#open[this.#open.length - 1];
      this.#skipBlanks();
      const next = this.#text.charCodeAt(this.#at);
      if (parent === undefined) {
        if (this.#at < this.#text.length) this.#fail(`expected nothing after the value, got ${this.#got()}`);
        this.value = value;
        return true;
      }
      if (Array.isArray(parent)) {
        parent.push(value);
        if (next !== 0x2c && next !== 0x5d) this.#fail(`expected "," or "]" after an item, got ${this.#got()}`);
      } else {
        parent.set(this.#keys.pop() ?? "", value);
        if (next !== 0x2c && next !== 0x7d) this.#fail(`expected "," or "}" after a member, got ${this.#got()}`);
      }
      this.#at++;
      if (next === 0x2c) {
        if (Array.isArray(parent)) this.#weigh(jsonWeights.item);
        else {
          this.#skipBlanks();
          this.#keys.push(this.#readKey(parent));
        }
        return false;
      }
      this.#open.pop();
      value = parent;
    }
  }

  #weigh(bytes: number): void {
    this.#weight += bytes;
    if (this.#weight > maxWeight) this.#fail(`the values up to here ${tooHeavy}`);
  }

  #isEmpty(closing: string): boolean {
    if (this.#open.length === maxDepth) this.#fail(`arrays and objects nest deeper than ${maxDepth}`);
    this.#at++;
    this.#skipBlanks();
    if (this.#text[this.#at] !== closing) return false;
    this.#at++;
    return true;
  }

  #readKey(members: Map<string, Json>): string {
    const start = this.#at;
    if (this.#text.charCodeAt(start) !== 0x22) this.#fail(`expected a key in double quotes, got ${this.#got()}`);
    const key = this.#readString();
    if (members.has(key)) this.#fail(`the key ${JSON.stringify(key)} stands here for the second time`, start);
    this.#skipBlanks();
    if (this.#text.charCodeAt(this.#at) !== 0x3a) this.#fail(`expected ":" after a key, got ${this.#got()}`);
    this.#at++;
    this.#weigh(jsonWeights.member);
    return key;
  }

  #readString(): string {
    this.#weigh(jsonWeights.text);
    const text = this.#text;
    const start = this.#at;
    let at = start + 1;
    let bits = 0;
    for (let code = text.charCodeAt(at); code !== 0x22; code = text.charCodeAt(++at)) {
      // Not a number, past the end, is less than nothing here.
      if (!(code >= 0x20) || code === 0x5c) return this.#readEscaped(start);
      bits |= code;
    }
    this.#at = at + 1;
    const plain = text.slice(start + 1, at);
    // Surrogates are the code units from 0xd800 on.
    return bits < 0xd800 ? plain : this.#wellFormed(plain, start);
  }

  #readEscaped(start: number): string {
    const text = this.#text;
    let at = start + 1;
    for (let code = text.charCodeAt(at); code !== 0x22; code = text.charCodeAt(++at)) {
      if (Number.isNaN(code)) this.#failString(start);
      if (code === 0x5c) at++;
    }
    this.#at = at + 1;
    try {
      return this.#wellFormed(JSON.parse(text.slice(start, at + 1)), start);
    } catch (error) {
      if (error instanceof JsonError) throw error;
      return this.#failString(start);
    }
  }

  #wellFormed(text: string, start: number): string {
    return text.isWellFormed() ? text : this.#fail("a string with half of a surrogate pair is not Unicode", start);
  }

  /** Finds what is wrong in the string that begins at `start`. */
  #failString(start: number): never {
    for (let at = start + 1; ; at++) {
      const code = this.#text.charCodeAt(at);
      if (Number.isNaN(code)) this.#fail('expected a closing ", got the end', start);
      if (code < 0x20) this.#fail(`expected an escape for the control character ${this.#got(at)} in a string`, at);
      if (code !== 0x5c) continue;
      const escaped = this.#text[at + 1] ?? "";
      const isCode = escaped === "u" && /^[0-9A-Fa-f]{4}$/.test(this.#text.slice(at + 2, at + 6));
      if (!isCode && (escaped === "" || !'"\\/bfnrt'.includes(escaped))) {
        this.#fail(`expected an escape such as \\n or \\u00e9, got ${JSON.stringify(`\\${escaped}`)}`, at);
      }
      at++;
    }
  }

  #readNumber(): number | NumberText {
    this.#weigh(jsonWeights.number);
    const text = this.#text;
    const start = this.#at;
    let at = start;
    let whole = 0;
    for (let digit = text.charCodeAt(at) - 0x30; digit >= 0 && digit <= 9; digit = text.charCodeAt(++at) - 0x30) {
      whole = whole * 10 + digit;
    }
    const plain = at - start === 1 || (at > start && at - start <= 15 && text.charCodeAt(start) !== 0x30);
    if (!plain || isOfNumber(text.charCodeAt(at))) return this.#readAnyNumber();
    this.#at = at;
    return whole;
  }

  #readAnyNumber(): number | NumberText {
    number.lastIndex = this.#at;
    const text = number.exec(this.#text)?.[0];
    if (text === undefined) return this.#fail(`expected a JSON value, got ${this.#got()}`);
    this.#at += text.length;
    const next = this.#text[this.#at] ?? "";
    if (/[0-9A-Za-z.+-]/.test(next)) this.#fail(`expected a JSON number, got ${JSON.stringify(`${text}${next}`.slice(0, 50))}`);
    return isExact(text) ? Number(text) : new NumberText(text);
  }

  #readWord<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail(`expected a JSON value, got ${this.#got()}`);
    this.#at += word.length;
    return value;
  }

  #skipBlanks(): void {
    const text = this.#text;
    let at = this.#at;
    for (let code = text.charCodeAt(at); code <= 0x20; code = text.charCodeAt(++at)) {
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) break;
    }
    this.#at = at;
  }

  #got(at = this.#at): string {
    return at < this.#text.length ? JSON.stringify(String.fromCodePoint(this.#text.codePointAt(at) ?? 0)) : "the end";
  }

  #fail(message: string, at = this.#at): never {
    let line = 1;
    for (let end = this.#text.indexOf("\n"); end >= 0 && end < at; end = this.#text.indexOf("\n", end + 1)) line++;
    throw new JsonError(`${message} (line ${line}, column ${at - (at === 0 ? -1 : this.#text.lastIndexOf("\n", at - 1))})`);
  }
}

const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

/** A character that no number may be followed by: a letter, a digit, a point or a sign. */
function isOfNumber(code: number): boolean {
  const letter = code | 0x20;
  const digit = code >= 0x30 && code <= 0x39;
  return digit || (letter >= 0x61 && letter <= 0x7a) || code === 0x2b || code === 0x2d || code === 0x2e;
}

/** Whether a double tells the number from every other: not so for 9007199254740993, 1e400, 1e-400, 1.0000000000000001. */
function isExact(text: string): boolean {
  const value = Number(text);
  if (text.length > 15) return /^-?[0-9]+$/.test(text) && Number.isSafeInteger(value);
  return Number.isFinite(value) && (value !== 0 || !/[1-9]/.test(text.replace(/[eE].*/, "")));
}
