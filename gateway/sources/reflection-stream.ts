/** The gRPC reflection of one server, asked over a raw connection: no balancer, no breaker, this one instance. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { unavailable } from "#mesh/errors.ts";
import type { Wire, WireCall, WireEnd } from "#mesh/net/wire.ts";

/** Bytes of one answer: a server may send a contract with all its imports at once. */
const maxResponseBytes = 64 * 2 ** 20;

/** The two versions differ in their package alone, so what is one on the wire is the other. */
const paths = [
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
  "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/** What is asked of a server. */
export type ReflectionQuestion = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]>;

/** Asks one question after another, each once the one before is answered. */
export class ReflectionStream implements Disposable {
  readonly #wire: Wire;
  readonly #signal: AbortSignal;
  #versions = [...paths];
  #call: WireCall | undefined;
  #pending: PromiseWithResolvers<ServerReflectionResponse> | undefined;
  #answered = false;
  readonly #onAbort = (): void => this.#fail(unavailable("no answer to gRPC reflection in time"));

  constructor(wire: Wire, signal: AbortSignal) {
    this.#wire = wire;
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort);
  }

  /**
   * Answers one question, by v1 of the protocol, or by v1alpha where the server does not know v1.
   *
   * @throws UNIMPLEMENTED when the server knows neither; what the call or the server's error_response says; UNAVAILABLE when the
   *   signal aborts first.
   */
  async ask(question: ReflectionQuestion): Promise<ServerReflectionResponse["messageResponse"]> {
    const request = create(ServerReflectionRequestSchema, { messageRequest: question });
    for (;;) {
      try {
        const { messageResponse } = await this.#exchange(request);
        this.#answered = true;
        if (messageResponse.case !== "errorResponse") return messageResponse;
        const { errorCode, errorMessage } = messageResponse.value;
        throw new ConnectError(errorMessage, errorCode);
      } catch (error) {
        const unknownVersion = !this.#answered && ConnectError.from(error).code === Code.Unimplemented;
        if (!unknownVersion || this.#versions.length === 1) throw error;
        this.#versions = this.#versions.slice(1);
      }
    }
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#call?.cancel();
    this.#call = undefined;
  }

  #exchange(request: ServerReflectionRequest): Promise<ServerReflectionResponse> {
    const pending = Promise.withResolvers<ServerReflectionResponse>();
    this.#pending = pending;
    if (this.#signal.aborted) this.#onAbort();
    else {
      this.#call ??= this.#start();
      this.#call.send(toBinary(ServerReflectionRequestSchema, request));
    }
    return pending.promise;
  }

  #start(): WireCall {
    const [path = ""] = this.#versions;
    return this.#wire.start(
      { path, header: {}, message: undefined, maxResponseBytes },
      {
        onHeader: () => {},
        onMessage: (bytes) => this.#onMessage(bytes),
        onDrain: () => {},
        onEnd: (end) => this.#onEnd(end),
      },
    );
  }

  #onMessage(bytes: Uint8Array): void {
    try {
      const response = fromBinary(ServerReflectionResponseSchema, bytes);
      this.#pending?.resolve(response);
    } catch {
      this.#fail(new ConnectError("answered gRPC reflection with bytes that are none", Code.Internal));
    }
  }

  #onEnd({ error }: WireEnd): void {
    this.#call = undefined;
    this.#pending?.reject(error ?? unavailable("ended the stream of gRPC reflection without an answer"));
  }

  #fail(error: ConnectError): void {
    this.#call?.cancel();
    this.#call = undefined;
    this.#pending?.reject(error);
  }
}
