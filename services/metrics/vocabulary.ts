/**
 * What the instances of one service are known to say: their lines without the values, each with what becomes of its value.
 *
 * Instances of a service say the same, in the same order, each 10 seconds. Kept once for all of them, it makes of reading a text a
 * comparison with what is expected next.
 */
import { CallSeries, callOf, isOfCalls } from "./call-series.ts";
import { FormatError, parseKey } from "./sample-key.ts";

/** The types of https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format. */
export type FamilyType = "counter" | "gauge" | "histogram" | "summary" | "untyped";

/** The samples under one name. */
export interface Family {
  readonly name: string;
  type: FamilyType;
  /** Counts changes of the type: entries of an earlier one do not hold any more. */
  version: number;
  /** The last reading with a TYPE line, with a sample, and with a sample of another family behind those. */
  typedIn: number;
  openedIn: number;
  closedIn: number;
}

/** A line without its value. */
export interface Entry {
  /** A comment whole; a sample up to the end of its labels. */
  readonly key: string;
  readonly family: Family | undefined;
  readonly version: number;
  /** What a TYPE line says; undefined for other lines. */
  readonly type: FamilyType | undefined;
  readonly comment: boolean;
  /** Where the value is to be kept: among the values, or, for a gauge, among the gauges; -1: nowhere. */
  readonly index: number;
  readonly gauge: boolean;
  /** The value is the time at which the process started. */
  readonly startTime: boolean;
  /** What came behind it when it was last read. */
  next: Entry | undefined;
  seenIn: number;
}

/** A counter of which the growth is kept. */
export interface Counter {
  readonly index: number;
  /** Where in Vocabulary.measures its name is. */
  readonly measure: number;
}

/** What a vocabulary may hold. */
export interface VocabularyLimits {
  /** Lines. Default 50,000. */
  readonly maxEntries: number;
  /** Characters of all lines. Default 16 Mi. */
  readonly maxCharacters: number;
  /** Names of counters and gauges. Default 300. */
  readonly maxMeasures: number;
  /** Methods; the calls of others are counted under `other`. Default 500. */
  readonly maxMethods: number;
}

/** What a vocabulary holds when nothing else is said. */
export const vocabularyLimits: VocabularyLimits = {
  maxEntries: 50_000,
  maxCharacters: 2 ** 24,
  maxMeasures: 300,
  maxMethods: 500,
};

/** The measure that tells when a process started, in seconds since the epoch. */
const startTimeName = "process_start_time_seconds";

/** Families that say nothing of what a process does. */
const unmeasured: ReadonlySet<string> = new Set([startTimeName, "target_info"]);

/** The vocabulary of one service. */
export class Vocabulary {
  readonly #limits: VocabularyLimits;
  readonly #entries = new Map<string, Entry>();
  readonly #families = new Map<string, Family>();
  readonly #measureOf = new Map<string, number>();
  readonly #calls = new Map<string, CallSeries>();
  readonly #methods = new Set<string>();
  #characters = 0;
  /** What a text is expected to begin with. */
  readonly head: Entry = entry("", undefined, { comment: true });
  readonly counters: Counter[] = [];
  readonly measures: { readonly name: string; readonly kind: "counter" | "gauge" }[] = [];
  readonly callSeries: CallSeries[] = [];
  /** What was left out because there is too much of it. */
  readonly truncated = new Set<"method" | "measure">();
  /** How many values a reading has. */
  size = 0;

  constructor(limits: VocabularyLimits = vocabularyLimits) {
    this.#limits = limits;
  }

  /** Whether it is full, so that a new one must be begun. */
  get full(): boolean {
    return (
      this.#characters >= this.#limits.maxCharacters ||
      Math.max(this.#entries.size, this.#families.size) >= this.#limits.maxEntries
    );
  }

  /** What is known of a line, also of one that no longer means what it did. */
  find(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** Takes up a HELP or TYPE line, or any other comment. @throws FormatError. */
  addComment(line: string): Entry {
    const [, word, name = "", rest = ""] = /^#[ \t]+(HELP|TYPE)(?:[ \t]+(\S+))?(?:[ \t]+(.*?))?[ \t]*$/s.exec(line) ?? [];
    if (word === undefined) return this.#keep(entry(line, undefined, { comment: true }));
    if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) throw new FormatError(7, `expected a name, got ${JSON.stringify(name)}`);
    if (word === "HELP") return this.#keep(entry(line, undefined, { comment: true }));
    const type = types.get(rest);
    if (type === undefined) {
      const message = `expected counter, gauge, histogram, summary or untyped, got ${JSON.stringify(rest.slice(0, 20))}`;
      throw new FormatError(line.length - rest.length, message);
    }
    return this.#keep({ ...entry(line, this.#familyNamed(name), { comment: true }), type });
  }

  /** Takes up a sample that reading `now` brought. @throws FormatError. */
  addSample(key: string, now: number): Entry {
    const { name, labels } = parseKey(key);
    const family = this.#familyOf(name, now);
    if (family.typedIn !== now) this.setType(family, "untyped");
    // What began again with another meaning goes on in the same place.
    const index = this.#entries.get(key)?.index ?? -1;
    const place = this.#placeOf(family, name, labels, index);
    return this.#keep(entry(key, family, { ...place, startTime: name === startTimeName }));
  }

  /** What a TYPE line said, or its absence. */
  setType(family: Family, type: FamilyType): void {
    if (family.type === type) return;
    family.type = type;
    family.version++;
    // A sample x_count may have been a family of its own before x became a histogram.
    for (const suffix of ["_bucket", "_sum", "_count"]) {
      const own = this.#families.get(`${family.name}${suffix}`);
      if (own !== undefined) own.version++;
    }
  }

  #placeOf(family: Family, name: string, labels: ReadonlyMap<string, string>, known: number): { index: number; gauge?: boolean } {
    const part = name.slice(family.name.length);
    switch (family.type) {
      case "histogram": {
        const le = part === "_bucket" ? boundOf(labels) : undefined;
        const call = callOf(family.name, labels);
        if (call !== undefined) return { index: this.#callPart(call, part, le, known) };
        return part === "_bucket" || isOfCalls(family.name) ? { index: -1 } : this.#counterPlace(name, known);
      }
      case "summary":
        return part === "" ? { index: -1 } : this.#counterPlace(name, known);
      case "counter":
        return this.#counterPlace(name, known);
      case "gauge":
        return { index: unmeasured.has(name) ? -1 : this.#measureNamed(name, "gauge"), gauge: true };
      case "untyped":
        return { index: -1 };
    }
  }

  #counterPlace(name: string, known: number): { index: number } {
    const measure = this.#measureNamed(name, "counter");
    if (measure === -1) return { index: -1 };
    const same = known !== -1 && this.counters.some(({ index, measure: of }) => index === known && of === measure);
    if (same) return { index: known };
    const index = this.size++;
    this.counters.push({ index, measure });
    return { index };
  }

  #callPart(call: { method: string; outcome: string }, part: string, le: number | undefined, known: number): number {
    const method = this.#methods.has(call.method) || this.#methods.size < this.#limits.maxMethods ? call.method : "other";
    if (method !== call.method) this.truncated.add("method");
    this.#methods.add(method);
    // Methods beyond the limit keep series of their own, since each counts for itself.
    const key = JSON.stringify([call.method, call.outcome]);
    let series = this.#calls.get(key);
    if (series === undefined) {
      series = new CallSeries(method, call.outcome);
      this.#calls.set(key, series);
      this.callSeries.push(series);
    }
    const index = known >= 0 && series.has(part, le, known) ? known : this.size++;
    series.put(part, le, index);
    return index;
  }

  #measureNamed(name: string, kind: "counter" | "gauge"): number {
    const key = `${kind} ${name}`;
    const known = this.#measureOf.get(key);
    if (known !== undefined) return known;
    if (this.measures.length >= this.#limits.maxMeasures) {
      this.truncated.add("measure");
      return -1;
    }
    this.#measureOf.set(key, this.measures.length);
    return this.measures.push({ name, kind }) - 1;
  }

  /** A sample's family: its own name, or that of the histogram or summary that the reading declared. */
  #familyOf(name: string, now: number): Family {
    const [, base, suffix] = /^(.+)(_bucket|_sum|_count)$/s.exec(name) ?? [];
    const above = base === undefined ? undefined : this.#families.get(base);
    if (above?.typedIn === now && (above.type === "histogram" || (above.type === "summary" && suffix !== "_bucket")))
      return above;
    const own = this.#familyNamed(name);
    if (own.typedIn === now && own.type === "histogram") {
      throw new FormatError(0, `expected ${name}_bucket, ${name}_sum or ${name}_count of histogram ${name}, got ${name}`);
    }
    return own;
  }

  #familyNamed(name: string): Family {
    const known = this.#families.get(name);
    if (known !== undefined) return known;
    const family: Family = { name, type: "untyped", version: 0, typedIn: -1, openedIn: -1, closedIn: -1 };
    this.#families.set(name, family);
    return family;
  }

  #keep(made: Entry): Entry {
    this.#entries.set(made.key, made);
    this.#characters += made.key.length;
    return made;
  }
}

const types: ReadonlyMap<string, FamilyType> = new Map(
  (["counter", "gauge", "histogram", "summary", "untyped"] as const).map((type) => [type, type]),
);

function boundOf(labels: ReadonlyMap<string, string>): number {
  const text = labels.get("le");
  if (text === undefined) throw new FormatError(0, "expected a label le of the bucket");
  const bound = /^[+]?inf$/i.test(text) ? Number.POSITIVE_INFINITY : text === "" ? Number.NaN : Number(text);
  if (Number.isNaN(bound)) throw new FormatError(0, `expected a number as le, got ${JSON.stringify(text.slice(0, 20))}`);
  return bound;
}

function entry(
  key: string,
  family: Family | undefined,
  place: { comment?: boolean; index?: number; gauge?: boolean; startTime?: boolean },
): Entry {
  const { comment = false, index = -1, gauge = false, startTime = false } = place;
  // A part of a text would keep the whole text in memory.
  const own = Buffer.from(key).toString();
  const version = family?.version ?? 0;
  return { key: own, family, version, type: undefined, comment, index, gauge, startTime, next: undefined, seenIn: -1 };
}
