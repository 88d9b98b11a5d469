/**
 * gRPC's length-prefixed messages (gRPC over HTTP/2, "Length-Prefixed-Message"):
 *
 *     frame := compressed(1 byte, 0 or 1) length(4 bytes, big endian) message(length bytes)
 */
import { gunzipSync } from "node:zlib";
import { Code, type ConnectError } from "@connectrpc/connect";
import { wireError } from "./status.ts";

const prefixBytes = 5;

/** A message with its prefix, uncompressed: inside a mesh, compressing costs more than sending. */
export function encodeFrame(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(prefixBytes + message.byteLength);
  frame[0] = 0;
  frame.writeUInt32BE(message.byteLength, 1);
  frame.set(message, prefixBytes);
  return frame;
}

/** The prefix alone, for a message so long that copying it behind its prefix costs more than another write. */
export function framePrefix(messageBytes: number): Buffer {
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(messageBytes, 1);
  return prefix;
}

/** Cuts a byte stream, however it is chunked, into messages. */
export class FrameDecoder {
  readonly #maxBytes: number;
  readonly #encoding: string;
  /** What has come of the frame that is not yet whole. */
  #chunks: Buffer[] = [];
  #have = 0;
  /** Bytes needed before the next step: a prefix, or a whole frame. */
  #need = prefixBytes;

  /** `maxBytes`: of one message, uncompressed. `encoding`: the response's grpc-encoding. */
  constructor(maxBytes: number, encoding: string) {
    this.#maxBytes = maxBytes;
    this.#encoding = encoding;
  }

  /** Takes a chunk and passes on each message that it completes. Returns what is wrong with the stream, or undefined. */
  push(chunk: Buffer, onMessage: (message: Uint8Array) => void): ConnectError | undefined {
    let rest = this.#gather(chunk);
    while (rest.byteLength >= prefixBytes) {
      const length = rest.readUInt32BE(1);
      const flag = rest[0] ?? 0;
      const mistake = this.#checkPrefix(flag, length);
      if (mistake !== undefined) return mistake;
      if (rest.byteLength < prefixBytes + length) break;
      const message = rest.subarray(prefixBytes, prefixBytes + length);
      rest = rest.subarray(prefixBytes + length);
      const plain = flag === 0 ? message : this.#inflate(message);
      if (!(plain instanceof Uint8Array)) return plain;
      // Not a Buffer, since bytes fields of a message are cut from it and must compare as plain arrays.
      onMessage(new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength));
    }
    this.#keep(rest);
    return undefined;
  }

  /** Whether the stream may end here; false in the middle of a frame. */
  get complete(): boolean {
    return this.#have === 0;
  }

  /** All bytes at hand, in one piece once there are enough of them; before that an empty piece, so that nothing is copied twice. */
  #gather(chunk: Buffer): Buffer {
    if (this.#have === 0) return chunk;
    this.#chunks.push(chunk);
    this.#have += chunk.byteLength;
    if (this.#have < this.#need) return empty;
    const joined = Buffer.concat(this.#chunks, this.#have);
    this.#chunks = [];
    this.#have = 0;
    return joined;
  }

  #keep(rest: Buffer): void {
    if (this.#have > 0) return;
    if (rest.byteLength > 0) this.#chunks.push(rest);
    this.#have = rest.byteLength;
    this.#need = rest.byteLength < prefixBytes ? prefixBytes : prefixBytes + rest.readUInt32BE(1);
  }

  #checkPrefix(flag: number, length: number): ConnectError | undefined {
    if (flag > 1) return wireError(Code.Internal, `malformed response: expected a compressed flag of 0 or 1, got ${flag}`);
    if (flag === 1 && this.#encoding !== "gzip") {
      return wireError(Code.Internal, `malformed response: a compressed message, but grpc-encoding is ${this.#encoding}`);
    }
    return length > this.#maxBytes ? this.#tooLong(`${length} bytes`) : undefined;
  }

  #inflate(message: Uint8Array): Uint8Array | ConnectError {
    try {
      return gunzipSync(message, { maxOutputLength: this.#maxBytes });
    } catch (cause) {
      if (cause instanceof RangeError) return this.#tooLong("more, uncompressed");
      return wireError(Code.Internal, "malformed response: a message that is not gzip", cause);
    }
  }

  #tooLong(got: string): ConnectError {
    return wireError(Code.ResourceExhausted, `response message: expected at most ${this.#maxBytes} bytes, got ${got}`);
  }
}

const empty = Buffer.alloc(0);
