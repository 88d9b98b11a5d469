/** Messages as texts that are equal when the messages are, whatever the order in which maps were filled. */
import { fromBinary, isMessage, type Message, type Registry } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";

/** The text. `types` are those that an Any may hold; others stay the bytes that they are. */
export function canonical(message: Message, types: Registry): string {
  return JSON.stringify(written(message, types));
}

function written(value: unknown, types: Registry): unknown {
  if (typeof value === "bigint") return { integer: String(value) };
  if (typeof value === "number") {
    return Object.is(value, -0) || !Number.isFinite(value) ? { number: Object.is(value, -0) ? "-0" : String(value) } : value;
  }
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("hex") };
  if (Array.isArray(value)) return value.map((item) => written(item, types));
  if (typeof value !== "object" || value === null) return value;
  if (isMessage(value, AnySchema)) {
    // The host in front of a type's name is the sender's choice, and fromJson puts its own.
    const name = value.typeUrl.replace(/^.*\//, "");
    const type = types.getMessage(name);
    return { any: name, value: written(type === undefined ? value.value : fromBinary(type, value.value), types) };
  }
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, member]) => [name, written(member, types)]);
}
