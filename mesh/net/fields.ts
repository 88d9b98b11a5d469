/** Header fields between the Headers of the API and the records of the wire. */
import type { IncomingFields, OutgoingFields } from "./wire.ts";

/**
 * Adds a caller's metadata to `fields`. Left out is what belongs to HTTP/2, gRPC or the mesh itself: pseudo-headers, hop-by-hop
 * fields, `grpc-*`, `x-heddle-*`; a caller cannot forge them.
 */
export function addMetadata(fields: OutgoingFields, metadata: Headers): void {
  metadata.forEach((value, name) => {
    if (!isReserved(name)) fields[name] = value;
  });
}

/** The metadata in fields that came, without those of HTTP/2 and gRPC itself. */
export function metadataOf(...blocks: readonly IncomingFields[]): Headers {
  const headers = new Headers();
  for (const fields of blocks) {
    for (const name of Object.keys(fields)) {
      const value = fields[name];
      if (value === undefined || isProtocol(name)) continue;
      if (typeof value === "string") headers.append(name, value);
      else for (const one of value) headers.append(name, one);
    }
  }
  return headers;
}

/** All fields that came but the pseudo-headers, as Connect's response.header and response.trailer show them. */
export function headersOf(fields: IncomingFields): Headers {
  const headers = new Headers();
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (value === undefined || name.startsWith(":")) continue;
    if (typeof value === "string") headers.append(name, value);
    else for (const one of value) headers.append(name, one);
  }
  return headers;
}

/** One field as a text; repeated values are joined as HTTP allows it. */
export function fieldOf(fields: IncomingFields, name: string): string | undefined {
  const value = fields[name];
  return value === undefined || typeof value === "string" ? value : value.join(", ");
}

function isReserved(name: string): boolean {
  return name.startsWith("grpc-") || name.startsWith("x-heddle-") || transportFields.has(name);
}

function isProtocol(name: string): boolean {
  return name.startsWith(":") || name.startsWith("grpc-") || transportFields.has(name);
}

/** RFC 9113, 8.2.2 (connection-specific fields), and those that the wire writes itself. */
const transportFields: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "content-type",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "user-agent",
]);
