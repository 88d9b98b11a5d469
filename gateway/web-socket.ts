/**
 * WebSockets (RFC 6455) for methods that stream: JSON messages as text frames each way. STREAMS.md is the
 * contract with clients; this file keeps the connection, web-socket-call.ts runs a call over it.
 */
import type { IncomingMessage } from "node:http";
import { Code, type ConnectError } from "@connectrpc/connect";
import { type WebSocket, WebSocketServer } from "ws";
import { permissionDenied } from "#mesh/errors.ts";
import type { CorsOptions } from "./cors.ts";
import { passBytes } from "./dead-buffers.ts";
import type { Exchange } from "./exchange.ts";
import { Inbox } from "./inbox.ts";
import { httpError } from "./status.ts";

/** The limits of WebSockets. */
export interface WebSocketOptions {
  /** Bytes of one message from a client; a longer one closes the socket with 1009. */
  readonly maxBytes: number;
  /** Milliseconds between pings. */
  readonly pingMs: number;
  /** The pages that may connect, beside those of the gateway's own host. */
  readonly cors: CorsOptions | undefined;
}

/** One frame of a client. */
export interface Frame {
  readonly data: Buffer;
  readonly binary: boolean;
}

/** A connection that is open. */
export interface Connection {
  /** What the client sends, read no faster than it is taken. An empty text frame ends it. */
  readonly frames: AsyncIterableIterator<Frame>;
  /** Settles when there is room for another frame. */
  send(data: string | Uint8Array): Promise<void>;
  /** Says goodbye; settles when the connection has ended. */
  close(error: ConnectError | undefined): Promise<void>;
}

/** Accepts WebSockets. */
export interface WebSockets {
  /**
   * Answers the handshake. From then on `exchange.response` stands for the connection: it emits `close` when that ends.
   *
   * @throws an error of status 400, 405 or 426 for a handshake that is none.
   */
  accept(exchange: Exchange): Promise<Connection>;
}

/** The subprotocol of JSON frames. A client that offers any must offer it, since browsers want one of theirs chosen. */
export const subprotocol = "heddle.json";

/** The server side of WebSockets. Compression is off: it costs memory per connection, which a stream has for hours. */
export function createWebSockets(options: WebSocketOptions): WebSockets {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: options.maxBytes,
    handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
  });
  const asked = new WeakMap<IncomingMessage, { readonly exchange: Exchange; refuse(error: Error): void }>();
  // With a listener the refusal is ours to write.
  server.on("wsClientError", (error, _socket, request) => asked.get(request)?.refuse(error));
  server.on("headers", (lines, request) => {
    for (const [name, value] of Object.entries(asked.get(request)?.exchange.headers ?? {})) {
      if (name !== "connection") lines.push(`${name}: ${value}`);
    }
  });
  return {
    accept(exchange) {
      const { request, response, upgrade } = exchange;
      checkOrigin(request, options.cors);
      return new Promise((resolve, reject) => {
        if (upgrade === undefined) return reject(new Error("the request asks for no WebSocket"));
        asked.set(request, { exchange, refuse: (error) => reject(refused(request, error)) });
        server.handleUpgrade(request, upgrade.socket, upgrade.head, (socket) => {
          response.detachSocket(upgrade.socket);
          response.statusCode = 101;
          socket.once("close", () => response.emit("close"));
          resolve(connectionOf(socket, options.pingMs));
        });
      });
    },
  };
}

/**
 * Takes the credentials of a page, which cannot set headers, out of the subprotocols that it offers: `bearer.<token>` stands for
 * `Authorization: Bearer <token>`, `api-key.<key>` for `X-API-Key`. A header that is there goes first.
 */
export function readSubprotocols({ headers }: IncomingMessage): void {
  for (const offered of (headers["sec-websocket-protocol"] ?? "").split(",")) {
    const [, kind, secret] = /^(bearer|api-key)\.(.+)$/.exec(offered.trim()) ?? [];
    if (kind === "bearer") headers.authorization ??= `Bearer ${secret}`;
    else if (kind === "api-key") headers["x-api-key"] ??= secret;
  }
}

/** Any page of the web may open a WebSocket to a gateway that its visitor reaches, so unlike fetch it is checked on this side. */
function checkOrigin({ headers }: IncomingMessage, cors: CorsOptions | undefined): void {
  const { origin, host } = headers;
  if (origin === undefined || cors?.origins.includes("*") || cors?.origins.includes(origin)) return;
  if (URL.canParse(origin) && new URL(origin).host === host) return;
  throw permissionDenied("ORIGIN_REFUSED", "pages of this origin may not open WebSockets here");
}

function refused({ method }: IncomingMessage, error: Error) {
  const headers = { connection: "close", upgrade: "websocket", "sec-websocket-version": "13" };
  if (method !== "GET") return httpError(405, Code.InvalidArgument, "a WebSocket begins with GET", { ...headers, allow: "GET" });
  const status = error.message.includes("Version") ? 426 : 400;
  return httpError(status, Code.InvalidArgument, `WebSocket handshake: ${error.message}`, headers);
}

/** Bytes that may wait on either side before the other is held back. */
const highWater = 64 * 1024;
/** What a frame costs beside its bytes, so that empty ones do not gather without end. */
const frameCost = 64;

function connectionOf(socket: WebSocket, pingMs: number): Connection {
  // It flows while little waits, so that a client which leaves meanwhile is noticed.
  const frames = new Inbox<Frame>(
    { pause: () => socket.pause(), resume: () => socket.resume(), close: () => {} },
    { paused: false, highWater, sizeOf: ({ data }) => data.length + frameCost },
  );
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  let answered = true;
  const heard = () => {
    answered = true;
  };
  const pings = setInterval(() => {
    // Nothing is heard from a socket that we do not read.
    // Nor is it heard soon from one that still has much to read.
    if (!answered && !socket.isPaused && socket.bufferedAmount === 0) socket.terminate();
    answered = false;
    if (socket.readyState === socket.OPEN) socket.ping();
  }, pingMs);
  socket.on("pong", heard);
  socket.on("message", (data: Buffer, binary) => {
    heard();
    if (data.length === 0 && !binary) frames.end();
    else frames.push({ data, binary });
  });
  // The reason comes with `close`; without a listener an error would end the process.
  socket.on("error", () => {});
  socket.once("close", () => {
    clearInterval(pings);
    frames.end();
  });
  return {
    frames,
    send: (data) =>
      new Promise((resolve) => {
        // A send that fails is followed by `close`, which ends the call.
        passBytes(data.length);
        passBytes(data.length);
        socket.send(data, { binary: typeof data !== "string" }, () => resolve());
        if (socket.bufferedAmount < highWater) resolve();
      }),
    close(error) {
      // What still comes is dropped, and the client's own goodbye read.
      frames.end();
      if (socket.isPaused) socket.resume();
      const [code, reason] = error === undefined ? [1000, ""] : [4000 + error.code, fitting(error.rawMessage)];
      socket.close(code, reason);
      return closed;
    },
  };
}

/** As much of a text as the 123 bytes of a close frame's reason hold, cut between characters. */
function fitting(text: string): string {
  if (Buffer.byteLength(text) <= 123) return text;
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(120));
  return `${text.slice(0, read)}...`;
}
