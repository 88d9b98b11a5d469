/** HTTP/1.1 over a bare socket, so that what a vector says is what is sent, and what came is what is checked. */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import { bytesOf, textOf } from "./payload.ts";
import type { VectorRequest } from "./vector.ts";

/** An answer, read to its end. */
export interface RawAnswer {
  /** 0 when no answer came. */
  readonly status: number;
  /** By lower-case name; values of repeated fields joined by `, `. */
  readonly headers: ReadonlyMap<string, string>;
  /** The body with its transfer and content codings undone. */
  readonly body: Buffer;
  /** The connection ended before the body did. */
  readonly broken: boolean;
  /** Milliseconds from the first byte sent to the last one read. */
  readonly tookMs: number;
  /** performance.now() when the client went away, for requests that say so. */
  readonly leftAt: number | undefined;
}

/** A socket hands over no more at once; less of it means that no more had come. */
const fullChunk = 65_536;

/** How long an answer is waited for. */
const patienceMs = 15_000;

/** Sends a request to `http://host:port` and reads the answer until the connection closes. */
export async function sendRaw(target: URL, request: VectorRequest): Promise<RawAnswer> {
  const startedAt = performance.now();
  const socket = connect(Number(target.port), target.hostname);
  const chunks: Buffer[] = [];
  let leftAt: number | undefined;
  const closed = new Promise<void>((resolve) => {
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      // For gateways that keep the connection open in spite of Connection: close. Looked at when it may be the end only, as
      // looking costs as much as there is.
      if (chunk.length < fullChunk && isWhole(Buffer.concat(chunks), request.method)) socket.destroy();
    });
    // A gateway may close while the rest of a refused request is still on its way.
    socket.on("error", () => {});
    socket.on("close", () => resolve());
  });
  socket.write(headOf(target, request));
  for (const piece of bodyOf(request)) socket.write(piece);
  const patience = setTimeout(() => socket.destroy(), patienceMs);
  if (request.abortAfterMs !== undefined) {
    await sleep(request.abortAfterMs);
    leftAt = performance.now();
    socket.destroy();
  }
  await closed;
  clearTimeout(patience);
  return { ...parse(Buffer.concat(chunks), request.method), tookMs: performance.now() - startedAt, leftAt };
}

function headOf(target: URL, { method, target: path, headers = [], body, chunked, noHost }: VectorRequest): Buffer {
  const lines = headers.map(textOf);
  const has = (name: string) => lines.some((line) => line.toLowerCase().startsWith(`${name}:`));
  if (!has("host") && noHost !== true) lines.unshift(`Host: ${target.host}`);
  if (!has("connection")) lines.push("Connection: close");
  if (chunked !== undefined) lines.push("Transfer-Encoding: chunked");
  else if (body !== undefined && !has("content-length") && !has("transfer-encoding"))
    lines.push(`Content-Length: ${bytesOf(body).length}`);
  // Latin-1, as bytes of a head beyond ASCII are given in vectors by the characters of the same number.
  return Buffer.from(`${method} ${textOf(path)} HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`, "latin1");
}

function* bodyOf({ body, chunked }: VectorRequest): Generator<Buffer> {
  const bytes = body === undefined ? Buffer.alloc(0) : bytesOf(body);
  if (chunked === undefined) {
    if (bytes.length > 0) yield bytes;
    return;
  }
  for (let at = 0; at < bytes.length; at += chunked) {
    const piece = bytes.subarray(at, at + chunked);
    yield Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]);
  }
  yield Buffer.from("0\r\n\r\n");
}

type Parsed = Omit<RawAnswer, "tookMs" | "leftAt">;

const none: Parsed = { status: 0, headers: new Map(), body: Buffer.alloc(0), broken: true };

function isWhole(bytes: Buffer, method: string): boolean {
  const head = readHead(bytes);
  if (head === undefined) return false;
  const closes = !head.headers.has("content-length") && head.headers.get("transfer-encoding") !== "chunked";
  return (!closes || hasNoBody(method, head.status)) && !parse(bytes, method).broken;
}

function parse(bytes: Buffer, method: string): Parsed {
  const head = readHead(bytes);
  if (head === undefined) return none;
  const { status, headers, rest } = head;
  if (hasNoBody(method, status)) return { status, headers, body: rest, broken: false };
  const { body, broken } = readBody(headers, rest);
  return { status, headers, body: broken ? body : decoded(headers.get("content-encoding"), body), broken };
}

function hasNoBody(method: string, status: number): boolean {
  return method === "HEAD" || status === 101 || status === 204 || status === 304;
}

function readHead(bytes: Buffer): { status: number; headers: Map<string, string>; rest: Buffer } | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [first = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1] ?? 0);
  const rest = bytes.subarray(end + 4);
  // 100 Continue is not the answer yet.
  if (status >= 100 && status < 200 && status !== 101) return readHead(rest);
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const earlier = headers.get(name);
    headers.set(name, earlier === undefined ? value : `${earlier}, ${value}`);
  }
  return { status, headers, rest };
}

function readBody(headers: Map<string, string>, rest: Buffer): { body: Buffer; broken: boolean } {
  if (headers.get("transfer-encoding") === "chunked") return readChunks(rest);
  const length = headers.get("content-length");
  if (length === undefined) return { body: rest, broken: false };
  return { body: rest.subarray(0, Number(length)), broken: rest.length < Number(length) };
}

function readChunks(bytes: Buffer): { body: Buffer; broken: boolean } {
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf("\r\n", at);
    const size = line < 0 ? Number.NaN : Number.parseInt(bytes.toString("latin1", at, line), 16);
    const end = line + 2 + size + 2;
    if (Number.isNaN(size) || (size > 0 && bytes.length < end)) return { body: Buffer.concat(chunks), broken: true };
    if (size === 0) return { body: Buffer.concat(chunks), broken: false };
    chunks.push(bytes.subarray(line + 2, end - 2));
    at = end;
  }
}

function decoded(coding: string | undefined, body: Buffer): Buffer {
  if (coding === "gzip") return gunzipSync(body);
  if (coding === "br") return brotliDecompressSync(body);
  return coding === "deflate" ? inflateSync(body) : body;
}
