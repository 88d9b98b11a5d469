/** Scalars from JSON (ProtoJSON's rules) and from the text of paths and queries. Undefined means: it is not one. */
import { type DescEnum, ScalarType } from "@bufbuild/protobuf";
import { type Json, NumberText } from "./json.ts";

/** A scalar as messages hold it: 64-bit integers are bigint. */
export type Scalar = string | boolean | number | bigint | Uint8Array;

/** Reads a JSON value as a scalar of the type; undefined when it is none. */
export function readScalar(type: ScalarType, json: Json): Scalar | undefined {
  switch (type) {
    case ScalarType.STRING:
      return typeof json === "string" ? json : undefined;
    case ScalarType.BOOL:
      return typeof json === "boolean" ? json : undefined;
    case ScalarType.BYTES:
      return typeof json === "string" ? readBase64(json) : undefined;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return readFloat(type, json);
    default:
      return readInteger(type, json);
  }
}

/** Reads the text of a path or query as a scalar of the type: as JSON, but integers are decimal digits and nothing else. */
export function readScalarText(type: ScalarType, text: string): Scalar | undefined {
  if (type === ScalarType.BOOL) return text === "true" ? true : text === "false" ? false : undefined;
  const integer = type in integerRanges;
  return integer && !/^-?[0-9]+$/.test(text) ? undefined : readScalar(type, text);
}

/** Reads a key of a map from the text that JSON and queries have for it. */
export function readMapKey(type: ScalarType, text: string): Scalar | undefined {
  return type === ScalarType.STRING ? text : readScalarText(type, text);
}

/** Reads an enum value by its name or, from JSON numbers, by its number. An open enum keeps a number that it does not name. */
export function readEnum(type: DescEnum, json: Json): number | undefined {
  if (typeof json === "string") return numbersOf(type).get(json);
  const number = typeof json === "number" || json instanceof NumberText ? readInteger(ScalarType.INT32, json) : undefined;
  if (typeof number !== "number") return undefined;
  return type.open || type.values.some((value) => value.number === number) ? number : undefined;
}

/** Reads the text of a path or query as an enum value, by name or number. */
export function readEnumText(type: DescEnum, text: string): number | undefined {
  const byName = readEnum(type, text);
  return byName === undefined && /^-?[0-9]{1,10}$/.test(text) ? readEnum(type, Number(text)) : byName;
}

/** What a value of the type looks like, for messages: "a 32-bit integer". */
export function expectedScalar(type: ScalarType): string {
  return type in integerRanges ? (integerRanges[type]?.name ?? "") : (names[type] ?? "a scalar");
}

/** What a value of the enum looks like, for messages. */
export function expectedEnum(type: DescEnum): string {
  const values = type.values.slice(0, 10).map(({ jsonName }) => jsonName);
  return `one of ${values.join(", ")}${type.values.length > 10 ? ", ..." : ""}`;
}

const numbers = new WeakMap<DescEnum, ReadonlyMap<string, number>>();

function numbersOf(type: DescEnum): ReadonlyMap<string, number> {
  let found = numbers.get(type);
  if (found === undefined) {
    found = new Map(type.values.flatMap(({ name, jsonName, number }) => [[name, number] as const, [jsonName, number] as const]));
    numbers.set(type, found);
  }
  return found;
}

const names: Readonly<Partial<Record<ScalarType, string>>> = {
  [ScalarType.STRING]: "string",
  [ScalarType.BOOL]: "true or false",
  [ScalarType.BYTES]: "base64",
  [ScalarType.DOUBLE]: "a number, NaN, Infinity or -Infinity",
  [ScalarType.FLOAT]: "a 32-bit number, NaN, Infinity or -Infinity",
};

interface IntegerRange {
  readonly name: string;
  readonly min: bigint;
  readonly max: bigint;
  readonly long: boolean;
  /** min and max as numbers, for those that are exact as such. */
  readonly least: number;
  readonly most: number;
}

function range(name: string, min: bigint, max: bigint, long: boolean): IntegerRange {
  return { name, min, max, long, least: Number(min), most: Number(max) };
}

const int32 = range("a 32-bit integer", -(2n ** 31n), 2n ** 31n - 1n, false);
const uint32 = range("an unsigned 32-bit integer", 0n, 2n ** 32n - 1n, false);
const int64 = range("a 64-bit integer", -(2n ** 63n), 2n ** 63n - 1n, true);
const uint64 = range("an unsigned 64-bit integer", 0n, 2n ** 64n - 1n, true);

const integerRanges: Readonly<Partial<Record<ScalarType, IntegerRange>>> = {
  [ScalarType.INT32]: int32,
  [ScalarType.SINT32]: int32,
  [ScalarType.SFIXED32]: int32,
  [ScalarType.UINT32]: uint32,
  [ScalarType.FIXED32]: uint32,
  [ScalarType.INT64]: int64,
  [ScalarType.SINT64]: int64,
  [ScalarType.SFIXED64]: int64,
  [ScalarType.UINT64]: uint64,
  [ScalarType.FIXED64]: uint64,
};

function readInteger(type: ScalarType, json: Json): number | bigint | undefined {
  const range = integerRanges[type];
  if (range === undefined) return undefined;
  // Most integers by far; bigints cost ten times as much.
  if (typeof json === "number" && Number.isSafeInteger(json) && (json >= 0 || range.min < 0n)) {
    if (range.long) return BigInt(json);
    // -0 is no integer of its own.
    if (json >= range.least && json <= range.most) return json + 0;
    return undefined;
  }
  const value = integerOf(json);
  if (value === undefined || value < range.min || value > range.max) return undefined;
  return range.long ? value : Number(value);
}

/** The exact integer of a JSON number or of a string that holds one; 1.0 and 1e2 are integers too (ProtoJSON). */
function integerOf(json: Json): bigint | undefined {
  if (typeof json === "number") return Number.isSafeInteger(json) ? BigInt(json) : integerOf(new NumberText(String(json)));
  const text = json instanceof NumberText ? json.text : json;
  if (typeof text !== "string") return undefined;
  const parts = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,4}))?$/.exec(text);
  if (parts === null || text.length > 100) return undefined;
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = parts;
  const digits = (whole + fraction).replace(/^0+(?=.)/, "");
  const zeros = Number(exponent) - fraction.length;
  if (digits === "0" || /^0+$/.test(digits)) return 0n;
  if (zeros > 30) return undefined;
  if (zeros >= 0) return BigInt(`${sign}${digits}${"0".repeat(zeros)}`);
  // What follows the decimal point must be nothing but zeros.
  const kept = digits.slice(0, zeros);
  return kept !== "" && /^0*$/.test(digits.slice(zeros)) ? BigInt(sign + kept) : undefined;
}

function readFloat(type: ScalarType, json: Json): number | undefined {
  if (json === "NaN") return Number.NaN;
  if (json === "Infinity") return Number.POSITIVE_INFINITY;
  if (json === "-Infinity") return Number.NEGATIVE_INFINITY;
  const text = json instanceof NumberText ? json.text : json;
  if (typeof text === "string" && !/^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$/.test(text)) return undefined;
  if (typeof text !== "string" && typeof text !== "number") return undefined;
  const value = Number(text);
  // 3.4028235e38, as many write the largest single, is a little more than that, and rounds to it.
  return Number.isFinite(type === ScalarType.FLOAT ? Math.fround(value) : value) ? value : undefined;
}

/** Either alphabet of RFC 4648, with or without padding. */
function readBase64(text: string): Uint8Array | undefined {
  const data = text.replace(/={1,2}$/, "");
  if (!/^[A-Za-z0-9+/_-]*$/.test(data) || data.length % 4 === 1) return undefined;
  if (text.length !== data.length && text.length % 4 !== 0) return undefined;
  return new Uint8Array(Buffer.from(data, "base64"));
}
