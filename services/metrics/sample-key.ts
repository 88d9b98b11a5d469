/**
 * The series that a sample is of: the part of a line before its value.
 *
 *     series = name [ blanks "{" [ label { "," label } [ "," ] ] "}" ]
 *     label  = label-name "=" '"' { character | "\\" | "\"" | "\n" } '"'
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */

/** A name and its labels, in the order in which they were written. */
export interface SampleKey {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
}

/** What is wrong with a text, and where in it: an offset from its start, in characters. */
export class FormatError extends Error {
  override readonly name = "FormatError";
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

const maxName = 300;
const maxLabels = 64;
const maxLabelValue = 4096;

/**
 * Where the series that begins at `start` ends: behind its name, or behind its `}`.
 *
 * It only looks for quotes and braces; parseKey says whether what is between is right.
 *
 * @throws FormatError when the labels do not end on the line.
 */
export function endOfKey(text: string, start: number, lineEnd: number): number {
  let at = start;
  while (at < lineEnd && isNameCode(text.charCodeAt(at))) at++;
  let brace = at;
  while (brace < lineEnd && isBlank(text.charCodeAt(brace))) brace++;
  if (text.charCodeAt(brace) !== openBrace || brace >= lineEnd) return at;
  let quoted = false;
  for (at = brace + 1; at < lineEnd; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) quoted = !quoted;
    else if (code === backslash && quoted) at++;
    else if (code === closeBrace && !quoted) return at + 1;
  }
  throw new FormatError(start, 'expected "}" at the end of the labels, got the end of the line');
}

/** Reads a whole series. Offsets in errors count from its start. @throws FormatError. */
export function parseKey(key: string): SampleKey {
  let at = 0;
  const name = readName(true);
  const labels = new Map<string, string>();
  skipBlanks();
  if (at < key.length) {
    // endOfKey stops nowhere else.
    at++;
    for (skipBlanks(); key[at] !== "}"; skipBlanks()) {
      if (labels.size === maxLabels) throw new FormatError(at, `expected at most ${maxLabels} labels`);
      const before = at;
      const label = readName(false);
      if (labels.has(label)) throw new FormatError(before, `label ${label} is there twice`);
      skipBlanks();
      expect("=");
      skipBlanks();
      labels.set(label, readValue());
      skipBlanks();
      if (key[at] !== "}") expect(",");
    }
  }
  return { name, labels };

  function readName(colons: boolean): string {
    const from = at;
    while (isNameCode(key.charCodeAt(at)) && (colons || key[at] !== ":")) at++;
    const found = key.slice(from, at);
    if (found === "" || /^\d/.test(found)) throw new FormatError(from, `expected a name, got ${shown(key, from)}`);
    if (found.length > maxName) throw new FormatError(from, `expected a name of at most ${maxName} characters`);
    return found;
  }

  function readValue(): string {
    expect('"');
    const from = at;
    while (key[at] !== '"') at += key[at] === "\\" ? 2 : 1;
    const raw = key.slice(from, at++);
    if (raw.length > maxLabelValue) {
      throw new FormatError(from, `expected a label's value of at most ${maxLabelValue} characters`);
    }
    return raw.replaceAll(/\\(.)/g, (sequence, letter) => {
      if (letter === "n") return "\n";
      if (letter === "\\" || letter === '"') return letter;
      throw new FormatError(from, `expected an escape \\\\, \\" or \\n, got ${sequence}`);
    });
  }

  function expect(letter: string): void {
    if (key[at] !== letter) throw new FormatError(at, `expected ${JSON.stringify(letter)}, got ${shown(key, at)}`);
    at++;
  }

  function skipBlanks(): void {
    while (isBlank(key.charCodeAt(at))) at++;
  }
}

/** What stands at `at`, for a message. */
export function shown(text: string, at: number, end = text.length): string {
  return at >= end ? "the end" : JSON.stringify(text.slice(at, Math.min(end, at + 20)));
}

const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** Space and tab. */
export function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** A letter, digit, underscore or colon. */
function isNameCode(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || (code >= 0x30 && code <= 0x3a) || code === 0x5f;
}
