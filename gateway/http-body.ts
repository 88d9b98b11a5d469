/** google.api.HttpBody: a body as it is, with its own content type, on the way in and out. */
import { create, type DescField, type DescMessage, isMessage, type Message } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { type HttpBody, HttpBodySchema } from "#gen/google/api/httpbody_pb.ts";
import type { Exchange } from "./exchange.ts";
import { writeWhole } from "./outgoing.ts";
import { partOf } from "./range.ts";
import { httpError } from "./status.ts";

/** Whether the type is google.api.HttpBody, of whichever image. */
export function isHttpBody(type: DescMessage | undefined): boolean {
  return type?.typeName === HttpBodySchema.typeName;
}

/** The type of a field that holds one message: only such a field can be a body as it is, not a list of them. */
export function singleType(field: DescField): DescMessage | undefined {
  return field.fieldKind === "message" ? field.message : undefined;
}

/** The request's body as an HttpBody, when the type is that; undefined when it is another. */
export function readBytes(type: DescMessage | undefined, body: Uint8Array, contentType: string): Message | undefined {
  if (type === undefined || !isHttpBody(type)) return undefined;
  return create(type, { contentType: contentType === "" ? "application/octet-stream" : contentType, data: body });
}

/** The bytes and content type of a message that is an HttpBody; undefined for any other. */
export function bytesOf(message: Message): { readonly contentType: string; readonly data: Uint8Array } | undefined {
  if (!isMessage(message, HttpBodySchema)) return undefined;
  const { contentType, data }: HttpBody = message;
  // The type comes from the backend and goes into a header.
  const sound = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(\s*;[\x20-\x7e]*)?$/.test(contentType);
  return { contentType: sound ? contentType : "application/octet-stream", data };
}

/** Writes bytes as they are, or the part of them that the request's Range asks for (RFC 9110, section 14). */
export async function writeBytes(
  exchange: Exchange,
  status: number,
  plain: Readonly<Record<string, string>>,
  bytes: Uint8Array,
  etag: string | undefined,
): Promise<void> {
  const headers = etag === undefined ? plain : { ...plain, etag };
  const { range, "if-range": ifRange } = exchange.request.headers;
  const ranged = status === 200 && (exchange.httpMethod === "GET" || exchange.httpMethod === "HEAD");
  if (!ranged) {
    await writeWhole(exchange, status, headers, bytes);
    return;
  }
  // A HEAD has no body to take a part of, so its Range does not count.
  const wanted = exchange.httpMethod === "GET" ? range : undefined;
  const part = partOf({ range: wanted, ifRange: ifRange?.toString() }, bytes.length, etag);
  const accepting = { ...headers, "accept-ranges": "bytes" };
  if (part.kind === "whole") await writeWhole(exchange, 200, accepting, bytes);
  else if (part.kind === "part") {
    const contentRange = `bytes ${part.start}-${part.end}/${bytes.length}`;
    await writeWhole(exchange, 206, { ...accepting, "content-range": contentRange }, bytes.subarray(part.start, part.end + 1));
  } else {
    const message = `header range: expected bytes of the ${bytes.length} that there are, got ${JSON.stringify(range?.slice(0, 50))}`;
    throw httpError(416, Code.OutOfRange, message, { "accept-ranges": "bytes", "content-range": `bytes */${bytes.length}` });
  }
}
