/** Which headers cross the gateway, and under which names. */
import type { IncomingHttpHeaders } from "node:http";
import { invalidArgument } from "#mesh/errors.ts";

/** The prefix under which a client sends metadata of its own, and gets the backend's. */
const prefix = "grpc-metadata-";

/**
 * The metadata that a request's headers become: `Grpc-Metadata-X: v` is sent as `x: v`; `Accept-Language` and
 * `Last-Event-ID` go as they are. Nothing else passes. What the mesh sets itself (`x-heddle-*`, `grpc-*`, the trace, the
 * correlation id, credentials) cannot be set from outside under the prefix either; such headers are dropped.
 *
 * @param passAuthorization true when no verifier stands in the gateway, so that the backend itself judges the header.
 * @throws INVALID_ARGUMENT for a `-bin` header that is not base64.
 */
export function requestMetadata(headers: IncomingHttpHeaders, passAuthorization: boolean): Headers {
  const metadata = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue;
    const target = name.startsWith(prefix) ? name.slice(prefix.length) : passing.has(name) ? name : undefined;
    if (target === undefined || (name.startsWith(prefix) && isReserved(target)) || !isToken(target)) continue;
    const text = Array.isArray(value) ? value.join(", ") : value;
    if (target.endsWith("-bin") && !/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) {
      throw invalidArgument([{ field: `header ${name}`, description: "expected base64, since its name ends in -bin" }]);
    }
    if (isAscii(text)) metadata.append(target, text);
  }
  if (passAuthorization && headers.authorization !== undefined && isAscii(headers.authorization)) {
    metadata.set("authorization", headers.authorization);
  }
  return metadata;
}

/**
 * The metadata of a request of gRPC, gRPC-Web or Connect: there every header is metadata, under its own name. Left out is what
 * belongs to HTTP, to browsers, to the protocol or to the mesh.
 *
 * @param passAuthorization as in requestMetadata
 * @throws INVALID_ARGUMENT for a `-bin` header that is not base64.
 */
export function rpcMetadata(headers: IncomingHttpHeaders, passAuthorization: boolean): Headers {
  const prefixed: IncomingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!browsers.has(name) && !name.startsWith("sec-")) prefixed[name.startsWith(prefix) ? name : `${prefix}${name}`] = value;
  }
  if (headers.authorization !== undefined) prefixed.authorization = headers.authorization;
  return requestMetadata(prefixed, passAuthorization);
}

/** The metadata of a backend's answer that goes on in gRPC, gRPC-Web and Connect. */
export function rpcHeaders(metadata: Headers): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of metadata) if (!isReserved(name) && isAscii(value)) headers[name] = value;
  return headers;
}

/** The response headers that a backend's metadata becomes: each under the prefix, what the transport owns left out. */
export function responseHeaders(metadata: Headers): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of metadata) {
    if (!isReserved(name) && name !== httpCodeHeader && isAscii(value)) headers[`${prefix}${name}`] = value;
  }
  return headers;
}

/** The metadata by which a backend sets the status of a good answer. */
export const httpCodeHeader = "x-http-code";

/** The id of the last event that a client had of a stream which broke: a header, and metadata of the same name. */
export const lastEventId = "last-event-id";

const passing = new Set(["accept-language", lastEventId]);

/** Headers that HTTP clients send by themselves and that are nobody's metadata. */
const browsers = new Set([
  ...["accept", "accept-charset", "cache-control", "pragma", "origin", "referer", "dnt", "priority", "expect", "if-none-match"],
  ...["x-grpc-web", "x-user-agent", "x-server-timeout", "http2-settings", "range", "if-range", "upgrade-insecure-requests"],
]);

const reserved = new Set([
  ...["authorization", "cookie", "set-cookie", "host", "connection", "keep-alive", "proxy-authenticate", "proxy-authorization"],
  ...["te", "trailer", "transfer-encoding", "upgrade", "content-length", "content-type", "content-encoding", "accept-encoding"],
  ...["traceparent", "tracestate", "x-correlation-id", "x-api-key", "user-agent", "date", "vary", "server", "forwarded"],
  // They go out as headers of HTTP's own, where they belong.
  ...["location", "etag"],
]);

function isReserved(name: string): boolean {
  return reserved.has(name) || /^(grpc-|x-heddle-|connect-|x-forwarded-|:)/.test(name);
}

function isToken(name: string): boolean {
  return /^[a-z0-9_.-]+$/.test(name);
}

function isAscii(value: string): boolean {
  return /^[\x20-\x7e]*$/.test(value);
}
