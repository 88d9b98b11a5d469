/** JSON as clients write it: many spellings of the same value, and values that are nearly right. */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import type { Random } from "./random.ts";

/** JSON with a place for anything: a text that stands in it as it is. */
export type Loose = null | boolean | number | string | Raw | Loose[] | Pairs;
/** An object as its members in order, so that a key can stand twice. */
export class Pairs {
  readonly members: [key: string, value: Loose][];

  constructor(members: [key: string, value: Loose][]) {
    this.members = members;
  }
}
/** A text that is put into the JSON without quotes. */
export class Raw {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** The JSON of a message in another spelling: names, numbers as texts and the reverse, blanks, the order of members. */
export function respell(random: Random, type: DescMessage, json: unknown): Loose {
  if (typeof json !== "object" || json === null || Array.isArray(json) || type.typeName.startsWith("google.protobuf."))
    return loose(json);
  const members = Object.entries(json).flatMap(([key, value]): [string, Loose][] => {
    const field = type.fields.find(({ jsonName }) => jsonName === key);
    if (field === undefined) return [[key, loose(value)]];
    return [[random.chance(0.3) ? field.name : key, respellField(random, field, value)]];
  });
  if (random.chance(0.05) && type.fields.length > 0) {
    const field = random.pick(type.fields);
    if (!members.some(([key]) => key === field.name || key === field.jsonName)) members.push([field.jsonName, null]);
  }
  return new Pairs(random.chance(0.2) ? random.shuffled(members) : members);
}

/** The same of a field's value. */
export function respellField(random: Random, field: DescField, json: unknown): Loose {
  if (field.fieldKind === "list" && Array.isArray(json)) return json.map((item) => respellValue(random, field, item));
  if (field.fieldKind !== "map" || typeof json !== "object" || json === null) return respellValue(random, field, json);
  return new Pairs(Object.entries(json).map(([key, value]) => [key, respellValue(random, field, value)]));
}

function respellValue(random: Random, field: DescField, json: unknown): Loose {
  if (field.message !== undefined) return respell(random, field.message, json);
  if (field.enum !== undefined && typeof json === "string" && random.chance(0.3)) {
    return field.enum.values.find(({ name }) => name === json)?.number ?? json;
  }
  if (!random.chance(0.2)) return loose(json);
  if (field.scalar === ScalarType.BYTES && typeof json === "string") {
    return random.pick([json.replaceAll("+", "-").replaceAll("/", "_"), json.replace(/=+$/, "")]);
  }
  if (typeof json === "number") return random.pick([new Raw(String(json)), String(json), new Raw(json.toExponential(25))]);
  if (typeof json === "string" && /^-?[0-9]+$/.test(json) && field.scalar !== ScalarType.STRING) {
    return random.pick([new Raw(json), new Raw(`${json}.0`), `${json}e0`, new Raw(`${json}0E-1`), `0${json}`]);
  }
  return loose(json);
}

/** Makes it wrong, or not, somewhere. */
export function mutate(random: Random, json: Loose): Loose {
  if (json instanceof Pairs && json.members.length > 0 && random.chance(0.85)) {
    const at = random.below(json.members.length);
    const members = json.members.map((member) => [...member] as [string, Loose]);
    const [key, value] = members[at] ?? ["", null];
    const kind = random.below(12);
    if (kind === 0) members.push([key, random.pick([value, junk(random)])]);
    else if (kind === 1)
      members[at] = [random.pick([`${key}x`, key.toUpperCase(), "", "__proto__", `[${key}]`, " ", "01"]), value];
    else if (kind === 2) members.splice(at, 1);
    else if (kind === 3)
      members.push([random.pick(["nope", "__proto__", "constructor", "@type", "name", "value", "0"]), junk(random)]);
    else members[at] = [key, mutate(random, value)];
    return new Pairs(members);
  }
  if (Array.isArray(json) && json.length > 0 && random.chance(0.8)) {
    const at = random.below(json.length);
    return random.chance(0.1) ? [...json, junk(random)] : json.map((item, index) => (index === at ? mutate(random, item) : item));
  }
  return junk(random);
}

/** A value of no type in particular. */
export function junk(random: Random): Loose {
  const kind = random.below(9);
  if (kind === 0) return random.pick([null, true, false, [], new Pairs([]), [null], [[]]]);
  if (kind < 4) return random.pick(numbers.map((text) => new Raw(text)));
  if (kind === 4) return random.pick(numbers);
  return random.pick(strays);
}

const numbers = [
  "0",
  "-0",
  "1",
  "-1",
  "1.5",
  "1e2",
  "1E+2",
  "1e-2",
  "100e-2",
  "1.0",
  "00",
  "01",
  "+1",
  "1.",
  ".5",
  "0x10",
  "1e400",
  "-1e400",
].concat([
  ...[
    "1e-400",
    "2147483647",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "1e19",
    "-0.0",
  ],
  ...[
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1_0",
    "1n",
  ],
  ...[
    "3.5e38",
    "3.4028235e38",
    "1.7976931348623159e308",
    "0e99999",
    "0.1e1",
    "NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "inf",
    " 1",
    "1 ",
    "",
  ],
]);
const strays = [
  "KIND_A",
  "KIND_NOPE",
  "kind_a",
  "true",
  "null",
  "1.5s",
  "-0.5s",
  "1s ",
  "1.s",
  "315576000000.5s",
  "2030-01-01T00:00:00Z",
].concat([
  ...[
    "2030-02-30T00:00:00Z",
    "2030-01-01T24:00:00Z",
    "2030-01-01t00:00:00z",
    "0000-01-01T00:00:00Z",
    "2030-01-01T00:00:00.1234567890Z",
  ],
  ...[
    "2030-01-01T00:00:00+23:59",
    "2030-01-01T00:00:00+24:00",
    "9999-12-31T23:59:59-00:01",
    "2030-01-01T00:00:60Z",
    "2000-02-29T12:00:00Z",
  ],
  ...[
    "a,b",
    "a.b,c_d",
    "fooBar",
    "a,,b",
    "*",
    "a b",
    "_a",
    "a_1",
    "AAE=",
    "AAE",
    "-_8",
    "AA=",
    "A",
    "A===",
    "AAA=A",
    "\ud800",
    "x\udc00y",
  ],
  ...[
    "fuzz.v1.Message0",
    "type.googleapis.com/fuzz.v1.Message0",
    "type.googleapis.com/google.protobuf.Duration",
    "\u0000",
    "ä€😀",
  ],
]);

/** Writes it, with blanks and escapes here and there. */
export function write(random: Random, json: Loose): string {
  const blank = () => (random.chance(0.05) ? random.pick([" ", "\n", "\t", "\r\n  "]) : "");
  if (json instanceof Raw) return json.text;
  if (typeof json === "string") return random.chance(0.05) ? escaped(json) : JSON.stringify(json);
  if (Array.isArray(json)) return `[${json.map((item) => `${blank()}${write(random, item)}${blank()}`).join(",")}]`;
  if (json instanceof Pairs) {
    const members = json.members.map(
      ([key, value]) => `${blank()}${write(random, key)}${blank()}:${blank()}${write(random, value)}`,
    );
    return `{${members.join(",")}${blank()}}`;
  }
  return JSON.stringify(json);
}

function escaped(text: string): string {
  const units = Array.from({ length: text.length }, (_, index) => text.charCodeAt(index).toString(16).padStart(4, "0"));
  return `"${units.map((unit) => `\\u${unit}`).join("")}"`;
}

/** Plain JSON as loose JSON. */
export function loose(json: unknown): Loose {
  if (Array.isArray(json)) return json.map(loose);
  if (typeof json !== "object" || json === null) return json as Loose;
  return new Pairs(Object.entries(json).map(([key, value]) => [key, loose(value)]));
}
