/** A request's body, read whole: bounded in size and time, its content encoding undone. */
import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate, inflateRaw } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { canceled, invalidArgument } from "#mesh/errors.ts";
import { protobufType } from "./decode.ts";
import { isHttpBody } from "./http-body.ts";
import type { Route } from "./routes.ts";
import { httpError } from "./status.ts";

/** The bounds of a body. */
export interface BodyLimits {
  /** Bytes, both as sent and after decompression. */
  readonly maxBytes: number;
  /** Milliseconds from the headers to the last byte. */
  readonly timeoutMs: number;
}

/** The bounds by the gateway's options. Default 4 MiB in 30 seconds. */
export function bodyLimits({ maxBodyBytes = 4 * 2 ** 20, bodyTimeoutMs = 30_000 }: BodyOptions): BodyLimits {
  return { maxBytes: maxBodyBytes, timeoutMs: bodyTimeoutMs };
}

/** The options that bound a body. */
export interface BodyOptions {
  readonly maxBodyBytes?: number;
  readonly bodyTimeoutMs?: number;
}

/** Whether the request has a body at all. */
export function hasBody(request: IncomingMessage): boolean {
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
 * Reads the body and undoes its Content-Encoding (gzip, br, deflate).
 *
 * @throws an error of status 413, 415 or 408; INVALID_ARGUMENT when it is not in the encoding; CANCELLED when the client
 *   goes away.
 */
export async function readBody(request: IncomingMessage, limits: BodyLimits): Promise<Uint8Array> {
  const encodings = encodingsOf(request);
  let body = hasBody(request) ? await readRaw(request, limits) : new Uint8Array();
  for (const encoding of encodings.reverse()) body = await decompress(body, encoding, limits.maxBytes);
  return body;
}

function takesAnyType(route: Route): boolean {
  if (route.body.kind === "field") return isHttpBody(route.body.field.message);
  return route.body.kind === "none" || isHttpBody(route.method.input);
}

type Encoding = "gzip" | "br" | "deflate";

const supported = "gzip, br, deflate";

function encodingsOf(request: IncomingMessage): Encoding[] {
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
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (act: () => void) => {
      clearTimeout(timer);
      request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
      act();
    };
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size > maxBytes) settle(() => reject(tooLarge(maxBytes, "more")));
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

async function decompress(body: Uint8Array, encoding: Encoding, maxOutputLength: number): Promise<Uint8Array> {
  // "deflate" is zlib's format (RFC 9110), but some clients leave its two-byte header out.
  const raw = encoding === "deflate" && (((body[0] ?? 0) & 0x0f) !== 8 || ((body[0] ?? 0) * 256 + (body[1] ?? 0)) % 31 !== 0);
  try {
    return await decompressors[raw ? "rawDeflate" : encoding](body, { maxOutputLength });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE")
      throw tooLarge(maxOutputLength, "more");
    throw invalidArgument([{ field: "", description: `body: expected ${encoding}, as content-encoding says, got other bytes` }]);
  }
}

function tooLarge(maxBytes: number, got: string) {
  return httpError(413, Code.ResourceExhausted, `body: expected at most ${maxBytes} bytes, got ${got}`);
}
