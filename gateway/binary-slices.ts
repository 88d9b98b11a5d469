/**
 * The protobuf wire format of large messages, written with pauses. What is small goes through protobuf-es at a stretch; what is large is
 * taken apart: a part of a list or a map is a message of its own, and the bytes of all parts one after the other are those of the whole,
 * since readers append repeated fields and merge messages.
 */
import { create, type DescField, type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type ListValue, StructSchema, type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import type { Fields } from "./message-plan.ts";

/** How many values are written at a stretch: about two milliseconds' work. */
const stretch = 2000;

/** Whether a message has more values than are written at a stretch. */
export function isLarge(message: Message): boolean {
  return count(message, stretch) >= stretch;
}

/** Writes a message, and pauses on the way when it is large. */
export function* writingBinary(type: DescMessage, message: Message): Generator<void, Uint8Array> {
  const parts: Uint8Array[] = [];
  yield* writeMessage(type, message, parts);
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}

/** The values in a value, itself one, or `most` as soon as there are as many. */
function count(value: unknown, most: number): number {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return 1;
  let total = 1;
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length && total < most; at++) total += count(value[at], most - total);
    return total;
  }
  for (const name of keysOf(value as Fields)) {
    total += count((value as Fields)[name], most - total);
    if (total >= most) break;
  }
  return total;
}

/** Object.keys, once for each large object: of 100,000 members they take 20 ms. */
function keysOf(value: Fields): readonly string[] {
  const known = largeKeys.get(value);
  if (known !== undefined) return known;
  const keys = Object.keys(value);
  if (keys.length >= stretch) largeKeys.set(value, keys);
  return keys;
}

const largeKeys = new WeakMap<Fields, readonly string[]>();

function* writeMessage(type: DescMessage, message: Message, parts: Uint8Array[]): Generator<void, void> {
  if (!isLarge(message)) {
    parts.push(toBinary(type, message));
    return;
  }
  const from = message as unknown as Fields;
  const rest: Fields = { ...from };
  const large: DescField[] = [];
  for (const field of type.fields) {
    if (count(memberOf(from, field), stretch / 4) < stretch / 4) continue;
    large.push(field);
    clear(rest, field);
  }
  parts.push(toBinary(type, Object.assign(create(type), rest)));
  for (const field of large) yield* writeField(type, field, memberOf(from, field), parts);
}

function memberOf(message: Fields, { oneof, localName }: DescField): unknown {
  if (oneof === undefined) return message[localName];
  const choice = message[oneof.localName] as { case?: string; value?: unknown };
  return choice.case === localName ? choice.value : undefined;
}

function clear(message: Fields, { oneof, localName, fieldKind }: DescField): void {
  if (oneof !== undefined) message[oneof.localName] = { case: undefined };
  else if (fieldKind === "list") message[localName] = [];
  else if (fieldKind === "map") message[localName] = {};
  else delete message[localName];
}

function* writeField(type: DescMessage, field: DescField, value: unknown, parts: Uint8Array[]): Generator<void, void> {
  if (field.fieldKind === "list") yield* writeList(type, field, value as unknown[], parts);
  else if (field.fieldKind === "map") yield* writeMap(type, field, value as Fields, parts);
  else if (field.fieldKind === "message") {
    const isJson = field.message.typeName === StructSchema.typeName && type.typeName !== ValueSchema.typeName;
    yield* writeNested(field.number, isJson ? writeStruct(value as Fields) : nested(field.message, value as Message), parts);
  }
}

function* writeList(type: DescMessage, field: DescField & { fieldKind: "list" }, items: unknown[], parts: Uint8Array[]) {
  const part = (from: number, to: number) =>
    toBinary(type, Object.assign(create(type), { [field.localName]: items.slice(from, to) }));
  let [from, size] = [0, 0];
  for (const [index, item] of items.entries()) {
    const own = count(item, stretch);
    if (own >= stretch && field.listKind === "message") {
      if (from < index) parts.push(part(from, index));
      yield* writeNested(field.number, nested(field.message, item as Message), parts);
      [from, size] = [index + 1, 0];
      continue;
    }
    size += own;
    if (size >= stretch) {
      parts.push(part(from, index + 1));
      [from, size] = [index + 1, 0];
      yield;
    }
  }
  if (from < items.length) parts.push(part(from, items.length));
}

function* writeMap(type: DescMessage, field: DescField & { fieldKind: "map" }, entries: Fields, parts: Uint8Array[]) {
  const part = (of: Fields) => toBinary(type, Object.assign(create(type), { [field.localName]: of }));
  let [some, size]: [Fields, number] = [{}, 0];
  for (const key of keysOf(entries)) {
    const value = entries[key];
    const own = count(value, stretch);
    if (own >= stretch && field.mapKind === "message") {
      // An entry with an empty value ends in that value's tag and its length, 0.
      const empty = part(single(key, create(field.message)));
      const before = empty.subarray(headLength(empty), -2);
      yield* writeNested(field.number, writeEntry(before, nested(field.message, value as Message)), parts);
    } else {
      // Assigned, it would be lost.
      if (key === "__proto__") Object.defineProperty(some, key, { value, enumerable: true });
      else some[key] = value;
      size += own + 1;
      if (size < stretch) continue;
      parts.push(part(some));
      [some, size] = [{}, 0];
      yield;
    }
  }
  if (size > 0) parts.push(part(some));
}

function* writeEntry(key: Uint8Array, value: Work): Work {
  const parts = [key];
  yield* writeNested(2, value, parts);
  return parts;
}

/** Work that ends in parts. */
type Work = Generator<void, Uint8Array[]>;

function* nested(type: DescMessage, message: Message): Work {
  const parts: Uint8Array[] = [];
  yield* writeMessage(type, message, parts);
  return parts;
}

/** Writes what work makes as a field of a message type. */
function* writeNested(number: number, work: Work, parts: Uint8Array[]): Generator<void, void> {
  const own = yield* work;
  const length = own.reduce((sum, { length }) => sum + length, 0);
  parts.push(new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(length).finish());
  for (const part of own) parts.push(part);
}

/** A google.protobuf.Struct that a message holds as plain JSON. */
function* writeStruct(json: Fields): Work {
  const parts: Uint8Array[] = [];
  for (const key of keysOf(json)) {
    const written = new BinaryWriter().tag(1, WireType.LengthDelimited).string(key).finish();
    yield* writeNested(1, writeEntry(written, writeValue(json[key])), parts);
  }
  return parts;
}

function* writeValue(json: unknown): Work {
  const parts: Uint8Array[] = [];
  if (typeof json !== "object" || json === null || count(json, stretch / 4) < stretch / 4)
    return [toBinary(ValueSchema, valueOfJson(json))];
  if (Array.isArray(json)) yield* writeNested(6, writeItems(json), parts);
  else yield* writeNested(5, writeStruct(json as Fields), parts);
  return parts;
}

function* writeItems(items: readonly unknown[]): Work {
  const parts: Uint8Array[] = [];
  let size = 0;
  let writer = new BinaryWriter();
  for (const item of items) {
    if (typeof item === "object" && item !== null) {
      parts.push(writer.finish());
      writer = new BinaryWriter();
      yield* writeNested(1, writeValue(item), parts);
      size += count(item, stretch);
    } else {
      writeLeaf(writer.tag(1, WireType.LengthDelimited).fork(), item).join();
      size++;
    }
    if (size < stretch) continue;
    size = 0;
    yield;
  }
  parts.push(writer.finish());
  return parts;
}

/** A google.protobuf.Value that holds no others. */
function writeLeaf(writer: BinaryWriter, json: unknown): BinaryWriter {
  if (typeof json === "number") return writer.tag(2, WireType.Bit64).double(json);
  if (typeof json === "string") return writer.tag(3, WireType.LengthDelimited).string(json);
  if (typeof json === "boolean") return writer.tag(4, WireType.Varint).bool(json);
  return writer.tag(1, WireType.Varint).int32(0);
}

function valueOfJson(json: unknown): Value {
  return create(ValueSchema, { kind: kindOf(json) });
}

function kindOf(json: unknown): Value["kind"] {
  if (json === null) return { case: "nullValue", value: 0 };
  if (typeof json === "string") return { case: "stringValue", value: json };
  if (typeof json === "number") return { case: "numberValue", value: json };
  if (typeof json === "boolean") return { case: "boolValue", value: json };
  if (Array.isArray(json)) {
    const values = json.map(valueOfJson);
    return { case: "listValue", value: { $typeName: "google.protobuf.ListValue", values } satisfies ListValue };
  }
  const struct = create(StructSchema);
  struct.fields = Object.fromEntries(Object.entries(json as Fields).map(([key, value]) => [key, valueOfJson(value)]));
  return { case: "structValue", value: struct };
}

/** An object of one member, whatever its name. */
function single(key: string, value: unknown): Fields {
  return Object.fromEntries([[key, value]]);
}

/** The bytes of a field's tag and length. */
function headLength(bytes: Uint8Array): number {
  let at = 0;
  for (let left = 2; left > 0; at++) if ((bytes[at] ?? 0) < 0x80) left--;
  return at;
}
