/** For tests: an HTTP/2 server whose every frame the test decides, and a recorder of what a wire reports. */
import { createServer, type ServerHttp2Session, type ServerHttp2Stream, type ServerOptions } from "node:http2";
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer, type Socket } from "node:net";
import type { IncomingFields, OutgoingFields, Wire, WireCall, WireEnd, WireEvents } from "./wire.ts";

/** A listening server with its address; disposing ends all that it has. */
export interface RawServer extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly sessions: Set<ServerHttp2Session>;
  /** Ends the server and every connection at once, as kill -9 would. */
  kill(): Promise<void>;
}

/** Answers each stream by `onStream`, on a free port or on `port`. */
export async function rawServer(
  onStream: (stream: ServerHttp2Stream, fields: Record<string, unknown>) => void,
  options: ServerOptions & { port?: number } = {},
): Promise<RawServer> {
  const server = createServer(options);
  const sessions = new Set<ServerHttp2Session>();
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => {});
    session.on("close", () => sessions.delete(session));
  });
  server.on("stream", (stream: ServerHttp2Stream, fields) => {
    stream.on("error", () => {});
    onStream(stream, fields);
  });
  await new Promise<void>((listening) => server.listen(options.port ?? 0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  const kill = async () => {
    const closed = new Promise<void>((done) => server.close(() => done()));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return { address: `127.0.0.1:${port}`, port, sessions, kill, [Symbol.asyncDispose]: kill };
}

/** A TCP server that takes connections and bytes and never says anything. */
export async function silentServer(): Promise<{ address: string; accepted(): number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createTcpServer((socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.resume();
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return {
    address: `127.0.0.1:${port}`,
    accepted: () => accepted,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((done) => server.close(() => done()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A TCP proxy to `port` that can stop passing anything on, in both directions, with its connections left open. */
export async function freezingProxy(port: number): Promise<{ address: string; freeze(): void } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  let frozen = false;
  const pass = (from: Socket, to: Socket) => {
    sockets.add(from);
    from.on("error", () => {});
    from.on("data", (bytes) => frozen || to.write(bytes));
    from.on("close", () => to.destroy());
  };
  const server = createTcpServer((client) => {
    const upstream = connectTcp(port, "127.0.0.1");
    pass(client, upstream);
    pass(upstream, client);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    freeze() {
      frozen = true;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((done) => server.close(() => done()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((closed) => server.close(() => closed()));
  return port;
}

/** One gRPC frame around `text`. */
export function frame(text: string | Uint8Array, flag = 0): Buffer {
  const body = Buffer.from(text);
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(body.byteLength, 1);
  return Buffer.concat([prefix, body]);
}

/** Answers a stream as gRPC servers do: header, the given messages, trailers. */
export function answer(stream: ServerHttp2Stream, messages: readonly string[], trailer: Record<string, string> = {}): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", ...trailer }));
  stream.end(Buffer.concat(messages.map((message) => frame(message))));
}

/** Answers with a status and nothing else (trailers-only). */
export function answerStatus(stream: ServerHttp2Stream, code: number, fields: Record<string, string> = {}): void {
  stream.respond(
    { ":status": 200, "content-type": "application/grpc", "grpc-status": String(code), ...fields },
    { endStream: true },
  );
}

/** What a call reported. */
export interface Recorded {
  readonly call: WireCall;
  readonly log: string[];
  readonly messages: string[];
  header: IncomingFields | undefined;
  readonly end: Promise<WireEnd>;
}

/** Starts a call and records its events. `message: undefined` leaves the request open. */
export function record(
  wire: Wire,
  options: { path?: string; message?: string | undefined; header?: OutgoingFields; maxResponseBytes?: number } = {},
): Recorded {
  const log: string[] = [];
  const messages: string[] = [];
  const { promise: end, resolve } = Promise.withResolvers<WireEnd>();
  const events: WireEvents = {
    onHeader(header) {
      log.push("header");
      recorded.header = header;
    },
    onMessage(message) {
      log.push("message");
      messages.push(Buffer.from(message).toString());
    },
    onDrain: () => log.push("drain"),
    onEnd(result) {
      log.push("end");
      resolve(result);
    },
  };
  const message = "message" in options ? options.message : "hello";
  const request = {
    path: options.path ?? "/test.v1.Echo/Say",
    header: options.header ?? {},
    message: message === undefined ? undefined : Buffer.from(message),
    maxResponseBytes: options.maxResponseBytes ?? 4 << 20,
  };
  const recorded: Recorded = { call: undefined as unknown as WireCall, log, messages, header: undefined, end };
  return Object.assign(recorded, { call: wire.start(request, events) });
}

/** Waits until `condition` holds, for at most `ms` milliseconds. */
export async function until(what: string, condition: () => boolean, ms = 5000): Promise<void> {
  const limit = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > limit) throw new Error(`waited ${ms} ms in vain until ${what}`);
    await new Promise((later) => setTimeout(later, 2));
  }
}
