/** Messages that were encoded before they were sent, by somebody who could not wait for all of one at a stretch. */
import type { Message } from "@bufbuild/protobuf";

const encoded = new WeakMap<Message, Uint8Array>();

/** Gives the mesh's transport the bytes of a message, in the wire format. The message must not change any more. */
export function keepEncoded(message: Message, bytes: Uint8Array): void {
  encoded.set(message, bytes);
}

/** The bytes that were kept of a message; undefined: none. */
export function encodedOf(message: Message): Uint8Array | undefined {
  return encoded.get(message);
}
