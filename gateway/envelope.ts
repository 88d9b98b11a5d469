/**
 * Enveloped messages, as gRPC, gRPC-Web and Connect's streams have them:
 *
 *     envelope := flags(1 byte; bit 0: compressed) length(4 bytes, big endian) data(length bytes)
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { invalidArgument } from "#mesh/errors.ts";
import { decompress, type Encoding } from "./body.ts";

/** What to expect of envelopes. */
export interface EnvelopeOptions {
  /** Bytes of one message, both as sent and after decompression. */
  readonly maxBytes: number;
  /** How messages with the compressed flag are compressed; undefined: there must be none. */
  readonly encoding: Encoding | undefined;
}

const prefixBytes = 5;

/**
 * The messages of a stream of bytes, however it is chunked. A message within one chunk is a view of it.
 *
 * @throws while iterating: INVALID_ARGUMENT for bytes that are no envelopes, RESOURCE_EXHAUSTED for a message that is too long.
 */
export async function* readEnvelopes(chunks: AsyncIterable<Buffer>, options: EnvelopeOptions): AsyncGenerator<Uint8Array> {
  let parts: Buffer[] = [];
  let have = 0;
  let need = prefixBytes;
  for await (const chunk of chunks) {
    parts.push(chunk);
    have += chunk.length;
    if (have < need) continue;
    let rest = parts.length === 1 ? chunk : Buffer.concat(parts, have);
    for (need = needed(rest, options); rest.length >= need; need = needed(rest, options)) {
      const message = rest.subarray(prefixBytes, need);
      const compressed = rest[0] === 1;
      rest = rest.subarray(need);
      yield compressed ? await inflated(message, options) : message;
    }
    parts = rest.length === 0 ? [] : [rest];
    have = rest.length;
  }
  if (have > 0) throw malformed("the request ends within a message");
}

/** The prefix of a message that is not compressed. */
export function envelopePrefix(flags: number, length: number): Buffer {
  const prefix = Buffer.allocUnsafe(prefixBytes);
  prefix[0] = flags;
  prefix.writeUInt32BE(length, 1);
  return prefix;
}

/** A message in an envelope. */
export function envelope(flags: number, data: Uint8Array): Buffer {
  return Buffer.concat([envelopePrefix(flags, data.byteLength), data]);
}

/**
 * Undoes base64 that was encoded in pieces, each with its own padding, as grpc-web-text allows it.
 *
 * @throws while iterating: INVALID_ARGUMENT for text that is not base64.
 */
export async function* fromBase64(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest = "";
  for await (const chunk of chunks) {
    rest += chunk.toString("latin1");
    const whole = rest.length - (rest.length % 4);
    yield* quanta(rest.slice(0, whole));
    rest = rest.slice(whole);
  }
  if (rest !== "") throw malformed("the base64 text ends within four characters");
}

function* quanta(text: string): Generator<Buffer> {
  for (const [piece] of text.matchAll(/[^=]+={0,2}|=+/g)) {
    if (piece.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(piece)) throw malformed("text that is not base64");
    yield Buffer.from(piece, "base64");
  }
}

/** Bytes of the next envelope, or of its prefix while that is not whole. */
function needed(bytes: Buffer, { maxBytes, encoding }: EnvelopeOptions): number {
  if (bytes.length < prefixBytes) return prefixBytes;
  const flags = bytes[0] ?? 0;
  if (flags > 1) throw malformed(`a message with the flags ${flags}, which a request has no use for`);
  if (flags === 1 && encoding === undefined) throw malformed("a compressed message, but no header says how");
  const length = bytes.readUInt32BE(1);
  if (length <= maxBytes) return prefixBytes + length;
  throw new ConnectError(`request message: expected at most ${maxBytes} bytes, got ${length}`, Code.ResourceExhausted);
}

async function inflated(message: Buffer, { encoding, maxBytes }: EnvelopeOptions): Promise<Uint8Array> {
  return encoding === undefined ? message : decompress(message, encoding, maxBytes);
}

function malformed(what: string): ConnectError {
  return invalidArgument([{ field: "", description: `malformed request: ${what}` }]);
}
