/** Reads the JSON bodies of Consul's API: names in any case, with or without underscores; a name that nobody knows is refused. */
import { parseDuration } from "./durations.ts";
import { refuse } from "./refusal.ts";

/** The fields of one JSON object. */
export class Fields {
  readonly #values = new Map<string, unknown>();
  readonly #where: string;

  /** `known` are the names that may be there; `where` is the path to the object for messages, empty at the top. */
  constructor(value: unknown, known: readonly string[], where = "") {
    this.#where = where === "" ? "" : `${where}.`;
    if (typeof value !== "object" || value === null || Array.isArray(value))
      decodeFailed(`${where || "body"}: expected an object`);
    const byPlainName = new Map(known.map((name) => [plain(name), name]));
    for (const [name, item] of Object.entries(value)) {
      const field = byPlainName.get(plain(name));
      if (field === undefined) decodeFailed(`json: unknown field "${this.#where}${name}"`);
      if (item !== null) this.#values.set(field, item);
    }
  }

  has(name: string): boolean {
    const value = this.#values.get(name);
    return value !== undefined && value !== "" && value !== false && !(typeof value === "object" && isEmpty(value));
  }

  text(name: string): string {
    const value = this.#values.get(name) ?? "";
    return typeof value === "string" ? value : this.#wrong(name, "a text");
  }

  flag(name: string): boolean {
    const value = this.#values.get(name) ?? false;
    return typeof value === "boolean" ? value : this.#wrong(name, "true or false");
  }

  whole(name: string, max: number, fallback = 0): number {
    const value = this.#values.get(name) ?? fallback;
    const good = typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max;
    return good ? value : this.#wrong(name, `a whole number from 0 to ${max}`);
  }

  /** Milliseconds of a Go duration; a number is nanoseconds. */
  duration(name: string): number {
    const value = this.#values.get(name) ?? 0;
    const ms = typeof value === "number" ? value / 1e6 : parseDuration(value === "" ? "0" : String(value));
    return ms === undefined || ms < 0 ? this.#wrong(name, 'a duration such as "10s"') : ms;
  }

  texts(name: string): string[] {
    const value = this.#values.get(name) ?? [];
    const good = Array.isArray(value) && value.every((item) => typeof item === "string");
    return good ? (value as string[]) : this.#wrong(name, "a list of texts");
  }

  textMap(name: string): Record<string, string> | null {
    const value = this.#values.get(name) ?? null;
    if (value === null) return null;
    const good =
      typeof value === "object" && !Array.isArray(value) && Object.values(value).every((item) => typeof item === "string");
    return good ? (value as Record<string, string>) : this.#wrong(name, "texts by name");
  }

  list(name: string): unknown[] {
    const value = this.#values.get(name) ?? [];
    return Array.isArray(value) ? value : this.#wrong(name, "a list");
  }

  raw(name: string): unknown {
    return this.#values.get(name);
  }

  /** The fields of the object under `name`; undefined when there is none. */
  object(name: string, known: readonly string[]): Fields | undefined {
    const value = this.#values.get(name);
    return value === undefined ? undefined : new Fields(value, known, `${this.#where}${name}`);
  }

  #wrong(name: string, expected: string): never {
    const got = JSON.stringify(this.#values.get(name)).slice(0, 100);
    return decodeFailed(`${this.#where}${name}: expected ${expected}, got ${got}`);
  }
}

/** The JSON of a body. @throws Refusal 400 in Consul's words. */
export function parseBody(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch (error) {
    return decodeFailed(error instanceof Error ? error.message : String(error));
  }
}

function decodeFailed(reason: string): never {
  return refuse(400, `Request decode failed: ${reason}`);
}

function plain(name: string): string {
  return name.replaceAll("_", "").toLowerCase();
}

function isEmpty(value: object | null): boolean {
  return value === null || Object.keys(value).length === 0;
}
