/**
 * ProtoJSON into messages, with every mistake named by its field path and the type expected there. Paths use the names of
 * the contract (`user.email`, `items[2].price`), as validation's errors do.
 */
import { create, type DescField, type DescMessage, type Registry, ScalarType } from "@bufbuild/protobuf";
import { type ReflectList, type ReflectMap, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import { describeJson, type Json, type JsonObject } from "./json.ts";
import { expectedEnum, expectedScalar, readEnum, readScalar, type Scalar } from "./scalar.ts";
import type { Violations } from "./violations.ts";
import { expectedOwn, hasOwnJson, readOwnJson } from "./well-known.ts";

/** What a reading needs beside the JSON. */
export interface Reading {
  /** The types that google.protobuf.Any may hold. */
  readonly types: Registry;
  /** True: names that the contract does not know are skipped. False: they are mistakes. */
  readonly lenient: boolean;
  /** Where mistakes go; reading goes on after one. */
  readonly violations: Violations;
}

/** Reads a JSON value as a message; undefined after mistakes that left nothing to set. */
export function readMessage(reading: Reading, type: DescMessage, json: Json, path: string): ReflectMessage | undefined {
  if (hasOwnJson(type)) {
    const message = readOwnJson(type, json);
    if (message === undefined) return reading.violations.expected(path, expectedOwn(type), describeJson(json));
    return reflect(type, message);
  }
  if (!(json instanceof Map)) return reading.violations.expected(path, "an object", describeJson(json));
  if (type.typeName === AnySchema.typeName) return readAny(reading, json, path);
  const message = reflect(type, create(type), false);
  readMembers(reading, message, json, path);
  return message;
}

/** Reads a JSON value as the value of a field and sets it; null leaves the field unset. */
export function readField(reading: Reading, message: ReflectMessage, field: DescField, json: Json, path: string): void {
  if (json === null && !takesNull(field)) return;
  if (!claimOneof(reading.violations, message, field, path)) return;
  if (field.fieldKind === "list") readList(reading, message.get(field), field, json, path);
  else if (field.fieldKind === "map") readMap(reading, message.get(field), field, json, path);
  else {
    const value = readSingle(reading, field, json, path);
    if (value !== undefined) message.set(field, value);
  }
}

/** Whether the field may be set: not when another member of its oneof is. The mistake is noted. */
export function claimOneof(violations: Violations, message: ReflectMessage, field: DescField, path: string): boolean {
  if (field.oneof === undefined) return true;
  const other = message.oneofCase(field.oneof);
  if (other === undefined || other === field) return true;
  violations.add(path, `${other.name} is set too, and only one of the oneof "${field.oneof.name}" can be`);
  return false;
}

/** The field that a JSON key or query name stands for: by JSON name or by the contract's name. */
export function fieldNamed(type: DescMessage, name: string): DescField | undefined {
  return type.fields.find((field) => field.jsonName === name) ?? type.fields.find((field) => field.name === name);
}

/** The path of a member: `user` and `email` make `user.email`. */
export function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function readMembers(reading: Reading, message: ReflectMessage, json: JsonObject, path: string): void {
  const seen = new Set<DescField>();
  for (const [key, value] of json) {
    const field = fieldNamed(message.desc, key);
    if (field === undefined) {
      if (!reading.lenient) reading.violations.add(join(path, key), `${message.desc.typeName} has no such field`);
      continue;
    }
    const at = join(path, field.name);
    if (seen.has(field)) reading.violations.add(at, `set twice, as "${field.name}" and as "${field.jsonName}"`);
    else readField(reading, message, field, value, at);
    seen.add(field);
  }
}

function readList(reading: Reading, list: ReflectList, field: DescField & { fieldKind: "list" }, json: Json, path: string): void {
  if (!Array.isArray(json)) {
    reading.violations.expected(path, "an array", describeJson(json));
    return;
  }
  for (const [index, item] of json.entries()) {
    const value = readSingle(reading, field, item, `${path}[${index}]`);
    if (value !== undefined) list.add(value);
  }
}

function readMap(reading: Reading, map: ReflectMap, field: DescField & { fieldKind: "map" }, json: Json, path: string): void {
  if (!(json instanceof Map)) {
    reading.violations.expected(path, "an object", describeJson(json));
    return;
  }
  for (const [text, item] of json as JsonObject) {
    const at = `${path}[${JSON.stringify(text)}]`;
    const key = readMapKey(field.mapKey, text);
    if (key === undefined) {
      reading.violations.expected(at, `a key that is ${expectedScalar(field.mapKey)}`, JSON.stringify(text));
    } else if (map.has(key)) {
      reading.violations.add(at, "the same key stands here for the second time");
    } else {
      const value = readSingle(reading, field, item, at);
      if (value !== undefined) map.set(key, value);
    }
  }
}

/** Reads a key of a map from the text that JSON and queries have for it. */
export function readMapKey(type: ScalarType, text: string): Scalar | undefined {
  if (type === ScalarType.BOOL) return text === "true" ? true : text === "false" ? false : undefined;
  return type !== ScalarType.STRING && !/^-?[0-9]+$/.test(text) ? undefined : readScalar(type, text);
}

/** One value of a field: of a singular one, or an item of a list, or a value of a map. */
function readSingle(reading: Reading, field: DescField, json: Json, path: string): unknown {
  if (field.message !== undefined) return readMessage(reading, field.message, json, path);
  if (field.enum !== undefined) {
    if (field.enum.typeName === "google.protobuf.NullValue" && json === null) return 0;
    const value = readEnum(field.enum, json);
    if (value !== undefined) return value;
    if (typeof json === "string" && reading.lenient) return undefined;
    return reading.violations.expected(path, expectedEnum(field.enum), got(field, json));
  }
  return readScalar(field.scalar, json) ?? reading.violations.expected(path, expectedScalar(field.scalar), got(field, json));
}

/** What came, unless the contract marks the field as not to be shown. */
function got(field: DescField, json: Json): string {
  const redacted = field.proto.options?.debugRedact === true && json !== null && typeof json !== "object";
  return redacted ? `a ${typeof json} (not shown)` : describeJson(json);
}

/** ProtoJSON's null means "unset", but for the two types whose value it is. */
export function takesNull(field: DescField): boolean {
  if (field.fieldKind === "message") return field.message.typeName === "google.protobuf.Value";
  return field.fieldKind === "enum" && field.enum.typeName === "google.protobuf.NullValue";
}

function readAny(reading: Reading, json: JsonObject, path: string): ReflectMessage | undefined {
  const any = create(AnySchema);
  if (json.size === 0) return reflect(AnySchema, any);
  const url = json.get("@type");
  if (typeof url !== "string") {
    const what = url === undefined ? "nothing" : describeJson(url);
    return reading.violations.expected(join(path, "@type"), "the URL of a type", what);
  }
  const type = reading.types.getMessage(url.slice(url.lastIndexOf("/") + 1));
  if (type === undefined) return reading.violations.expected(join(path, "@type"), "a type of the contracts", describeJson(url));
  const rest = new Map([...json].filter(([key]) => key !== "@type"));
  const own = hasOwnJson(type) || type.typeName === AnySchema.typeName;
  const unknown = own ? [...rest.keys()].find((key) => key !== "value") : undefined;
  if (unknown !== undefined && !reading.lenient) reading.violations.add(join(path, unknown), `${url} has no such field`);
  const value = own
    ? readMessage(reading, type, rest.get("value") ?? null, join(path, "value"))
    : readMessage(reading, type, rest, path);
  if (value === undefined) return undefined;
  anyPack(type, value.message, any);
  // The URL's host is the sender's choice; the type's name alone would lose it.
  any.typeUrl = url;
  return reflect(AnySchema, any);
}
