import assert from "node:assert/strict";
import { constants, type ServerHttp2Stream } from "node:http2";
import { Code } from "@connectrpc/connect";
import { Connection, type ConnectionOptions } from "./connection.ts";
import { answer, frame, freePort, freezingProxy, rawServer, record, silentServer, until } from "./raw-server.fixture.ts";

const grpcHeader = { ":status": 200, "content-type": "application/grpc" } as const;

function open(address: string, options: ConnectionOptions = {}): Connection & Disposable {
  const connection = new Connection(address, options);
  return Object.assign(connection, { [Symbol.dispose]: () => connection.destroy() });
}

describe("Connection: connecting", () => {
  it("reports 'connect' at once when nobody listens, then stays in backoff until it is over", async () => {
    let now = 1000;
    const address = `127.0.0.1:${await freePort()}`;
    using connection = open(address, { clock: () => now, random: () => 0.5 });
    const first = await record(connection).end;
    assert.deepEqual(
      [first.reach, first.error?.code, connection.state, connection.retryAt],
      ["connect", Code.Unavailable, "backoff", 1100],
    );
    assert.match(first.error?.rawMessage ?? "", /ECONNREFUSED/);
    assert.equal((await record(connection).end).reach, "connect");
    assert.equal(connection.retryAt, 1100);
    now = 1100;
    assert.equal(connection.state, "idle");
    assert.equal((await record(connection).end).reach, "connect");
    assert.equal(connection.retryAt, 1260);
  });

  it("reports 'connect' for a peer that accepts and says nothing within 40 ms", async () => {
    await using server = await silentServer();
    using connection = open(server.address, { connectTimeoutMs: 40 });
    const { reach, error } = await record(connection).end;
    assert.deepEqual([reach, error?.rawMessage], ["connect", `no connection within 40 ms`]);
  });

  it("shares one session among 50 calls at once", async () => {
    await using server = await rawServer((stream) => answer(stream, ["ok"]));
    using connection = open(server.address);
    const ends = await Promise.all(Array.from({ length: 50 }, () => record(connection).end));
    assert.deepEqual(new Set(ends.map(({ error }) => error)), new Set([undefined]));
    assert.equal(server.sessions.size, 1);
  });

  it("opens a second session when the peer takes 2 streams per session, and waits when it may not", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await rawServer((stream) => held.push(stream), { settings: { maxConcurrentStreams: 2 } });
    using connection = open(server.address, { maxSessions: 2 });
    const calls = Array.from({ length: 5 }, () => record(connection));
    await until("four calls are there", () => held.length === 4);
    assert.equal(server.sessions.size, 2);
    for (const stream of held.slice(0, 1)) answer(stream, ["ok"]);
    await until("the fifth is there", () => held.length === 5);
    for (const stream of held.slice(1)) answer(stream, ["ok"]);
    const ends = await Promise.all(calls.map(({ end }) => end));
    assert.deepEqual(
      ends.map(({ error }) => error),
      [undefined, undefined, undefined, undefined, undefined],
    );
  });

  it("close() lets the running call finish, refuses new ones as unsent, and ends the session", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await rawServer((stream) => held.push(stream));
    using connection = open(server.address);
    const running = record(connection);
    await until("the call is there", () => held.length === 1);
    connection.close();
    assert.equal((await record(connection).end).reach, "unsent");
    for (const stream of held) answer(stream, ["ok"]);
    assert.equal((await running.end).error, undefined);
    await until("the session is gone", () => server.sessions.size === 0);
  });
});

describe("Connection: resets, GOAWAY and loss", () => {
  for (const [reset, reach, code] of [
    [constants.NGHTTP2_REFUSED_STREAM, "refused", Code.Unavailable],
    [constants.NGHTTP2_CANCEL, "sent", Code.Canceled],
    [constants.NGHTTP2_INTERNAL_ERROR, "sent", Code.Internal],
    [constants.NGHTTP2_ENHANCE_YOUR_CALM, "sent", Code.ResourceExhausted],
    [constants.NGHTTP2_INADEQUATE_SECURITY, "sent", Code.PermissionDenied],
    [constants.NGHTTP2_PROTOCOL_ERROR, "sent", Code.Internal],
  ] as const) {
    it(`reads RST_STREAM ${reset} before an answer as ${reach}, ${Code[code]}`, async () => {
      await using server = await rawServer((stream) => stream.close(reset));
      using connection = open(server.address);
      const end = await record(connection).end;
      assert.deepEqual([end.reach, end.error?.code], [reach, code]);
    });
  }

  it("survives GOAWAY on an idle connection and opens a new session for the next call", async () => {
    let opened = 0;
    await using server = await rawServer((stream) => answer(stream, ["ok"]));
    using connection = open(server.address, { onState: () => (opened += connection.state === "connecting" ? 1 : 0) });
    assert.equal((await record(connection).end).error, undefined);
    for (const session of server.sessions) session.goaway(constants.NGHTTP2_NO_ERROR);
    await until("the connection is idle", () => connection.state === "idle");
    assert.equal((await record(connection).end).error, undefined);
    assert.equal(opened, 2);
  });

  it("survives GOAWAY 11 ENHANCE_YOUR_CALM on an idle connection", async () => {
    await using server = await rawServer((stream) => answer(stream, ["ok"]));
    using connection = open(server.address);
    assert.equal((await record(connection).end).error, undefined);
    for (const session of server.sessions) session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    await until("the connection is idle", () => connection.state === "idle");
    assert.equal((await record(connection).end).error, undefined);
  });

  it("lets a running call finish after GOAWAY while new calls go to a new session", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await rawServer((stream, fields) => {
      if (fields["x-hold"] === "1") held.push(stream);
      else answer(stream, ["new"]);
    });
    using connection = open(server.address);
    const old = record(connection, { header: { "x-hold": "1" } });
    await until("the call is there", () => held.length === 1);
    const [first] = server.sessions;
    first?.close();
    await until("the session drains", () => connection.state === "idle");
    const fresh = record(connection);
    assert.equal((await fresh.end).error, undefined);
    assert.equal(server.sessions.size, 2);
    for (const stream of held) answer(stream, ["old"]);
    assert.equal((await old.end).error, undefined);
    assert.deepEqual([old.messages, fresh.messages], [["old"], ["new"]]);
  });

  it("reports a call beyond the last stream id of GOAWAY as refused, and lets the one below finish", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await rawServer((stream) => held.push(stream));
    using connection = open(server.address);
    const below = record(connection);
    const beyond = record(connection);
    await until("both calls are there", () => held.length === 2);
    held[0]?.session?.goaway(constants.NGHTTP2_NO_ERROR, 1);
    assert.deepEqual([(await beyond.end).reach, (await beyond.end).error?.code], ["refused", Code.Unavailable]);
    for (const stream of held.slice(0, 1)) answer(stream, ["ok"]);
    assert.equal((await below.end).error, undefined);
  });

  it("tells by the last stream id of GOAWAY 2 INTERNAL_ERROR which calls were never looked at", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await rawServer((stream) => held.push(stream));
    using connection = open(server.address);
    const below = record(connection);
    const beyond = record(connection);
    await until("both calls are there", () => held.length === 2);
    held[0]?.session?.goaway(constants.NGHTTP2_INTERNAL_ERROR, 1);
    assert.equal((await beyond.end).reach, "refused");
    const { reach, error } = await below.end;
    assert.deepEqual([reach, error?.code], ["sent", Code.Unavailable]);
  });

  it("opens a new session for a call that waits for a free stream when the only session gets GOAWAY", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await rawServer((stream) => held.push(stream), { settings: { maxConcurrentStreams: 1 } });
    using connection = open(server.address, { maxSessions: 1 });
    const running = record(connection);
    const waiting = record(connection);
    await until("the first call is there", () => held.length === 1);
    held[0]?.session?.close();
    await until("the second call is there", () => held.length === 2);
    for (const stream of held) answer(stream, ["ok"]);
    assert.deepEqual([(await running.end).error, (await waiting.end).error], [undefined, undefined]);
  });

  it("takes RST_STREAM 8 CANCEL that the end of the connection follows for a lost connection: UNAVAILABLE", async () => {
    await using server = await rawServer((stream) => {
      stream.close(constants.NGHTTP2_CANCEL);
      const { session } = stream;
      setTimeout(() => session?.destroy(), 3);
    });
    using connection = open(server.address);
    const { reach, error } = await record(connection).end;
    assert.deepEqual([reach, error?.code], ["sent", Code.Unavailable]);
  });

  it("reports UNAVAILABLE, sent, when the server dies before it answers", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await rawServer((stream) => held.push(stream));
    using connection = open(server.address);
    const call = record(connection);
    await until("the call is there", () => held.length === 1);
    await server.kill();
    const { reach, error } = await call.end;
    assert.deepEqual([reach, error?.code], ["sent", Code.Unavailable]);
  });

  it("reports UNAVAILABLE, answered, when the server dies within a stream", async () => {
    await using server = await rawServer((stream) => {
      stream.respond(grpcHeader);
      stream.write(frame("one"));
    });
    using connection = open(server.address);
    const call = record(connection);
    await until("the first message is there", () => call.messages.length === 1);
    await server.kill();
    const { reach, error } = await call.end;
    assert.deepEqual([reach, error?.code], ["answered", Code.Unavailable]);
  });

  it("notices by a ping that a peer has stopped answering, and ends its calls with UNAVAILABLE", async () => {
    const held: ServerHttp2Stream[] = [];
    await using server = await rawServer((stream) => held.push(stream));
    await using proxy = await freezingProxy(server.port);
    using connection = open(proxy.address, { keepaliveMs: 20, keepaliveTimeoutMs: 30 });
    const call = record(connection);
    await until("the call is there", () => held.length === 1);
    proxy.freeze();
    const { error } = await call.end;
    assert.deepEqual([error?.code, error?.rawMessage], [Code.Unavailable, `no answer to a ping within 30 ms`]);
  });
});
