/**
 * The socket: HTTP/1.1, HTTP/2 with prior knowledge, and WebSockets on one port. HTTP/1.1 is Fastify's, with one hook that takes
 * every request, so that only the gateway's router decides on paths, and everything that goes wrong below it (a head that is none,
 * a head too large, a timeout) is a google.rpc.Status too.
 */
import { type IncomingMessage, type RequestListener, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { createRegistry } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { Tracer } from "@opentelemetry/api";
import fastify from "fastify";
import { http2Server, listen as listenOn } from "#mesh/server/listener.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import type { AccessLog } from "./access-log.ts";
import { beginExchange, type Exchange, type Upgrade } from "./exchange.ts";
import { holdBody } from "./invitation.ts";
import { answerError, httpError } from "./status.ts";
import { readSubprotocols } from "./web-socket.ts";

/** What listens, and what takes the requests. */
export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  readonly trustedHops: number;
  readonly tracer: Tracer;
  readonly clock: () => number;
  readonly accessLog: AccessLog;
  readonly log: Logger;
  /** Answers a request, whatever it is. It does not throw. */
  handle(exchange: Exchange): Promise<void>;
}

/** A socket that listens. */
export interface Listener {
  readonly port: number;
  readonly address: string;
  drain(ms: number): Promise<void>;
}

/** How much of a body that nobody wanted is read and dropped, so that the client gets to read the answer. */
const dropBytes = 64 * 2 ** 20;
/** How long that may take, in milliseconds. */
const dropMs = 30_000;

/**
 * Listens.
 *
 * @throws the error of the socket: EADDRINUSE, EACCES.
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  let draining = false;
  const app = fastify({
    logger: false,
    // Every path is "/" to Fastify's own router; the one that counts gets the target as it came.
    rewriteUrl: () => "/",
    return503OnClosing: false,
    forceCloseConnections: "idle",
    // Bodies have their own limits: a stream of a client may last for hours.
    requestTimeout: 0,
    http: {
      headersTimeout: 20_000,
      connectionsCheckingInterval: 2_000,
      keepAliveTimeout: 75_000,
      requireHostHeader: false,
      // Any other upgrade is an offer, which a server is free not to take.
      shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === "websocket",
    },
    clientErrorHandler,
  });
  app.addHook("onRequest", (request, reply) => {
    reply.hijack();
    void answer(request.raw, reply.raw, request.originalUrl);
  });
  app.server.on("checkContinue", (request, response) => {
    holdBody(request, response);
    void answer(request, response, request.url ?? "/");
  });
  app.server.on("checkExpectation", (request, response) => void answer(request, response, request.url ?? "/"));

  app.server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    readSubprotocols(request);
    // The answer to a refused handshake; an accepted one takes the socket away from it.
    void answer(request, responseOn(socket, request), request.url ?? "/", { socket, head });
  });
  app.server.on("connect", (request: IncomingMessage, socket: Socket) => {
    void answer(request, responseOn(socket, request), request.url ?? "/");
  });
  await app.ready();

  async function answer(request: IncomingMessage, response: ServerResponse, target: string, upgrade?: Upgrade): Promise<void> {
    const exchange = beginExchange(request, response, target, options);
    exchange.upgrade = upgrade;
    // Anything that is still on its way when the answer is out is read and dropped, up to a bound.
    response.once("finish", () => drop(request));
    response.on("error", () => {});
    if (draining) exchange.headers.connection = "close";
    await options.handle(exchange);
    options.accessLog(exchange);
  }

  const onRequest: RequestListener = (request, response) => void answer(request, response, request.url ?? "/");
  const http2 = http2Server(onRequest);
  http2.on("connect", onRequest as never);
  const handler = () => {};
  const listener = await listenOn({
    host: options.host,
    port: options.port,
    handler,
    http1: app.server,
    http2,
    log: options.log,
  }).catch((error: Error) => Promise.reject(error.cause ?? error));
  const { port } = listener;
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  return {
    port,
    address: `http://${host}:${port}`,
    async drain(ms) {
      draining = true;
      listener.stop();
      // Connections that were busy when it began become idle later.
      const idle = setInterval(() => app.server.closeIdleConnections(), 20);
      const late = setTimeout(() => listener.destroy(), ms);
      await listener.drained;
      clearInterval(idle);
      clearTimeout(late);
      await app.close();
    },
  };
}

/** An answer on a socket that Node has let go of. */
function responseOn(socket: Socket, request: IncomingMessage): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once("finish", () => socket.end());
  socket.on("error", () => {});
  return response;
}

/** @throws an error of status 400 or 417 for a head that HTTP/1.1 does not allow, and of 501 for CONNECT. */
export function checkHead(request: IncomingMessage): void {
  const hosts = request.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === "host").length;
  // RFC 9112, 3.2. Node keeps the first of several, and a proxy in front may have believed another.
  if (hosts > 1 || (hosts === 0 && request.httpVersion === "1.1")) {
    throw httpError(400, Code.InvalidArgument, `header host: expected one, as HTTP/1.1 demands, got ${hosts}`);
  }
  if (request.method === "CONNECT") {
    const close = { connection: "close" };
    throw httpError(501, Code.Unimplemented, "CONNECT: expected a request for this server, which is no proxy", close);
  }
  const { expect } = request.headers;
  if (expect !== undefined && expect.toLowerCase() !== "100-continue") {
    const got = JSON.stringify(expect.slice(0, 50));
    throw httpError(417, Code.InvalidArgument, `header expect: expected 100-continue, got ${got}`, { connection: "close" });
  }
}

function drop(request: IncomingMessage): void {
  if (request.complete) return;
  let dropped = 0;
  const timer = setTimeout(() => request.destroy(), dropMs);
  request.once("close", () => clearTimeout(timer));
  request.on("data", (chunk: Buffer) => {
    dropped += chunk.length;
    if (dropped > dropBytes) request.destroy();
  });
  request.resume();
}

/** The errors that never become a request, by the code that Node gives them. */
const headErrors: Readonly<Record<string, { readonly status: number; readonly code: Code; readonly message: string }>> = {
  HPE_HEADER_OVERFLOW: { status: 431, code: Code.InvalidArgument, message: "head: expected at most 16 KiB of headers" },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: 413,
    code: Code.InvalidArgument,
    message: "body: expected at most 16 KiB of chunk extensions",
  },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, code: Code.DeadlineExceeded, message: "expected the whole request in time" },
};

const noTypes = createRegistry();

function clientErrorHandler(
  error: Error & { code?: string; reason?: string },
  socket: Socket & { _httpMessage?: ServerResponse },
): void {
  // Behind a half-written answer there is nothing left to say.
  if (error.code === "ECONNRESET" || !socket.writable || socket._httpMessage?.headersSent === true) {
    socket.destroy();
    return;
  }
  const known = headErrors[error.code ?? ""];
  const reason = known?.message ?? `expected an HTTP/1.1 request: ${error.reason ?? error.code ?? "it is none"}`;
  const { status, headers, body } = answerError(httpError(known?.status ?? 400, known?.code ?? Code.InvalidArgument, reason), {
    types: noTypes,
    problem: false,
  });
  const head = Object.entries({ ...headers, connection: "close", "content-length": String(Buffer.byteLength(body)) });
  socket.end(
    `HTTP/1.1 ${status} ${phrase(status)}\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${body}`,
  );
}

function phrase(status: number): string {
  return status === 431
    ? "Request Header Fields Too Large"
    : status === 408
      ? "Request Timeout"
      : status === 413
        ? "Content Too Large"
        : "Bad Request";
}
