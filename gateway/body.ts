/** A request's body, read whole: bounded in size and time, its content encoding undone. */
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate, inflateRaw } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { canceled, invalidArgument, unavailable } from "#mesh/errors.ts";
import { protobufType } from "./decode.ts";
import { isHttpBody, singleType } from "./http-body.ts";
import { inviteBody } from "./invitation.ts";
import type { Route } from "./routes.ts";
import { httpError } from "./status.ts";

/** The bounds of a body. */
export interface BodyLimits {
  /** Bytes, both as sent and after decompression. */
  readonly maxBytes: number;
  /** Milliseconds from the headers to the last byte. */
  readonly timeoutMs: number;
}

/**
 * How many bytes of bodies that are not whole yet a process holds: clients that send all but the last byte would otherwise fill its memory.
 * Above that no body grows beyond `smallBytes`, so that a sign-in still gets through.
 */
const maxHeldBytes = 64 * 2 ** 20;
const smallBytes = 16 * 2 ** 10;
/** Of the process, since that is what memory belongs to. */
let heldBytes = 0;

/** Whether the request has a body at all. */
export function hasBody(request: IncomingMessage): boolean {
  if (request.httpVersionMajor === 2) return !(request as unknown as Http2ServerRequest).stream.endAfterHeaders;
  return request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"] ?? 0) > 0;
}

/**
 * The media type of a request's body, in lower case and without parameters; empty when it has none.
 *
 * @throws an error of status 415 for a type that the route does not take.
 */
export function mediaTypeOf(route: Route, request: IncomingMessage): string {
  const header = request.headers["content-type"] ?? "";
  const [type = "", ...parameters] = header.split(";").map((part) => part.trim().toLowerCase());
  if (!hasBody(request) || takesAnyType(route)) return type;
  const charset = parameters
    .find((parameter) => parameter.startsWith("charset="))
    ?.slice(8)
    .replaceAll('"', "");
  const utf8 = charset === undefined || charset === "utf-8" || charset === "utf8";
  if ((type === "" || type === "application/json" || type === protobufType) && utf8) return type;
  const got = JSON.stringify(header.slice(0, 100));
  throw httpError(415, Code.InvalidArgument, `content-type: expected application/json in UTF-8 or ${protobufType}, got ${got}`, {
    accept: `application/json, ${protobufType}`,
  });
}

/**
 * Reads the body and undoes its Content-Encoding (gzip, br, deflate). Of no body the encoding says nothing.
 *
 * @throws an error of status 413, 415 or 408; INVALID_ARGUMENT when it is not in the encoding; CANCELLED when the client
 *   goes away; UNAVAILABLE with RetryInfo while too many large bodies are under way.
 */
export async function readBody(request: IncomingMessage, limits: BodyLimits): Promise<Uint8Array> {
  if (!hasBody(request)) return new Uint8Array();
  const encodings = encodingsOf(request);
  let body = await readRaw(request, limits);
  for (const encoding of encodings.reverse()) body = await decompress(body, encoding, limits.maxBytes);
  return body;
}

function takesAnyType(route: Route): boolean {
  if (route.body.kind === "field") return isHttpBody(singleType(route.body.field));
  return route.body.kind === "none" || isHttpBody(route.method.input);
}

/** The content encodings that are undone. */
export type Encoding = "gzip" | "br" | "deflate";

const supported = "gzip, br, deflate";

/** The encodings of a body, in the order in which they were applied. @throws an error of status 415 for others. */
export function encodingsOf(request: IncomingMessage): Encoding[] {
  const header = request.headers["content-encoding"] ?? "";
  const names = header.split(",").map((name) => name.trim().toLowerCase());
  const encodings = names.filter((name) => name !== "" && name !== "identity").map((name) => (name === "x-gzip" ? "gzip" : name));
  const known = encodings.filter((name): name is Encoding => name === "gzip" || name === "br" || name === "deflate");
  if (known.length === encodings.length && known.length <= 3) return known;
  throw httpError(
    415,
    Code.InvalidArgument,
    `content-encoding: expected ${supported}, got ${JSON.stringify(header.slice(0, 100))}`,
    {
      "accept-encoding": supported,
    },
  );
}

function readRaw(request: IncomingMessage, { maxBytes, timeoutMs }: BodyLimits): Promise<Uint8Array> {
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > maxBytes) return Promise.reject(tooLarge(maxBytes, `${announced} bytes`));
  inviteBody(request);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (act: () => void) => {
      clearTimeout(timer);
      heldBytes -= size;
      request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
      act();
    };
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      heldBytes += chunk.length;
      chunks.push(chunk);
      if (size > maxBytes) settle(() => reject(tooLarge(maxBytes, "more")));
      else if (heldBytes > maxHeldBytes && size > smallBytes) {
        settle(() => reject(unavailable("the gateway holds as many unfinished bodies as it can", 1000)));
      }
    };
    const onEnd = () =>
      settle(() => resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size)));
    const onClose = () => settle(() => reject(canceled("the client went away before its body was complete")));
    const slow = `body: expected all of it within ${timeoutMs} ms`;
    const timer = setTimeout(
      () => settle(() => reject(httpError(408, Code.DeadlineExceeded, slow, { connection: "close" }))),
      timeoutMs,
    );
    request.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  });
}

const decompressors = {
  gzip: promisify(gunzip) as (body: Uint8Array, o: object) => Promise<Uint8Array>,
  br: promisify(brotliDecompress) as (body: Uint8Array, o: object) => Promise<Uint8Array>,
  deflate: promisify(inflate) as (body: Uint8Array, o: object) => Promise<Uint8Array>,
  rawDeflate: promisify(inflateRaw) as (body: Uint8Array, o: object) => Promise<Uint8Array>,
};

/** Bytes up to which a body may expand as far as it likes. */
const smallExpanded = 2 ** 16;

/** Undoes one encoding. @throws INVALID_ARGUMENT for other bytes; an error of status 413 beyond `maxBytes` bytes. */
export async function decompress(body: Uint8Array, encoding: Encoding, maxBytes: number): Promise<Uint8Array> {
  // JSON shrinks to a tenth. What shrinks to a thousandth was made to cost us: 5 KB of it would be 4 MB.
  const expandable = Math.max(smallExpanded, 100 * body.length);
  const maxOutputLength = Math.min(maxBytes, expandable);
  // "deflate" is zlib's format (RFC 9110), but some clients leave its two-byte header out.
  const raw = encoding === "deflate" && (((body[0] ?? 0) & 0x0f) !== 8 || ((body[0] ?? 0) * 256 + (body[1] ?? 0)) % 31 !== 0);
  try {
    return await decompressors[raw ? "rawDeflate" : encoding](body, { maxOutputLength });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
      if (maxBytes <= expandable) throw tooLarge(maxBytes, "more");
      throw httpError(413, Code.ResourceExhausted, "body: expected it to expand at most a hundredfold, got more");
    }
    throw invalidArgument([{ field: "", description: `body: expected ${encoding}, as content-encoding says, got other bytes` }]);
  }
}

function tooLarge(maxBytes: number, got: string) {
  return httpError(413, Code.ResourceExhausted, `body: expected at most ${maxBytes} bytes, got ${got}`);
}
