/** Reads the one message of a unary gRPC request: a frame, and then the end of the stream (gRPC over HTTP/2, "Requests"). */
import type { ServerHttp2Stream } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { canceled, resourceExhausted } from "../errors.ts";

const prefixBytes = 5;

/** A message as it came. */
export interface Frame {
  readonly flags: number;
  readonly data: Uint8Array<ArrayBuffer>;
}

/**
 * Settles at the end of the request. Nothing is read before this call, so that a refused request stays with its sender.
 *
 * @param maxBytes of the message; a longer one is refused by its prefix.
 * @throws ConnectError RESOURCE_EXHAUSTED, UNIMPLEMENTED for no message or two, INVALID_ARGUMENT for a part of one, CANCELLED when the
 * stream closes before its end; the signal's reason.
 */
export function readUnaryFrame(stream: ServerHttp2Stream, maxBytes: number, signal: AbortSignal): Promise<Frame> {
  const { promise, resolve, reject } = Promise.withResolvers<Frame>();
  const reader = new FrameReader(maxBytes);
  const onData = (chunk: Buffer): void => {
    const mistake = reader.push(chunk);
    if (mistake !== undefined) fail(mistake);
  };
  const onEnd = (): void => {
    stop();
    const frame = reader.end();
    if (frame instanceof ConnectError) reject(frame);
    else resolve(frame);
  };
  const onClose = (): void => fail(canceled());
  const onAbort = (): void => fail(signal.reason);
  const stop = (): void => {
    stream.off("data", onData).off("end", onEnd).off("close", onClose);
    signal.removeEventListener("abort", onAbort);
  };
  const fail = (error: unknown): void => {
    stop();
    reject(error);
  };
  if (signal.aborted) onAbort();
  else if (stream.destroyed) onClose();
  else if (stream.readableEnded) onEnd();
  else {
    signal.addEventListener("abort", onAbort);
    stream.on("data", onData).on("end", onEnd).on("close", onClose);
  }
  return promise;
}

/** Puts one frame together. Chunks are copied as they come: they are cut from all that was read from the socket, and would keep it. */
class FrameReader {
  readonly #maxBytes: number;
  readonly #prefix = Buffer.alloc(prefixBytes);
  #data: Uint8Array<ArrayBuffer> | undefined;
  /** Bytes that have come, with those of the prefix. */
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Returns what is wrong with the request, or undefined. */
  push(chunk: Buffer): ConnectError | undefined {
    const taken = this.#length < prefixBytes ? chunk.copy(this.#prefix, this.#length) : 0;
    const before = this.#length + taken - prefixBytes;
    this.#length += chunk.length;
    if (before < 0) return undefined;
    if (this.#data === undefined) {
      const bytes = this.#prefix.readUInt32BE(1);
      if (bytes > this.#maxBytes)
        return resourceExhausted(`message size ${bytes} is larger than configured readMaxBytes ${this.#maxBytes}`);
      this.#data = new Uint8Array(bytes);
    }
    if (this.#length > prefixBytes + this.#data.length)
      return mistake("received extra input message for unary method", Code.Unimplemented);
    this.#data.set(taken === 0 ? chunk : chunk.subarray(taken), before);
    return undefined;
  }

  /** The frame, or why there is none. */
  end(): Frame | ConnectError {
    if (this.#length === 0) return mistake("missing input message for unary method", Code.Unimplemented);
    if (this.#data === undefined || this.#length < prefixBytes + this.#data.length)
      return mistake("incomplete envelope", Code.InvalidArgument);
    return { flags: this.#prefix[0] ?? 0, data: this.#data };
  }
}

function mistake(what: string, code: Code): ConnectError {
  return new ConnectError(`protocol error: ${what}`, code);
}
