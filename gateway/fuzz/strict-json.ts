/**
 * What the gateway asks of JSON beyond protobuf-es's fromJson, and what it takes that fromJson does not: the oracle's list of decisions. What
 * passes is written so that fromJson reads it: names of the contract, exact numbers, nothing that is null.
 */
import { type DescField, type DescMessage, type Registry, ScalarType } from "@bufbuild/protobuf";
import { isObject, NumberToken, Refused, type Tree, Unknowable } from "./json-tree.ts";

/** JSON as fromJson takes it. */
export type Plain = null | boolean | string | number | readonly Plain[] | PlainObject;
/** An object of it. */
export interface PlainObject {
  [key: string]: Plain;
}

/** An object in which no key is special. */
export function plainObject(): PlainObject {
  return Object.create(null) as PlainObject;
}

/** Checks JSON of a message. @throws Refused, Unknowable */
export function strictMessage(type: DescMessage, tree: Tree, types: Registry): Plain {
  const own = ownForms[type.typeName] ?? (isWrapper(type) ? wrapperForm : undefined);
  if (own !== undefined) return own(type, tree, types);
  if (!isObject(tree)) throw new Refused(`${type.typeName}: no object`);
  const plain = plainObject();
  const seen = new Set<DescField>();
  for (const [key, value] of Object.entries(tree)) {
    // A JSON name goes before another field's own name.
    const field = type.fields.find(({ jsonName }) => jsonName === key) ?? type.fields.find(({ name }) => name === key);
    if (field === undefined) throw new Refused(`unknown field ${key}`);
    if (seen.has(field)) throw new Refused(`${key} twice`);
    seen.add(field);
    if (value === null && !takesNull(field)) continue;
    plain[field.name] = strictField(field, value, types);
  }
  checkOneofs(type, plain);
  return plain;
}

/** Checks JSON of a field; not its null. @throws Refused, Unknowable */
export function strictField(field: DescField, tree: Tree, types: Registry): Plain {
  if (field.fieldKind === "list") {
    if (!Array.isArray(tree)) throw new Refused(`${field.name}: no array`);
    return tree.map((item) => strictValue(field, item, types));
  }
  if (field.fieldKind !== "map") return strictValue(field, tree, types);
  if (!isObject(tree)) throw new Refused(`${field.name}: no object`);
  const plain = plainObject();
  for (const [key, value] of Object.entries(tree)) {
    const known = strictKey(field.mapKey, key);
    if (Object.hasOwn(plain, known)) throw new Refused(`${field.name}: key ${key} twice`);
    plain[known] = strictValue(field, value, types);
  }
  return plain;
}

/** The key of a map in the one form of its value. @throws Refused */
export function strictKey(type: ScalarType, text: string): string {
  if (type === ScalarType.STRING) return wellFormed(text);
  if (type === ScalarType.BOOL && (text === "true" || text === "false")) return text;
  if (type === ScalarType.BOOL || !/^-?[0-9]+$/.test(text)) throw new Refused(`the key ${text}`);
  return String(integer(type, text));
}

/** @throws Refused when two members of a oneof are set. */
export function checkOneofs(type: DescMessage, plain: PlainObject): void {
  for (const oneof of type.oneofs) {
    if (oneof.fields.filter(({ name }) => Object.hasOwn(plain, name)).length > 1) throw new Refused(`two of ${oneof.name}`);
  }
}

/** Whether null is a value of the field. */
export function takesNull(field: DescField): boolean {
  if (field.fieldKind !== "message") return field.enum?.typeName === "google.protobuf.NullValue" && field.fieldKind === "enum";
  return field.message.typeName === "google.protobuf.Value";
}

/** Whether the type is one of the wrappers. */
export function isWrapper(type: DescMessage): boolean {
  return /^google\.protobuf\.(String|Bytes|Bool|Double|Float|U?Int(32|64))Value$/.test(type.typeName);
}

function strictValue(field: DescField, tree: Tree, types: Registry): Plain {
  if (field.message !== undefined) return strictMessage(field.message, tree, types);
  if (field.enum === undefined) return strictScalar(field.scalar, tree);
  if (field.enum.typeName === "google.protobuf.NullValue" && tree === null) return null;
  if (typeof tree === "string") return tree;
  return Number(integer(ScalarType.INT32, shortExponent(numberText(tree))));
}

function strictScalar(type: ScalarType, tree: Tree): Plain {
  switch (type) {
    case ScalarType.BOOL:
      if (typeof tree === "boolean") return tree;
      break;
    case ScalarType.STRING:
      if (typeof tree === "string") return wellFormed(tree);
      break;
    case ScalarType.BYTES:
      if (typeof tree === "string" && isBase64(tree)) return tree;
      break;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      if (tree === "NaN" || tree === "Infinity" || tree === "-Infinity") return tree;
      return finite(typeof tree === "string" ? tree : numberText(tree));
    default:
      return String(integer(type, typeof tree === "string" ? tree : shortExponent(numberText(tree))));
  }
  throw new Refused(`no ${ScalarType[type]}`);
}

function numberText(tree: Tree): string {
  if (tree instanceof NumberToken) return tree.text;
  throw new Refused("no number");
}

/** Of a number, unlike of a text, the exponent may have any length: nothing to the power of ten is nothing. */
function shortExponent(text: string): string {
  const [, digits = text, sign = "", exponent = "0"] = /^([^eE]*)[eE]([+-]?)0*([0-9]*)$/.exec(text) ?? [];
  return !/[1-9]/.test(digits) ? "0" : text.replace(/[eE].*$/, `e${sign}${exponent === "" ? "0" : exponent}`);
}

/** Decimal digits, also with a point and an exponent, and nothing that a double would round to infinity. */
function finite(text: string): number {
  const value = Number(text);
  if (!/^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$/.test(text) || !Number.isFinite(value)) throw new Refused(`no number: ${text}`);
  return value;
}

const ranges: Readonly<Partial<Record<ScalarType, readonly [bigint, bigint]>>> = Object.fromEntries([
  ...["INT32", "SINT32", "SFIXED32"].map((name) => [ScalarType[name as "INT32"], [-(2n ** 31n), 2n ** 31n - 1n]]),
  ...["UINT32", "FIXED32"].map((name) => [ScalarType[name as "UINT32"], [0n, 2n ** 32n - 1n]]),
  ...["INT64", "SINT64", "SFIXED64"].map((name) => [ScalarType[name as "INT64"], [-(2n ** 63n), 2n ** 63n - 1n]]),
  ...["UINT64", "FIXED64"].map((name) => [ScalarType[name as "UINT64"], [0n, 2n ** 64n - 1n]]),
]);

/** Any way to write an exact integer in decimal: 1.0 and 1e2 too. At most 100 characters, and exponents of four digits. */
function integer(type: ScalarType, text: string): bigint {
  const [all, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,4}))?$/.exec(text) ?? [];
  if (all === undefined || text.length > 100) throw new Refused(`no integer: ${text}`);
  const scale = Number(exponent) - fraction.length;
  const digits = BigInt(whole + fraction);
  // Powers of ten beyond any range only matter for zero.
  const power = 10n ** BigInt(Math.min(Math.abs(scale), 200));
  const magnitude = scale >= 0 ? digits * power : digits % power === 0n ? digits / power : undefined;
  const [least, most] = ranges[type] ?? [0n, 0n];
  const value = magnitude === undefined ? undefined : sign === "-" ? -magnitude : magnitude;
  if (value === undefined || value < least || value > most) throw new Refused(`not in range: ${text}`);
  return value;
}

/** Either alphabet, padding whole or absent. */
function isBase64(text: string): boolean {
  const [, data = "", padding = ""] = /^([A-Za-z0-9+/_-]*)(={0,2})$/.exec(text) ?? [undefined, "!"];
  return data !== "!" && data.length % 4 !== 1 && (padding === "" || (data.length + padding.length) % 4 === 0);
}

function wellFormed(text: string): string {
  if (!text.isWellFormed()) throw new Refused("half of a surrogate pair");
  return text;
}

type Form = (type: DescMessage, tree: Tree, types: Registry) => Plain;

const wrapperForm: Form = (type, tree) => strictScalar(type.fields[0]?.scalar ?? ScalarType.STRING, tree);

const ownForms: Readonly<Record<string, Form>> = {
  // A day that the calendar has, an hour below 24, an offset that a clock can have: Date.parse takes 24:00 and rolls days over.
  "google.protobuf.Timestamp"(_type, tree) {
    const [text, year, month, day] =
      (typeof tree === "string" ? /^(\d{4})-(\d\d)-(\d\d)T(?:[01]\d|2[0-3]):\d\d:\d\d/.exec(tree) : null) ?? [];
    const days = new Date(Date.UTC(2000 + (Number(year) % 400), Number(month), 0)).getUTCDate();
    if (text === undefined || Number(day) < 1 || Number(day) > days) throw new Refused(`no time: ${String(tree)}`);
    return tree as string;
  },
  // Nothing after the "s", and not a nanosecond over 10,000 years.
  "google.protobuf.Duration"(_type, tree) {
    const [all, seconds = "", fraction = ""] =
      (typeof tree === "string" ? /^-?([0-9]{1,12})(?:\.([0-9]{1,9}))?s$/.exec(tree) : null) ?? [];
    const most = 315_576_000_000n;
    if (all === undefined || BigInt(seconds) > most) throw new Refused(`no duration: ${String(tree)}`);
    if (BigInt(seconds) === most && /[1-9]/.test(fraction)) throw new Refused(`no duration: ${String(tree)}`);
    return all;
  },
  // Names in either case. fromJson wants the one of JSON, which some names do not have.
  "google.protobuf.FieldMask"(_type, tree) {
    if (typeof tree !== "string") throw new Refused("no mask");
    if (tree === "") return tree;
    const paths = tree.split(",");
    const isPath = (path: string) => path === "*" || /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/.test(path);
    if (!paths.every(isPath)) throw new Refused(`no mask: ${tree}`);
    if (!paths.every((path) => /^[a-z]/.test(path) && !/_[^a-z]|_$/.test(path))) {
      if (paths.some((path) => path !== "*")) throw new Unknowable(`the mask ${tree}`);
    }
    return paths.map((path) => path.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())).join(",");
  },
  "google.protobuf.Value": (_type, tree) => free(tree),
  "google.protobuf.Struct"(_type, tree) {
    if (!isObject(tree)) throw new Refused("no object");
    return free(tree);
  },
  "google.protobuf.ListValue"(_type, tree) {
    if (!Array.isArray(tree)) throw new Refused("no array");
    return free(tree);
  },
  "google.protobuf.Any"(_type, tree, types) {
    if (!isObject(tree)) throw new Refused("no object");
    if (Object.keys(tree).length === 0) return plainObject();
    const { "@type": url, ...rest } = tree;
    const type = typeof url === "string" ? types.getMessage(url.slice(url.lastIndexOf("/") + 1)) : undefined;
    if (type === undefined || typeof url !== "string") throw new Refused("no known @type");
    if (type.typeName !== "google.protobuf.Any" && ownForms[type.typeName] === undefined && !isWrapper(type)) {
      return Object.assign(plainObject(), strictMessage(type, rest, types) as PlainObject, { "@type": url });
    }
    if (Object.keys(rest).some((key) => key !== "value")) throw new Refused("more than a value");
    if (!Object.hasOwn(rest, "value"))
      throw type.typeName === "google.protobuf.Value" ? new Unknowable("no value") : new Refused("no value");
    return Object.assign(plainObject(), { "@type": url, value: strictMessage(type, rest.value ?? null, types) });
  },
};

/** Numbers are doubles, and finite. */
function free(tree: Tree): Plain {
  if (tree instanceof NumberToken) return finite(tree.text);
  if (typeof tree === "string") return wellFormed(tree);
  if (Array.isArray(tree)) return tree.map(free);
  if (!isObject(tree)) return tree as boolean | null;
  const plain = plainObject();
  for (const [key, value] of Object.entries(tree)) plain[wellFormed(key)] = free(value);
  return plain;
}
