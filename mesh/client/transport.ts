/** Connect's Transport over the mesh's calls: gRPC with the binary codec, for any method whose descriptor is at hand. */
import {
  create,
  type DescMessage,
  type DescMethodStreaming,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type StreamResponse, type Transport, type UnaryResponse } from "@connectrpc/connect";
import { invalidArgument } from "../errors.ts";
import { headersOf } from "../net/fields.ts";
import { wireError } from "../net/status.ts";
import type { Attempt } from "./attempt.ts";
import { runCall } from "./call.ts";
import type { CallParts } from "./call-request.ts";
import { encodedOf } from "./encoded.ts";
import { isRaw, type RawMessage, rawMessage } from "./raw.ts";

/** The transport that makes every call by `parts`. Context values are for interceptors, which the mesh has none of. */
export function meshTransport(parts: CallParts): Transport {
  return {
    async unary(method, signal, timeoutMs, header, input) {
      const encode = encoderOf(method.input);
      const metadata = header === undefined ? undefined : new Headers(header);
      const attempt = await runCall(parts, { method, metadata, signal, timeoutMs, encode, input: { message: input } });
      return new MeshUnaryResponse(method, attempt);
    },
    async stream(method, signal, timeoutMs, header, input) {
      const encode = encoderOf(method.input);
      const metadata = header === undefined ? undefined : new Headers(header);
      const single = method.methodKind === "server_streaming";
      const request = single ? { message: await onlyMessage(input) } : { messages: input };
      const attempt = await runCall(parts, { method, metadata, signal, timeoutMs, encode, input: request });
      return new MeshStreamResponse(method, attempt);
    },
  };
}

/** Headers are built when they are asked for: hardly any caller looks at them. */
abstract class MeshResponse {
  readonly service: DescService;
  readonly #attempt: Attempt;
  #header: Headers | undefined;

  constructor(service: DescService, attempt: Attempt) {
    this.service = service;
    this.#attempt = attempt;
  }

  get header(): Headers {
    this.#header ??= headersOf(this.#attempt.header);
    return this.#header;
  }

  /** Empty until the response has been read to its end. */
  get trailer(): Headers {
    return headersOf(this.#attempt.trailer);
  }
}

class MeshUnaryResponse<I extends DescMessage, O extends DescMessage> extends MeshResponse implements UnaryResponse<I, O> {
  readonly stream = false;
  readonly method: DescMethodUnary<I, O>;
  readonly message: MessageShape<O>;

  constructor(method: DescMethodUnary<I, O>, attempt: Attempt) {
    super(method.parent, attempt);
    this.method = method;
    this.message = decode(method.output, attempt.message ?? new Uint8Array());
  }
}

class MeshStreamResponse<I extends DescMessage, O extends DescMessage> extends MeshResponse implements StreamResponse<I, O> {
  readonly stream = true;
  readonly method: DescMethodStreaming<I, O>;
  readonly message: AsyncIterable<MessageShape<O>>;

  constructor(method: DescMethodStreaming<I, O>, attempt: Attempt) {
    super(method.parent, attempt);
    this.method = method;
    const iterator = new MessageIterator(method.output, attempt);
    this.message = { [Symbol.asyncIterator]: () => iterator };
  }
}

/** Reads a stream's messages; return() gives the call up. */
class MessageIterator<O extends DescMessage> implements AsyncIterator<MessageShape<O>> {
  readonly #output: O;
  readonly #attempt: Attempt;

  constructor(output: O, attempt: Attempt) {
    this.#output = output;
    this.#attempt = attempt;
  }

  async next(): Promise<IteratorResult<MessageShape<O>>> {
    const bytes = await this.#attempt.messages.next();
    if (bytes === undefined) return { done: true, value: undefined };
    try {
      return { done: false, value: decode(this.#output, bytes) };
    } catch (error) {
      this.#attempt.stop("abandoned", ConnectError.from(error));
      throw error;
    }
  }

  async return(): Promise<IteratorResult<MessageShape<O>>> {
    this.#attempt.stop("cancelled", wireError(Code.Canceled, "the reader left the stream"));
    return { done: true, value: undefined };
  }
}

function encoderOf<I extends DescMessage>(input: I) {
  return (message: unknown, maxBytes: number | undefined): Uint8Array => {
    const bytes = encode(input, message as MessageInitShape<I>);
    if (maxBytes === undefined || bytes.byteLength <= maxBytes) return bytes;
    const text = `request message: expected at most ${maxBytes} bytes, got ${bytes.byteLength}`;
    throw new ConnectError(text, Code.ResourceExhausted);
  };
}

/** protobuf-es says what is wrong with a value that its field cannot hold. */
function encode<I extends DescMessage>(input: I, message: MessageInitShape<I>): Uint8Array {
  if (isRaw(input)) return (message as unknown as RawMessage).bytes;
  const known = encodedOf(message as Message);
  if (known !== undefined) return known;
  try {
    return toBinary(input, create(input, message));
  } catch (cause) {
    throw invalidArgument([{ field: "", description: cause instanceof Error ? cause.message : String(cause) }]);
  }
}

function decode<O extends DescMessage>(output: O, bytes: Uint8Array): MessageShape<O> {
  if (isRaw(output)) return rawMessage(bytes) as unknown as MessageShape<O>;
  try {
    return fromBinary(output, bytes);
  } catch (cause) {
    throw wireError(Code.Internal, `the response is not a ${output.typeName}`, cause);
  }
}

async function onlyMessage<I>(messages: AsyncIterable<I>): Promise<I> {
  for await (const message of messages) return message;
  throw invalidArgument([{ field: "", description: "expected one request message, got none" }]);
}
