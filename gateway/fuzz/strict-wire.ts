/** What the gateway asks of the wire format beyond protobuf-es's fromBinary, which reads fields that end behind the end of the bytes. */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { Refused, Unknowable } from "./json-tree.ts";

/** Checks that every field, of messages in it too, ends where the bytes do or before. @throws Refused, Unknowable */
export function checkWire(type: DescMessage, bytes: Uint8Array): void {
  walk(bytes, (number, part) => {
    const field = type.fields.find((candidate) => BigInt(candidate.number) === number);
    const packed = field?.fieldKind === "list" && field.message === undefined && !texts.has(field.scalar);
    // fromBinary goes on behind the end of a list whose last number does not end in it; whether the gateway sees it, what follows decides.
    if (packed && ((part.at(-1) ?? 0) >= 0x80 || part.length % 4 > 0)) throw new Unknowable("a packed list");
    if (field?.fieldKind === "map") checkEntry(field, part);
    else if (field?.message !== undefined) checkWire(field.message, part);
  });
}

/** Entries of maps, too, are read over their end. */
function checkEntry(field: DescField & { fieldKind: "map" }, entry: Uint8Array): void {
  try {
    walk(entry, (number, part) => {
      if (number === 2n && field.message !== undefined) checkWire(field.message, part);
    });
  } catch {
    throw new Unknowable("an entry of a map");
  }
}

/** Visits the fields that have a length. @throws Refused for bytes that are no fields. */
function walk(bytes: Uint8Array, visit: (number: bigint, part: Uint8Array) => void): void {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 63n) throw new Refused("a number that does not end");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const groups: bigint[] = [];
  while (at < bytes.length) {
    const tag = varint();
    const [number, wireType] = [tag >> 3n, Number(tag & 7n)];
    if (wireType === 0) varint();
    else if (wireType === 1) at += 8;
    else if (wireType === 5) at += 4;
    else if (wireType === 2) {
      const length = Number(varint());
      const part = bytes.subarray(at, at + length);
      at += length;
      if (at <= bytes.length) visit(number, part);
    } else if (wireType === 3) groups.push(number);
    else if (wireType !== 4 || groups.pop() !== number) throw new Refused("no field");
    if (at > bytes.length) throw new Refused("a field behind the end");
  }
  if (groups.length > 0) throw new Refused("a group without an end");
}

const texts: ReadonlySet<ScalarType | undefined> = new Set([ScalarType.STRING, ScalarType.BYTES]);
