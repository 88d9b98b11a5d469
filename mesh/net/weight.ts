/**
 * How much memory a request's values will take. A body is bounded in bytes, but three of them (`{},`) become an object of two hundred: 4 MB
 * of that is 270 MB, more than the process has. So values are weighed while, or before, they are made. Weights are bytes as V8 was
 * measured to take them, rounded up.
 */
import { isUtf8 } from "node:buffer";
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/**
 * The most that the values of one request may weigh: 16 MiB, so that a few such requests, each with the message that is made of its values,
 * fit into a process under the usual limit of 256 MiB. It is 52,000 objects of two numbers, or a million numbers.
 */
export const maxWeight = 16 * 2 ** 20;

/** What the mistake is called. */
export const tooHeavy = "take more memory than a request may; send them in several requests";

/** The weights of JSON's values, each without what is in it. */
export const jsonWeights = { object: 200, member: 48, array: 48, item: 8, text: 32, number: 8 } as const;

/** The most that a byte of a message in either format weighs: a message without fields takes two bytes on the wire. */
export const mostPerByte = 125;

/** A message with its fields, a byte string, and a text in memory. */
const [message, byteString, text] = [250, 210, 32];
/** An item of a list of numbers; 64-bit integers are objects. */
const [number, long] = [8, 40];

/** As deep as the reader of messages goes; what lies deeper, it refuses. */
const maxDepth = 100;

/**
 * What a message in the wire format will weigh, or a number above `maxWeight` as soon as it is known to be more. Unknown fields weigh
 * nothing: they are not kept.
 *
 * @throws an Error of any kind for bytes that are no message.
 */
export function wireWeight(type: DescMessage, bytes: Uint8Array, depth = 0): number {
  const reader = new BinaryReader(bytes);
  const fields = new Map(type.fields.map((field) => [field.number, field]));
  let weight = message;
  while (reader.pos < reader.len && weight <= maxWeight && depth < maxDepth) {
    const [tag, wireType] = reader.tag();
    const field = fields.get(tag);
    if (wireType === WireType.LengthDelimited && field !== undefined) {
      weight += partWeight(field, reader.bytes(), depth);
      continue;
    }
    const start = reader.pos;
    reader.skip(wireType, tag);
    if (field === undefined) continue;
    // A group ends in a tag as long as the one that it begins with.
    const group = field.message !== undefined && wireType === WireType.StartGroup ? field.message : undefined;
    const end = reader.pos - Math.ceil((32 - Math.clz32((tag << 3) | 4)) / 7);
    weight += group === undefined ? long : wireWeight(group, bytes.subarray(start, end), depth + 1);
  }
  return weight;
}

/**
 * What JSON will weigh, from its bytes alone: whether it is JSON, the parser finds out. Texts are counted at their quotes, members at
 * their colons and items at their commas; numbers stand between those.
 */
export function jsonWeight(bytes: Uint8Array): number {
  const { object, member, array, item, text } = jsonWeights;
  const weights = new Uint8Array(256);
  for (const [mark, weight] of [
    ["{", object],
    [":", member],
    ["[", array],
    [",", item],
    ['"', text],
  ] as const) {
    weights[mark.charCodeAt(0)] = weight;
  }
  const [quote, backslash] = ['"'.charCodeAt(0), "\\".charCodeAt(0)];
  let [weight, inText] = [0, false];
  for (let at = 0; at < bytes.length && weight <= maxWeight; at++) {
    const byte = bytes[at] ?? 0;
    if (inText) {
      if (byte === backslash) at++;
      else if (byte === quote) inText = false;
      continue;
    }
    weight += weights[byte] ?? 0;
    inText = byte === quote;
  }
  return weight;
}

function partWeight(field: DescField, part: Uint8Array, depth: number): number {
  // An entry of a map is a message on the wire; its value, when that is a message, stands in it as field 2.
  if (field.fieldKind === "map") return message + (field.message === undefined ? 0 : entryWeight(field.message, part, depth));
  if (field.message !== undefined) return wireWeight(field.message, part, depth + 1);
  if (field.scalar === ScalarType.BYTES) return byteString;
  if (field.scalar === ScalarType.STRING) {
    if (!isUtf8(part)) throw new Error(`${field}: expected UTF-8`);
    return text;
  }
  // What is left are packed numbers, a byte each at least.
  return part.length * (longs.has(field.scalar) ? long : number);
}

function entryWeight(value: DescMessage, entry: Uint8Array, depth: number): number {
  const reader = new BinaryReader(entry);
  let weight = 0;
  while (reader.pos < reader.len && weight <= maxWeight) {
    const [tag, wireType] = reader.tag();
    if (tag === 2 && wireType === WireType.LengthDelimited) weight += wireWeight(value, reader.bytes(), depth + 1);
    else reader.skip(wireType, tag);
  }
  return weight;
}

const longs: ReadonlySet<ScalarType | undefined> = new Set([
  ...[ScalarType.INT64, ScalarType.UINT64, ScalarType.SINT64, ScalarType.FIXED64, ScalarType.SFIXED64],
]);
