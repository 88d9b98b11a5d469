/**
 * gRPC's trailers-only response: a call that fails before its first message is answered by one HEADERS frame with END_STREAM,
 * which holds the status (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Responses").
 *
 * Connect answers every call with headers and trailers. To a client headers mean that the server has begun to answer, and then
 * it never retries (gRFC A6).
 */
import type { OutgoingHttpHeaders } from "node:http";
import { constants, type Http2ServerResponse } from "node:http2";
import type { FastifyReply, FastifyRequest } from "fastify";
import { percentEncode } from "./unknown-method.ts";

/** A Fastify hook. Answers to gRPC over HTTP/2 are held back until it is known whether a message comes; others pass as they are. */
export async function holdBackHeaders(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const raw = reply.raw as unknown as Http2ServerResponse;
  if ("stream" in raw && isGrpc(request.headers["content-type"])) hold(raw);
}

/** `application/grpc`, `application/grpc+proto`, with parameters or not; neither gRPC-Web nor Connect. */
function isGrpc(contentType: string | undefined): boolean {
  return /^application\/grpc(\+|;|\s|$)/i.test(contentType ?? "");
}

/** Keeps what writeHead says until the first byte of the body, or the end. */
function hold(response: Http2ServerResponse): void {
  const sendHead = response.writeHead.bind(response) as (status: number, headers: OutgoingHttpHeaders) => Http2ServerResponse;
  const write = response.write.bind(response) as (...args: unknown[]) => boolean;
  const end = response.end.bind(response) as (...args: unknown[]) => Http2ServerResponse;
  const addTrailers = response.addTrailers.bind(response);
  let head: { readonly status: number; readonly headers: OutgoingHttpHeaders } | undefined;
  let trailers: OutgoingHttpHeaders = {};
  const release = () => {
    if (head !== undefined) sendHead(head.status, head.headers);
    head = undefined;
  };
  Object.assign(response, {
    writeHead(status: number, headers: OutgoingHttpHeaders = {}) {
      head = { status, headers };
      return response;
    },
    addTrailers(fields: OutgoingHttpHeaders) {
      trailers = fields;
      addTrailers(withPlainMessage(fields));
    },
    write(...args: unknown[]) {
      release();
      return write(...args);
    },
    end(...args: unknown[]) {
      const { stream } = response;
      const failed = Number(trailers["grpc-status"] ?? 0) !== 0;
      if (head === undefined || !failed || args.length > 0 || stream.destroyed || stream.closed) {
        release();
        return end(...args);
      }
      const { status, headers } = head;
      head = undefined;
      respondTrailersOnly(response, status, { ...response.getHeaders(), ...headers }, trailers);
      return response;
    },
  });
}

/** Answers with one block of both, which ends the stream. */
export function respondTrailersOnly(
  { stream }: Http2ServerResponse,
  status: number,
  headers: OutgoingHttpHeaders,
  trailers: OutgoingHttpHeaders,
): void {
  stream.respond({ ...merged(headers, withPlainMessage(trailers)), ":status": status }, { endStream: true });
  // Nobody reads what is left of the request, and the client need not send it (RFC 9113, 8.1).
  if (!stream.readableEnded) setImmediate(() => stream.closed || stream.close(constants.NGHTTP2_NO_ERROR));
}

/** Connect escapes more of grpc-message than gRPC does (`:` too), and grpc-js leaves in what it would not have escaped itself. */
function withPlainMessage(trailers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  const message = trailers["grpc-message"];
  return typeof message === "string" ? { ...trailers, "grpc-message": percentEncode(decodeURIComponent(message)) } : trailers;
}

/** One block of both. There is no body that an encoding could be of. */
function merged(headers: OutgoingHttpHeaders, trailers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  const { "grpc-encoding": _encoding, ...fields } = headers;
  for (const [name, value] of Object.entries(trailers)) {
    const before = fields[name];
    // HTTP/2 allows a content-type once; an error's metadata cannot replace it.
    if (name === "content-type" || value === undefined) continue;
    fields[name] = before === undefined ? value : [before, value].flat().map(String);
  }
  return fields;
}
