/** Calls whose messages stand in envelopes: gRPC, gRPC-Web and Connect's streams. They differ in how they say the end. */
import type { Message, Registry } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { createEndStreamSerialization, endStreamFlag } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import type { Encoding } from "./body.ts";
import { bodyChunks } from "./body-chunks.ts";
import { envelope, envelopePrefix, fromBase64, readEnvelopes } from "./envelope.ts";
import type { Exchange } from "./exchange.ts";
import type { Answer } from "./forward.ts";
import type { Limits } from "./limits.ts";
import { rpcHeaders } from "./metadata.ts";
import { allowedHeaders, http2Of, isGone, writeChunk } from "./outgoing.ts";
import type { RpcCodec } from "./rpc-codec.ts";
import type { RpcProtocol } from "./rpc-protocol.ts";
import { withoutMetadata } from "./status.ts";

/** The encodings of messages, dearest last; answers are not compressed, as inside the mesh. */
const encodings: readonly Encoding[] = ["gzip", "br", "deflate"];

/**
 * The messages of the request. Iterating throws what `bodyChunks` and `readEnvelopes` throw.
 *
 * @throws UNIMPLEMENTED for an encoding that there is none of.
 */
export function envelopedRequest(
  exchange: Exchange,
  protocol: RpcProtocol,
  codec: RpcCodec,
  limits: Limits,
): AsyncGenerator<Message> {
  const { headers } = exchange.request;
  const name = String(headers[encodingHeader(protocol)] ?? "identity");
  const encoding = encodings.find((known) => known === name);
  if (encoding === undefined && name !== "identity") {
    const supported = encodings.join(",");
    throw new ConnectError(
      `expected messages in one of the encodings ${supported}, got ${JSON.stringify(name.slice(0, 50))}`,
      Code.Unimplemented,
      {
        [acceptHeader(protocol)]: supported,
      },
    );
  }
  const bytes = bodyChunks(exchange.request, limits.idleMs);
  const chunks = protocol.text ? fromBase64(bytes) : bytes;
  return decoded(readEnvelopes(chunks, { maxBytes: limits.maxBytes, encoding }), codec);
}

/** Writes the answer to its end, as fast as the client reads. A failure of the backend in between is thrown. */
export async function writeEnveloped(exchange: Exchange, protocol: RpcProtocol, codec: RpcCodec, answer: Answer): Promise<void> {
  const { response } = exchange;
  if (isGone(response)) return;
  response.writeHead(200, headOf(exchange, protocol, rpcHeaders(answer.header)));
  response.flushHeaders();
  if (answer.kind === "unary") await writeMessage(exchange, protocol, codec.encode(answer.message));
  else for await (const message of answer.messages) await writeMessage(exchange, protocol, codec.encode(message));
}

/** Says how the call ended, after what was written before, if anything. */
export function endEnveloped(
  exchange: Exchange,
  protocol: RpcProtocol,
  trailer: Headers,
  error: ConnectError | undefined,
  types: Registry,
): void {
  const { response } = exchange;
  if (isGone(response)) return;
  const metadata = new Headers(rpcHeaders(error === undefined ? trailer : error.metadata));
  if (protocol.family === "connect") {
    const end = { metadata, ...(error === undefined ? {} : { error: withoutMetadata(error) }) };
    const data = createEndStreamSerialization({ registry: types }).serialize(end);
    if (!response.headersSent) response.writeHead(200, headOf(exchange, protocol, {}));
    response.end(envelope(endStreamFlag, data));
    return;
  }
  setTrailerStatus(metadata, error === undefined ? undefined : withoutMetadata(error));
  if (protocol.family === "grpc-web") {
    if (!response.headersSent) response.writeHead(200, headOf(exchange, protocol, {}));
    response.end(framed(protocol, envelope(trailerFlag, trailerSerialize(metadata))));
  } else if (response.headersSent) {
    response.addTrailers(Object.fromEntries(metadata));
    response.end();
  } else endAtOnce(exchange, headOf(exchange, protocol, Object.fromEntries(metadata)));
}

/** A status and nothing else goes into the head, which tells a client that it may try again ("Trailers-Only"). */
function endAtOnce({ response, request }: Exchange, head: Readonly<Record<string, string>>): void {
  const http2 = http2Of(response);
  if (http2 === undefined) {
    response.writeHead(200, head);
    response.end();
    return;
  }
  // Node's response object would send an empty DATA frame after the head.
  http2.stream.respond({ ":status": 200, ...head }, { endStream: true });
  request.resume();
}

async function* decoded(messages: AsyncIterable<Uint8Array>, codec: RpcCodec): AsyncGenerator<Message> {
  for await (const bytes of messages) yield codec.decode(bytes);
}

/** Bytes from which a message is written as it is instead of copied behind its prefix. */
const longMessage = 16 * 1024;

async function writeMessage({ response }: Exchange, protocol: RpcProtocol, data: Uint8Array): Promise<void> {
  if (data.byteLength < longMessage || protocol.text) {
    await writeChunk(response, framed(protocol, envelope(0, data)));
    return;
  }
  response.write(envelopePrefix(0, data.byteLength));
  await writeChunk(response, data);
}

function framed({ text }: RpcProtocol, bytes: Buffer): Buffer | string {
  return text ? bytes.toString("base64") : bytes;
}

function headOf(exchange: Exchange, protocol: RpcProtocol, metadata: Readonly<Record<string, string>>): Record<string, string> {
  const type = exchange.request.headers["content-type"] ?? "";
  return {
    ...metadata,
    ...allowedHeaders(exchange.response, exchange.headers),
    "content-type": (type.split(";")[0] ?? "").trim().toLowerCase(),
    [acceptHeader(protocol)]: encodings.join(","),
  };
}

function encodingHeader({ family }: RpcProtocol): string {
  return family === "connect" ? "connect-content-encoding" : "grpc-encoding";
}

function acceptHeader({ family }: RpcProtocol): string {
  return family === "connect" ? "connect-accept-encoding" : "grpc-accept-encoding";
}
