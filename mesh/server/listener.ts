/**
 * One TCP port for HTTP/2 (prior knowledge, as gRPC speaks it) and HTTP/1.1 (curl, browsers): Node's HTTP/2 server cannot
 * do both in cleartext, so the first bytes of a connection decide which server gets it.
 */
import { createServer as createHttp1, type Server as Http1Server, type RequestListener } from "node:http";
import { constants, createServer as createHttp2, type Http2Server, type ServerHttp2Session } from "node:http2";
import { type AddressInfo, createServer as createTcp, type Socket } from "node:net";
import type { Logger } from "../telemetry/log.ts";

/** Where to listen, and what answers. */
export interface ListenerOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly handler: RequestListener;
  readonly http2: Http2Server;
  /** Takes the HTTP/1.1 connections. Default: a server of its own over `handler`. */
  readonly http1?: Http1Server;
  readonly log: Logger;
}

/** A bound port. */
export interface Listener {
  readonly port: number;
  /** Takes no new connections and tells every peer to open no new streams (GOAWAY). */
  stop(): void;
  /** Settles when the last connection has ended. */
  readonly drained: Promise<void>;
  /** Cuts what is left. */
  destroy(): void;
}

/** How long a connection may say nothing at all before it is closed, in milliseconds. */
const silenceMs = 10_000;

/** Longer than a round trip between machines that share a mesh, in milliseconds. */
const roundTripMs = 100;

/** Flow control for a whole connection: a window for several messages of the largest size, or one stream starves the others. */
const connectionWindow = 16 * 1024 * 1024;

/** An HTTP/2 server with limits that fit gRPC. It never listens itself; connections are handed to it. */
export function http2Server(handler: RequestListener): Http2Server {
  return createHttp2(
    {
      settings: {
        // Beyond it a peer waits, as the standard wants; grpc-js opens one connection per backend, so Node's 100 is too low.
        maxConcurrentStreams: 1000,
        initialWindowSize: 1024 * 1024,
        // JWT, baggage and a few dozen headers fit; Node refuses larger ones before they reach us.
        maxHeaderListSize: 64 * 1024,
        enablePush: false,
      },
      // In MB. Node's default of 10 refuses streams once a few calls have filled their windows.
      maxSessionMemory: 128,
    },
    // The compatibility API is near enough to http's for Fastify, whose types know only one of the two.
    handler as unknown as Parameters<typeof createHttp2>[1],
  );
}

/**
 * Binds the port.
 *
 * @throws Error with one sentence that names address and port when it is taken or not allowed.
 */
export async function listen(o: ListenerOptions): Promise<Listener> {
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  const http1 = o.http1 ?? createHttp1(o.handler);
  const tcp = createTcp({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 }, (socket) => {
    sockets.add(socket);
    socket.on("error", (err) => o.log.debug({ err, peer: socket.remoteAddress }, "connection failed"));
    socket.once("close", () => sockets.delete(socket));
    chooseProtocol(socket, (http2) => (http2 ? o.http2 : http1).emit("connection", socket));
  });
  o.http2.on("session", (session) => {
    sessions.add(session);
    session.setLocalWindowSize(connectionWindow);
    session.once("close", () => sessions.delete(session));
  });
  o.http2.on("sessionError", (err) => o.log.debug({ err }, "HTTP/2 connection failed"));

  await bind(tcp, o.host, o.port);
  // Node checks for slow headers only in servers that listen; this one is handed its connections.
  http1.emit("listening");
  const drained = Promise.withResolvers<void>();
  return {
    port: (tcp.address() as AddressInfo).port,
    drained: drained.promise,
    stop() {
      // The callback comes when the last connection has ended.
      tcp.close(() => drained.resolve());
      for (const session of sessions) goAway(session);
      http1.closeIdleConnections();
      // Ends the timer behind "listening" above; there is no socket of its own to close, which is all it complains about.
      http1.close(() => undefined);
    },
    destroy() {
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/**
 * The two-step goodbye of RFC 9113, 6.8: first "no new streams" with the highest id, so that none on its way is lost; one round
 * trip later the real last id, and the end once the last stream has finished.
 */
function goAway(session: ServerHttp2Session): void {
  if (session.closed || session.destroyed) return;
  session.goaway(constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1);
  const close = () => {
    if (!session.destroyed) session.close();
  };
  session.ping(close);
  // Node's own client stops reading after the first step when it has no streams, and so never answers the ping.
  setTimeout(close, roundTripMs).unref();
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** No HTTP/1.1 method begins with these, so they decide. */
const decidingBytes = 4;

/** Calls back once the first bytes are there, which stay in the socket for the server that gets it. */
function chooseProtocol(socket: Socket, decided: (http2: boolean) => void): void {
  const timer = setTimeout(() => socket.destroy(), silenceMs).unref();
  const stop = () => {
    clearTimeout(timer);
    socket.off("readable", look);
    socket.off("close", stop);
  };
  // Bytes go back into the socket once, when it is handed over: putting them back makes it readable again at once.
  let first = Buffer.alloc(0);
  function look(): void {
    const more: Buffer | null = socket.read();
    if (more === null) return;
    first = Buffer.concat([first, more]);
    const wanted = Math.min(first.length, decidingBytes);
    const http2 = first.subarray(0, wanted).equals(preface.subarray(0, wanted));
    if (http2 && first.length < decidingBytes) return;
    stop();
    socket.unshift(first);
    decided(http2);
  }
  socket.on("readable", look);
  socket.once("close", stop);
}

function bind(tcp: ReturnType<typeof createTcp>, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (cause: NodeJS.ErrnoException) => reject(new Error(bindProblem(host, port, cause), { cause }));
    tcp.once("error", onError);
    tcp.listen({ host, port, exclusive: true }, () => {
      tcp.off("error", onError);
      resolve();
    });
  });
}

/** What went wrong when binding a port, as one sentence. */
export function bindProblem(host: string, port: number, cause: NodeJS.ErrnoException): string {
  switch (cause.code) {
    case "EADDRINUSE":
      return `port ${port} on ${host} is already in use`;
    case "EACCES":
      return `port ${port} on ${host} needs more rights than this process has`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `${host} is not an address of this machine`;
    default:
      return `cannot listen on ${host}:${port}: ${cause.message}`;
  }
}
