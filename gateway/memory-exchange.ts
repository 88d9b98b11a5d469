/** A request and its answer in memory: what Node's HTTP server would make of bytes from a socket, without one. */
import { IncomingMessage, type OutgoingHttpHeader, type OutgoingHttpHeaders, ServerResponse } from "node:http";
import { Socket } from "node:net";

/** A request of which everything is there. */
export interface MemoryRequest {
  readonly method: string;
  /** The path with its query. */
  readonly target: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
  /** The peer that it counts as coming from. */
  readonly remoteAddress: string | undefined;
}

/** Makes the request. */
export function memoryRequest({ method, target, headers, body, remoteAddress }: MemoryRequest): IncomingMessage {
  const socket = new Socket();
  Object.defineProperty(socket, "remoteAddress", { value: remoteAddress });
  const request = new IncomingMessage(socket);
  const length = body === undefined ? {} : { "content-length": String(body.length) };
  Object.assign(request, { method, url: target, httpVersion: "1.1", httpVersionMajor: 1, httpVersionMinor: 1, complete: true });
  Object.assign(request.headers, headers, length);
  request.rawHeaders.push(...Object.entries(request.headers).flatMap(([name, value]) => [name, String(value)]));
  if (body !== undefined && body.length > 0) request.push(body);
  request.push(null);
  return request;
}

/** An answer that is kept. It emits `finish` and `close` as one on a socket does. */
export class MemoryResponse extends ServerResponse {
  readonly #chunks: Uint8Array[] = [];
  /** What was written so far. */
  get body(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  // Node serializes headers that are given here, and forgets them; kept, they can be asked for.
  override writeHead(status: number, ...rest: unknown[]): this {
    const headers = rest.find((argument) => typeof argument === "object") as OutgoingHttpHeaders | undefined;
    for (const [name, value] of Object.entries(headers ?? {})) {
      if (value !== undefined) this.setHeader(name, value as Exclude<OutgoingHttpHeader, undefined>);
    }
    return super.writeHead(status);
  }

  override flushHeaders(): void {
    if (!this.headersSent) this.writeHead(this.statusCode);
  }

  override write(chunk: unknown, ...rest: unknown[]): boolean {
    if (!this.headersSent) this.writeHead(this.statusCode);
    this.#keep(chunk);
    callback(rest)?.();
    return true;
  }

  override end(...rest: unknown[]): this {
    if (this.finished) return this;
    if (!this.headersSent) this.writeHead(this.statusCode);
    const [chunk] = rest;
    if (typeof chunk !== "function") this.#keep(chunk);
    this.finished = true;
    setImmediate(() => {
      this.emit("finish");
      callback(rest)?.();
      this.#close();
    });
    return this;
  }

  override destroy(): this {
    this.#close();
    return this;
  }

  #keep(chunk: unknown): void {
    if (typeof chunk === "string") this.#chunks.push(Buffer.from(chunk));
    else if (chunk instanceof Uint8Array && chunk.length > 0) this.#chunks.push(chunk);
  }

  #close(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit("close");
  }
}

function callback(rest: readonly unknown[]): (() => void) | undefined {
  return rest.find((argument) => typeof argument === "function") as (() => void) | undefined;
}
