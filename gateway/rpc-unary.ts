/** Connect's unary calls: a message as the body of a POST or in the query of a GET, and HTTP's own status and compression. */
import type { Message, Registry } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { invalidArgument } from "#mesh/errors.ts";
import { decompress, readBody } from "./body.ts";
import { writeAnswer } from "./encode.ts";
import type { Exchange } from "./exchange.ts";
import type { Answer } from "./forward.ts";
import type { Limits } from "./limits.ts";
import { rpcHeaders } from "./metadata.ts";
import type { RpcCodec } from "./rpc-codec.ts";
import type { RpcProtocol } from "./rpc-protocol.ts";
import { httpStatusOf, withoutMetadata } from "./status.ts";

/**
 * Reads the request message.
 *
 * @throws INVALID_ARGUMENT, UNIMPLEMENTED for an encoding that there is none of, RESOURCE_EXHAUSTED for too many bytes.
 */
export async function readUnary(exchange: Exchange, codec: RpcCodec, limits: Limits): Promise<Message> {
  const { maxBytes, timeoutMs } = limits;
  const version =
    exchange.request.headers["connect-protocol-version"] ?? new URLSearchParams(exchange.query).get("connect") ?? "1";
  if (version !== "1" && version !== "v1") {
    throw invalidArgument([{ field: "", description: `connect-protocol-version: expected 1, got ${JSON.stringify(version)}` }]);
  }
  if (exchange.httpMethod === "GET") return codec.decode(await queryMessage(exchange.query, maxBytes));
  try {
    return await codec.decode(await readBody(exchange.request, { maxBytes, timeoutMs }));
  } catch (error) {
    // Connect's own code for an unknown compression.
    if (error instanceof ConnectError && httpStatusOf(error) === 415)
      throw new ConnectError(error.rawMessage, Code.Unimplemented);
    throw error;
  }
}

/** Writes the response message, its trailers as `Trailer-*` headers. */
export async function writeUnary(exchange: Exchange, protocol: RpcProtocol, codec: RpcCodec, answer: Answer): Promise<void> {
  if (answer.kind !== "unary") return;
  const headers = {
    ...rpcHeaders(answer.header),
    ...trailerHeaders(answer.trailer),
    ...exchange.headers,
    "content-type": `application/${protocol.codec}`,
  };
  await writeAnswer(exchange, 200, headers, codec.encode(answer.message));
}

/** Writes an error as Connect has it. */
export async function failUnary(exchange: Exchange, error: ConnectError, types: Registry): Promise<void> {
  const headers = { ...rpcHeaders(error.metadata), ...exchange.headers, "content-type": "application/json" };
  const body = errorToJsonBytes(withoutMetadata(error), { registry: types });
  await writeAnswer(exchange, codeToHttpStatus(error.code), headers, body);
}

/** The message in `message`, plain or with `base64=1`, compressed as `compression` says. */
async function queryMessage(query: string, maxBytes: number): Promise<Uint8Array> {
  const parameters = new URLSearchParams(query);
  const text = parameters.get("message") ?? "";
  const bytes = Buffer.from(text, parameters.get("base64") === "1" ? "base64url" : "utf8");
  const compression = parameters.get("compression") ?? "identity";
  if (compression === "identity" || compression === "") return bytes;
  if (compression === "gzip" || compression === "br" || compression === "deflate")
    return decompress(bytes, compression, maxBytes);
  throw new ConnectError(`compression: expected gzip, br or deflate, got ${JSON.stringify(compression)}`, Code.Unimplemented);
}

function trailerHeaders(trailer: Headers): Record<string, string> {
  return Object.fromEntries(Object.entries(rpcHeaders(trailer)).map(([name, value]) => [`trailer-${name}`, value]));
}
