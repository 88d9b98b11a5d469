/**
 * Reads the Prometheus text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).
 *
 *     text    = { line "\n" }
 *     line    = "" | comment | sample
 *     comment = "#" anything; of these HELP and TYPE mean something
 *     sample  = series blanks value [ blanks timestamp ]
 *
 * A line that is known is compared, and only its value is read; any other line is taken apart and becomes known.
 */
import { endOfKey, FormatError, isBlank, shown } from "./sample-key.ts";
import type { Entry, Family, Vocabulary } from "./vocabulary.ts";

/** What one text said. It is used again for the next text: what is to be kept must be copied. */
export interface Reading {
  /** By Entry.index; NaN for what the text did not have. */
  values: Float64Array;
  /** By measure: the sum and the greatest of a gauge's samples; NaN for gauges that the text did not have. */
  gaugeSums: Float64Array;
  gaugeMaxima: Float64Array;
  samples: number;
  /** Seconds since the epoch; undefined when the text does not tell. */
  startTime: number | undefined;
}

/** How much of a text is taken. */
export interface ReadingLimits {
  readonly maxSamples: number;
  /** Lines that are new to the vocabulary. */
  readonly maxNew: number;
}

/** A text with too many samples. */
export class TooLargeError extends Error {
  override readonly name = "TooLargeError";
}

/** An empty reading. */
export function emptyReading(): Reading {
  const none = new Float64Array(0);
  return { values: none, gaugeSums: none, gaugeMaxima: none, samples: 0, startTime: undefined };
}

let readings = 0;

/**
 * Reads a text into `reading`.
 *
 * @throws FormatError whose message names line and column; TooLargeError. What is in `reading` then means nothing.
 */
export function readExposition(text: string, vocabulary: Vocabulary, limits: ReadingLimits, reading: Reading): void {
  clear(reading, vocabulary);
  const now = ++readings;
  let family: Family | undefined;
  let last = vocabulary.head;
  let fresh = 0;
  let lineNumber = 0;
  let start = 0;
  try {
    while (start < text.length) {
      lineNumber++;
      const known: Entry | undefined = last.next;
      let entry: Entry;
      if (known !== undefined && isAt(known, text, start) && holds(known, now)) entry = known;
      else {
        const end = lineEndAt(text, start);
        if (isEmpty(text, start, end)) {
          start = end + 1;
          continue;
        }
        while (isBlank(text.charCodeAt(start))) start++;
        const found = lookUp(text, start, end, vocabulary, now);
        entry = found.entry;
        if (found.fresh && ++fresh > limits.maxNew) {
          throw new TooLargeError(`more than ${limits.maxNew} of its series are new`);
        }
        last.next = entry;
      }
      last = entry;
      if (entry.comment) {
        if (entry.family !== undefined && entry.type !== undefined) declare(entry.family, entry.type, vocabulary, now);
        start += entry.key.length + 1;
        continue;
      }
      if (entry.seenIn === now) throw new FormatError(start, `${entry.key.slice(0, 200)} is there twice`);
      entry.seenIn = now;
      if (entry.family !== family) family = enter(entry.family, family, now, start);
      if (++reading.samples > limits.maxSamples) throw new TooLargeError(`more than ${limits.maxSamples} samples`);
      start = readValue(text, start + entry.key.length);
      take(reading, entry, vocabulary);
    }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new FormatError(error.at, `line ${lineNumber}, column ${Math.max(0, error.at - start) + 1}: ${error.message}`);
  }
}

/** The value that readValue read: a result beside the position, without an object for each of a million lines. */
let value = 0;

/** Reads a value, a timestamp and the end of the line; the place behind that. */
function readValue(text: string, from: number): number {
  let at = from;
  while (isBlank(text.charCodeAt(at))) at++;
  const first = at;
  let number = 0;
  let code = text.charCodeAt(at);
  while (code >= 0x30 && code <= 0x39) {
    number = number * 10 + code - 0x30;
    code = text.charCodeAt(++at);
  }
  if (code === 0x0a && at > first && at - first <= 15 && first > from) {
    value = number;
    return at + 1;
  }
  const end = lineEndAt(text, first);
  const [, word = "", timestamp] = /^([^ \t]+)(?:[ \t]+([^ \t]+))?[ \t]*$/.exec(text.slice(first, end)) ?? [];
  if (word === "" || first === from) throw new FormatError(first, `expected a blank and a value, got ${shown(text, first, end)}`);
  value = numberOf(word, first);
  if (timestamp !== undefined && !/^-?\d{1,19}$/.test(timestamp)) {
    throw new FormatError(first, `expected a timestamp in milliseconds, got ${JSON.stringify(timestamp.slice(0, 20))}`);
  }
  return end + 1;
}

function numberOf(word: string, at: number): number {
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(word)) return Number(word);
  if (/^nan$/i.test(word)) return Number.NaN;
  const [, sign] = /^([+-]?)inf(?:inity)?$/i.exec(word) ?? [];
  if (sign === undefined) throw new FormatError(at, `expected a number, got ${JSON.stringify(word.slice(0, 20))}`);
  return sign === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

function isAt({ key, comment }: Entry, text: string, start: number): boolean {
  if (!text.startsWith(key, start)) return false;
  const behind = text.charCodeAt(start + key.length);
  // A comment is known by all of its line; a name goes on with a brace, not with a value.
  return comment ? behind === 0x0a : isBlank(behind) && (key.endsWith("}") || text.charCodeAt(start + key.length + 1) !== 0x7b);
}

function holds({ family, version, comment }: Entry, now: number): boolean {
  return comment || family === undefined || (family.version === version && (family.typedIn === now || family.type === "untyped"));
}

function lookUp(text: string, start: number, end: number, vocabulary: Vocabulary, now: number): { entry: Entry; fresh: boolean } {
  const isComment = text.charCodeAt(start) === 0x23;
  const key = text.slice(start, isComment ? end : endOfKey(text, start, end));
  if (key === "") throw new FormatError(start, `expected a name, got ${shown(text, start, end)}`);
  const known = vocabulary.find(key);
  if (known !== undefined && holds(known, now)) return { entry: known, fresh: false };
  if (vocabulary.full) throw new TooLargeError("the service's instances have too many different series");
  try {
    return { entry: isComment ? vocabulary.addComment(key) : vocabulary.addSample(key, now), fresh: known === undefined };
  } catch (error) {
    throw error instanceof FormatError ? new FormatError(start + error.at, error.message) : error;
  }
}

function declare(family: Family, type: Family["type"], vocabulary: Vocabulary, now: number): void {
  if (family.typedIn === now) throw new FormatError(0, `there is a second TYPE of ${family.name}`);
  if (family.openedIn === now) throw new FormatError(0, `TYPE of ${family.name} comes after its samples`);
  family.typedIn = now;
  vocabulary.setType(family, type);
}

function enter(next: Family | undefined, last: Family | undefined, now: number, at: number): Family | undefined {
  if (last !== undefined) last.closedIn = now;
  if (next?.closedIn === now) throw new FormatError(at, `the samples of ${next.name} do not stand together`);
  if (next !== undefined) next.openedIn = now;
  return next;
}

function take(reading: Reading, { index, gauge, startTime }: Entry, vocabulary: Vocabulary): void {
  if (startTime && Number.isFinite(value)) reading.startTime = value;
  if (index === -1) return;
  if (index >= reading.values.length || vocabulary.measures.length > reading.gaugeSums.length) grow(reading, vocabulary);
  if (!gauge) reading.values[index] = value;
  else if (Number.isFinite(value)) {
    const sum = reading.gaugeSums[index] ?? Number.NaN;
    const max = reading.gaugeMaxima[index] ?? Number.NaN;
    reading.gaugeSums[index] = Number.isNaN(sum) ? value : sum + value;
    reading.gaugeMaxima[index] = Number.isNaN(max) ? value : Math.max(max, value);
  }
}

function clear(reading: Reading, vocabulary: Vocabulary): void {
  if (reading.values.length < vocabulary.size) grow(reading, vocabulary);
  for (const numbers of [reading.values, reading.gaugeSums, reading.gaugeMaxima]) numbers.fill(Number.NaN);
  reading.samples = 0;
  reading.startTime = undefined;
}

function grow(reading: Reading, { size, measures }: Vocabulary): void {
  const wider = (numbers: Float64Array, length: number) => {
    if (numbers.length >= length) return numbers;
    const more = new Float64Array(Math.max(64, 2 ** Math.ceil(Math.log2(length)))).fill(Number.NaN);
    more.set(numbers);
    return more;
  };
  reading.values = wider(reading.values, size);
  reading.gaugeSums = wider(reading.gaugeSums, measures.length);
  reading.gaugeMaxima = wider(reading.gaugeMaxima, measures.length);
}

function lineEndAt(text: string, start: number): number {
  const end = text.indexOf("\n", start);
  if (end === -1) throw new FormatError(text.length, "expected a line feed at the end");
  return end;
}

function isEmpty(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (!isBlank(text.charCodeAt(at))) return false;
  return true;
}
