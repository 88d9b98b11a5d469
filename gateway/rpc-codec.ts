/** The messages of an rpc between a client's codec and the mesh's: the wire format passes as it is, JSON is translated. */
import { type DescMethod, type JsonValue, type Message, type Registry, toJson } from "@bufbuild/protobuf";
import { type RawMessage, rawMessage, rawMethod } from "#mesh/client/raw.ts";
import { invalidArgument } from "#mesh/errors.ts";
import { type DecodeOptions, memoryFor } from "./decode.ts";
import { stringifyExact } from "./exact-json.ts";
import { JsonError, parsingJson } from "./json.ts";
import { readingMessage } from "./proto-json.ts";
import { inSlices } from "./slices.ts";
import { Violations } from "./violations.ts";

/** A client's codec for one method. */
export interface RpcCodec {
  /** The method to call with what `decode` makes. */
  readonly method: DescMethod;
  /** @throws INVALID_ARGUMENT for JSON that is not the request message. */
  decode(bytes: Uint8Array): Message | Promise<Message>;
  encode(message: Message): Uint8Array;
}

/**
 * The codec of a name. JSON is read as strictly as REST's.
 *
 * @param types the types of Any in answers
 */
export function rpcCodec(codec: "proto" | "json", method: DescMethod, options: DecodeOptions, types: Registry): RpcCodec {
  if (codec === "proto") {
    return { method: rawMethod(method), decode: rawMessage, encode: (message) => (message as RawMessage).bytes };
  }
  return {
    method,
    decode: (bytes) => inSlices(readingJson(method, bytes, options)),
    encode: (message) => Buffer.from(stringifyExact(toJson(method.output, message, { registry: types }) as JsonValue)),
  };
}

function* readingJson(method: DescMethod, bytes: Uint8Array, options: DecodeOptions): Generator<void, Message> {
  const violations = new Violations();
  try {
    const json = yield* parsingJson(utf8.decode(bytes));
    const memory = memoryFor(bytes);
    const message = yield* readingMessage({ ...options, violations, memory }, method.input, json, "");
    violations.throwIfAny();
    // Without a violation there is a message.
    if (message !== undefined) return message.message;
  } catch (error) {
    if (error instanceof JsonError) throw invalidArgument([{ field: "", description: `message: ${error.message}` }]);
    if (!(error instanceof TypeError)) throw error;
  }
  throw invalidArgument([{ field: "", description: "message: expected JSON in UTF-8, got bytes that are not" }]);
}

const utf8 = new TextDecoder("utf-8", { fatal: true });
