/** An HTTP/1.1 client for many small requests: one socket, kept alive, one request at a time, and no more parsing than its answers need. */
import { connect, type Socket } from "node:net";
import type { FuzzRequest } from "./oracle.ts";

/** What came back. */
export interface FuzzReply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** One connection. It connects again after answers that close it. */
export class FuzzClient implements Disposable {
  readonly #port: number;
  #socket: Socket | undefined;
  #received: Buffer = Buffer.alloc(0);
  #head = false;
  #settle: ((reply: FuzzReply | undefined) => void) | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** Sends a request with `id` as the metadata `fuzz`; undefined when the connection broke without an answer, or nothing came for `timeoutMs`. */
  send(request: FuzzRequest, id: string, timeoutMs: number): Promise<FuzzReply | undefined> {
    const { httpMethod, path, query, contentType, body } = request;
    this.#socket ??= this.#connect();
    this.#head = httpMethod === "HEAD";
    const type = contentType === "" ? "" : `content-type: ${contentType}\r\n`;
    const target = query === undefined ? path : `${path}?${query}`;
    const head = `${httpMethod} ${target} HTTP/1.1\r\nhost: a\r\ngrpc-metadata-fuzz: ${id}\r\n${type}content-length: ${body.length}\r\n\r\n`;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#drop();
        settle(undefined);
      }, timeoutMs);
      const settle = (reply: FuzzReply | undefined) => {
        clearTimeout(timer);
        this.#settle = undefined;
        resolve(reply);
      };
      this.#settle = settle;
      this.#socket?.write(body.length === 0 ? head : Buffer.concat([Buffer.from(head, "latin1"), body]));
    });
  }

  [Symbol.dispose](): void {
    this.#drop();
  }

  #connect(): Socket {
    const socket = connect(this.#port, "127.0.0.1");
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      if (socket !== this.#socket) return;
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
      this.#read();
    });
    socket.on("close", () => {
      if (socket !== this.#socket) return;
      this.#socket = undefined;
      this.#received = Buffer.alloc(0);
      this.#settle?.(undefined);
    });
    return socket;
  }

  #read(): void {
    const end = this.#received.indexOf("\r\n\r\n");
    if (end < 0) return;
    const [line = "", ...fields] = this.#received.toString("latin1", 0, end).split("\r\n");
    const status = Number(line.split(" ")[1]);
    const headers = new Map(
      fields.map((field) => [field.slice(0, field.indexOf(":")).toLowerCase(), field.slice(field.indexOf(":") + 1).trim()]),
    );
    const empty = this.#head || status === 204 || status === 304;
    const length = empty ? 0 : Number(headers.get("content-length") ?? Number.NaN);
    if (Number.isNaN(length)) throw new Error(`expected content-length, got ${[...headers.keys()]}`);
    if (this.#received.length < end + 4 + length) return;
    const body = Buffer.from(this.#received.subarray(end + 4, end + 4 + length));
    this.#received = this.#received.subarray(end + 4 + length);
    if (headers.get("connection") === "close") this.#drop();
    this.#settle?.({ status, headers, body });
  }

  #drop(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#received = Buffer.alloc(0);
  }
}
