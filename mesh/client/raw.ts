/** Messages that stay the bytes they came as: for a proxy that passes them on and has no need to know what is in them. */
import type { DescMessage, DescMethod, Message } from "@bufbuild/protobuf";
import { BytesValueSchema } from "@bufbuild/protobuf/wkt";

/** A message as its bytes in the protobuf wire format, neither encoded nor decoded by the mesh's transport. */
export interface RawMessage extends Message {
  readonly bytes: Uint8Array;
}

/** The type of every raw message. It is known by its identity alone and never meets a codec. */
const raw: DescMessage = { ...BytesValueSchema, typeName: "heddle.mesh.Raw" };

/** The method, called with raw messages both ways. Only the mesh's own transport understands it. */
export function rawMethod(method: DescMethod): DescMethod {
  return { ...method, input: raw, output: raw } as DescMethod;
}

/** A raw message; the bytes are neither copied nor looked at. */
export function rawMessage(bytes: Uint8Array): RawMessage {
  return { $typeName: raw.typeName, bytes };
}

/** Whether messages of the type are raw. */
export function isRaw(type: DescMessage): boolean {
  return type === raw;
}
