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
  return new JsonReader(text).read();
}

/** The value in a message for people: scalars as sent but cut off, the rest by kind. */
export function describeJson(value: Json): string {
  if (value === null) return "null";
  if (value instanceof NumberText) return value.text.slice(0, 50);
  if (typeof value === "object") return Array.isArray(value) ? "an array" : "an object";
  const written = JSON.stringify(value);
  return written.length > 60 ? `${written.slice(0, 50)}... (${String(value).length} characters)` : written;
}

class JsonReader {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #weight = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): Json {
    this.#skipBlanks();
    const value = this.#readValue();
    this.#skipBlanks();
    if (this.#at < this.#text.length) this.#fail(`expected nothing after the value, got ${this.#got()}`);
    return value;
  }

  #readValue(): Json {
    switch (this.#text.charCodeAt(this.#at)) {
      case 0x7b:
        return this.#readObject();
      case 0x5b:
        return this.#readArray();
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

  #readObject(): JsonObject {
    const members = new Map<string, Json>();
    this.#weigh(jsonWeights.object);
    this.#enter();
    if (this.#take("}")) return this.#leave(members);
    for (;;) {
      if (this.#text[this.#at] !== '"') this.#fail(`expected a key in double quotes, got ${this.#got()}`);
      const start = this.#at;
      const key = this.#readString();
      if (members.has(key)) this.#fail(`the key ${JSON.stringify(key)} stands here for the second time`, start);
      this.#skipBlanks();
      if (!this.#take(":")) this.#fail(`expected ":" after a key, got ${this.#got()}`);
      this.#skipBlanks();
      this.#weigh(jsonWeights.member);
      members.set(key, this.#readValue());
      this.#skipBlanks();
      if (this.#take("}")) return this.#leave(members);
      if (!this.#take(",")) this.#fail(`expected "," or "}" after a member, got ${this.#got()}`);
      this.#skipBlanks();
    }
  }

  #readArray(): Json[] {
    const items: Json[] = [];
    this.#weigh(jsonWeights.array);
    this.#enter();
    if (this.#take("]")) return this.#leave(items);
    for (;;) {
      this.#weigh(jsonWeights.item);
      items.push(this.#readValue());
      this.#skipBlanks();
      if (this.#take("]")) return this.#leave(items);
      if (!this.#take(",")) this.#fail(`expected "," or "]" after an item, got ${this.#got()}`);
      this.#skipBlanks();
    }
  }

  #enter(): void {
    if (++this.#depth > maxDepth) this.#fail(`arrays and objects nest deeper than ${maxDepth}`);
    this.#at++;
    this.#skipBlanks();
  }

  #weigh(bytes: number): void {
    this.#weight += bytes;
    if (this.#weight > maxWeight) this.#fail(`the values up to here ${tooHeavy}`);
  }

  #leave<T>(value: T): T {
    this.#depth--;
    return value;
  }

  #readString(): string {
    this.#weigh(jsonWeights.text);
    const start = this.#at;
    plainString.lastIndex = start + 1;
    plainString.test(this.#text);
    this.#at = plainString.lastIndex;
    if (this.#text[this.#at] === '"') {
      this.#at++;
      const plain = this.#text.slice(start + 1, this.#at - 1);
      return plain.isWellFormed() ? plain : this.#fail("a string with half of a surrogate pair is not Unicode", start);
    }
    return this.#readEscaped(start);
  }

  #readEscaped(start: number): string {
    for (;;) {
      const character = this.#text[this.#at];
      if (character === undefined) this.#fail('expected a closing ", got the end', start);
      if (character < " ") this.#fail(`expected an escape for the control character ${this.#got()} in a string`);
      this.#at++;
      if (character === '"') break;
      if (character !== "\\") continue;
      const escaped = this.#text[this.#at] ?? "";
      const length = escaped === "u" ? 5 : 1;
      const sound = escaped === "u" ? /^[0-9A-Fa-f]{4}$/.test(this.#text.slice(this.#at + 1, this.#at + 5)) : isEscape(escaped);
      if (!sound) this.#fail(`expected an escape such as \\n or \\u00e9, got ${JSON.stringify(`\\${escaped}`)}`, this.#at - 1);
      this.#at += length;
    }
    const value: string = JSON.parse(this.#text.slice(start, this.#at));
    return value.isWellFormed() ? value : this.#fail("a string with half of a surrogate pair is not Unicode", start);
  }

  #readNumber(): number | NumberText {
    this.#weigh(jsonWeights.number);
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

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skipBlanks(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #got(): string {
    return this.#at < this.#text.length ? JSON.stringify(String.fromCodePoint(this.#text.codePointAt(this.#at) ?? 0)) : "the end";
  }

  #fail(message: string, at = this.#at): never {
    const before = this.#text.slice(0, at);
    const line = before.split("\n").length;
    throw new JsonError(`${message} (line ${line}, column ${at - before.lastIndexOf("\n")})`);
  }
}

/** A string up to its first escape, control character or closing quote. */
const plainString = /[^"\\\p{Cc}]*/uy;
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

function isEscape(character: string): boolean {
  return character !== "" && '"\\/bfnrt'.includes(character);
}

/** Whether a double tells the number from every other: not so for 9007199254740993, 1e400, 1e-400, 1.0000000000000001. */
function isExact(text: string): boolean {
  const value = Number(text);
  if (text.length > 15) return /^-?[0-9]+$/.test(text) && Number.isSafeInteger(value);
  return Number.isFinite(value) && (value !== 0 || !/[1-9]/.test(text.replace(/[eE].*/, "")));
}
