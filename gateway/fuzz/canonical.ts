/** Messages as texts that are equal when the messages are, whatever the order in which maps were filled. */
import type { Message } from "@bufbuild/protobuf";

/** The text. */
export function canonical(message: Message): string {
  return JSON.stringify(written(message));
}

function written(value: unknown): unknown {
  if (typeof value === "bigint") return { integer: String(value) };
  if (typeof value === "number")
    return Object.is(value, -0) || !Number.isFinite(value) ? { number: Object.is(value, -0) ? "-0" : String(value) } : value;
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("hex") };
  if (Array.isArray(value)) return value.map(written);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  // The host in front of a type's name is the sender's choice, and fromJson puts its own.
  const isAny = "$typeName" in value && value.$typeName === "google.protobuf.Any";
  return entries
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => [name, isAny && name === "typeUrl" ? String(member).replace(/^.*\//, "") : written(member)]);
}
