/**
 * Reads a JSON document key by key, strictly: every key must be known and of the right kind, and every mistake is noted with
 * its path, so that one reading shows them all.
 */

/** One thing that is wrong with a document. */
export interface JsonMistake {
  /** Where, as a JSON path: `methodConfig[0].retryPolicy.maxAttempts`; `$` for the whole. */
  readonly path: string;
  readonly expected: string;
  readonly got: string;
}

/** What a reading has found so far; shared by all objects of one document. */
export interface JsonReading {
  readonly mistakes: JsonMistake[];
  /** The path of every key that is there and was read. */
  readonly given: Set<string>;
}

/** Bounds of a number or duration, and whether it must be there. */
export interface Bounds {
  readonly min?: number;
  readonly max?: number;
  /** The value must be greater than this. */
  readonly above?: number;
  readonly required?: boolean;
}

/** A number of the document must not exceed this where nothing else bounds it: 2^32 - 1, gRPC's UInt32Value. */
export const uint32Max = 4_294_967_295;

/** One object of the document. Every getter gives undefined for a key that is absent or wrong; wrong ones are noted. */
export class JsonFields {
  readonly path: string;
  readonly #reading: JsonReading;
  readonly #object: Readonly<Record<string, unknown>>;

  /** Takes `value` as an object with no other keys than `keys`. Something else is noted and read as an empty object. */
  constructor(reading: JsonReading, path: string, value: unknown, keys: readonly string[]) {
    this.path = path;
    this.#reading = reading;
    const fits = typeof value === "object" && value !== null && !Array.isArray(value);
    this.#object = fits ? (value as Record<string, unknown>) : {};
    if (!fits) this.#note(path, "an object", value);
    const known = keys.length === 0 ? "there are none" : `known: ${keys.join(", ")}`;
    for (const key of Object.keys(this.#object)) {
      if (!keys.includes(key)) this.#note(this.at(key), `no such key (${known})`, this.#object[key]);
    }
  }

  /** The path of a key. */
  at(key: string): string {
    return this.path === "$" ? key : `${this.path}.${key}`;
  }

  /** Whether the key is there, right or wrong. */
  has(key: string): boolean {
    return Object.hasOwn(this.#object, key);
  }

  /** Notes that the value of `key` is not what was expected. */
  refuse(key: string, expected: string): void {
    this.#note(this.at(key), expected, this.#object[key]);
  }

  /** Notes that this object as a whole is not what was expected. */
  refuseAll(expected: string): void {
    this.#note(this.path, expected, this.#object);
  }

  /** A text. */
  text(key: string, required = false): string | undefined {
    return this.#read(key, "a text", required, (value) => (typeof value === "string" ? value : undefined));
  }

  /** true or false. */
  flag(key: string): boolean | undefined {
    return this.#read(key, "true or false", false, (value) => (typeof value === "boolean" ? value : undefined));
  }

  /** A number. */
  number(key: string, bounds: Bounds): number | undefined {
    return this.#read(key, `a number ${inWords(bounds)}`.trim(), bounds.required, (value) => within(value, bounds));
  }

  /** A whole number. */
  integer(key: string, bounds: Bounds): number | undefined {
    return this.#read(key, `a whole number ${inWords(bounds)}`.trim(), bounds.required, (value) =>
      Number.isSafeInteger(value) ? within(value, bounds) : undefined,
    );
  }

  /** A percentage above 0 and up to 100, or from 0 where `min` is 0; read as a share from 0 to 1. */
  percent(key: string, min?: 0): number | undefined {
    const bounds = min === 0 ? { min: 0, max: 100 } : { above: 0, max: 100 };
    const value = this.#read(key, `a percentage ${inWords(bounds)}`, false, (percent) => within(percent, bounds));
    return value === undefined ? undefined : value / 100;
  }

  /** A duration such as "0.5s", in milliseconds; greater than 0, or from 0 on where `min` is 0. */
  duration(key: string, { min, required = false }: { min?: 0; required?: boolean } = {}): number | undefined {
    const expected = `a duration ${min === 0 ? "" : "above 0 "}in seconds with up to 9 decimals such as "0.5s"`;
    return this.#read(key, expected, required, (value) => {
      const ms = durationMs(value);
      return ms === undefined || (ms === 0 && min !== 0) ? undefined : ms;
    });
  }

  /** One of the listed words, as it is written. */
  oneOf<const T extends string>(key: string, words: readonly T[], required = false): T | undefined {
    return this.#read(key, `one of ${words.join(", ")}`, required, (value) => words.find((word) => word === value));
  }

  /** An object inside this one; undefined when absent. */
  object(key: string, keys: readonly string[]): JsonFields | undefined {
    if (!this.has(key)) return undefined;
    this.#reading.given.add(this.at(key));
    return new JsonFields(this.#reading, this.at(key), this.#object[key], keys);
  }

  /** Every item of a list with its path. */
  list(key: string, expected: string, o: { required?: boolean; notEmpty?: boolean } = {}): { value: unknown; path: string }[] {
    const items = this.#read(key, expected, o.required, (value) =>
      Array.isArray(value) && (value.length > 0 || o.notEmpty !== true) ? (value as unknown[]) : undefined,
    );
    return (items ?? []).map((value, index) => ({ value, path: `${this.at(key)}[${index}]` }));
  }

  /** Every item of a list, as objects with no other keys than `keys`. */
  objects(key: string, keys: readonly string[], o: { required?: boolean; notEmpty?: boolean } = {}): JsonFields[] {
    const expected = o.notEmpty === true ? "a list of objects, not empty" : "a list of objects";
    return this.list(key, expected, o).map(({ value, path }) => new JsonFields(this.#reading, path, value, keys));
  }

  /** Every item of a list by `parse`, which gives undefined for a wrong one. */
  items<T>(key: string, expected: string, parse: (value: unknown) => T | undefined, required = false): T[] {
    const found: T[] = [];
    for (const { value, path } of this.list(key, `a list of ${expected}, not empty`, { required, notEmpty: true })) {
      const item = parse(value);
      if (item === undefined) this.#note(path, expected, value);
      else found.push(item);
    }
    return found;
  }

  /** Whatever is there by `parse`, which gives undefined when it is wrong. */
  value<T>(key: string, expected: string, parse: (value: unknown) => T | undefined, required = false): T | undefined {
    return this.#read(key, expected, required, parse);
  }

  #read<T>(
    key: string,
    expected: string,
    required: boolean | undefined,
    parse: (value: unknown) => T | undefined,
  ): T | undefined {
    if (!this.has(key)) {
      if (required === true) this.#note(this.at(key), expected, undefined);
      return undefined;
    }
    this.#reading.given.add(this.at(key));
    const value = parse(this.#object[key]);
    if (value === undefined) this.#note(this.at(key), expected, this.#object[key]);
    return value;
  }

  #note(path: string, expected: string, got: unknown): void {
    this.#reading.mistakes.push({ path, expected, got: shown(got) });
  }
}

/** A JSON value as messages show it: at most 60 characters. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}

/**
 * Milliseconds of a protobuf JSON Duration that is not negative: digits, a point and up to 9 decimals where needed, and `s`.
 * Undefined for all else.
 */
export function durationMs(value: unknown): number | undefined {
  const match = typeof value === "string" ? /^(\d{1,12})(?:\.(\d{1,9}))?s$/.exec(value) : null;
  if (match === null) return undefined;
  const [, seconds = "", fraction = ""] = match;
  // Through whole nanoseconds: 0.0011 * 1000 is 1.1000000000000001.
  return Number(seconds) * 1000 + Number(fraction.padEnd(9, "0")) / 1e6;
}

function within(value: unknown, { min, max, above }: Bounds): number | undefined {
  if (typeof value !== "number" || !Number.isFinite(value)) return undefined;
  if ((min !== undefined && value < min) || (max !== undefined && value > max)) return undefined;
  return above !== undefined && value <= above ? undefined : value;
}

function inWords({ min, max, above }: Bounds): string {
  if (above !== undefined) return max === undefined ? `above ${above}` : `above ${above} and up to ${max}`;
  if (min === undefined) return "";
  return max === undefined ? `from ${min} on` : `from ${min} to ${max}`;
}
