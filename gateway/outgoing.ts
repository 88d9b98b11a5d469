/** The answering side of a request, of whichever HTTP version it came over. */
import type { ServerResponse } from "node:http";
import { constants, type Http2ServerResponse } from "node:http2";
import { passBytes } from "./dead-buffers.ts";
import type { Exchange } from "./exchange.ts";

/** Whether nobody can read the answer any more. */
export function isGone(response: ServerResponse): boolean {
  return http2Of(response)?.stream.destroyed ?? response.destroyed;
}

/** Ends an answer so that the client sees that it is not whole: the connection breaks, or over HTTP/2 the stream is reset. */
export function breakOff(response: ServerResponse): void {
  const http2 = http2Of(response);
  if (http2 === undefined) response.destroy();
  else http2.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
}

/** Writes a chunk, and waits until there is room for another or the client has gone. */
export async function writeChunk(response: ServerResponse, chunk: string | Uint8Array): Promise<void> {
  const room = response.write(chunk);
  passBytes(chunk.length);
  if (room || isGone(response)) return;
  await new Promise<void>((resolve) => {
    const go = () => {
      response.off("drain", go).off("close", go);
      resolve();
    };
    response.on("drain", go).on("close", go);
  });
}

/** Node's HTTP/2 answer, when it is one; undefined for HTTP/1.1. */
export function http2Of(response: ServerResponse): Http2ServerResponse | undefined {
  return response.req.httpVersionMajor === 2 ? (response as unknown as Http2ServerResponse) : undefined;
}

/** Writes a head and these very bytes; none to a HEAD request, and none under a status that has no body. */
export async function writeWhole(
  { response, request }: Exchange,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
): Promise<void> {
  if (isGone(response)) return;
  const empty = status === 204 || status === 304;
  response.writeHead(status, { ...allowedHeaders(response, headers), ...(empty ? {} : { "content-length": body.length }) });
  await finished(response, empty || request.method === "HEAD" ? undefined : body);
}

/** The headers without those that HTTP/2 forbids (RFC 9113, 8.2.2), when the answer goes over that. */
export function allowedHeaders(
  response: ServerResponse,
  headers: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  if (http2Of(response) === undefined || headers.connection === undefined) return headers;
  const { connection: _connection, ...rest } = headers;
  return rest;
}

function finished(response: ServerResponse, body: Uint8Array | undefined): Promise<void> {
  return new Promise((resolve) => {
    response.once("close", resolve);
    response.end(body, () => resolve());
  });
}
