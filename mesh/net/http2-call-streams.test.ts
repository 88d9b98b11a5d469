import assert from "node:assert/strict";
import { constants, type ServerHttp2Stream } from "node:http2";
import { Code } from "@connectrpc/connect";
import { Connection, type ConnectionOptions } from "./connection.ts";
import { answer, answerStatus, frame, rawServer, record, until } from "./raw-server.fixture.ts";

const grpcHeader = { ":status": 200, "content-type": "application/grpc" } as const;

function open(address: string, options: ConnectionOptions = {}): Connection & Disposable {
  const connection = new Connection(address, options);
  return Object.assign(connection, { [Symbol.dispose]: () => connection.destroy() });
}

describe("Http2Call: streams", () => {
  it("cancel() resets the stream with CANCEL, without an end of the request and without further events", async () => {
    let ended = false;
    let reset: number | undefined;
    const got: Buffer[] = [];
    await using server = await rawServer((stream) => {
      stream.on("data", (chunk: Buffer) => got.push(chunk));
      stream.on("end", () => {
        ended = !stream.aborted;
      });
      stream.on("close", () => {
        reset = stream.rstCode;
      });
    });
    using connection = open(server.address);
    const call = record(connection, { message: undefined });
    call.call.send(Buffer.from("part"));
    await until("the message is there", () => Buffer.concat(got).byteLength === 9);
    call.call.cancel();
    await until("the stream closed", () => reset !== undefined);
    assert.deepEqual([reset, ended], [constants.NGHTTP2_CANCEL, false]);
    assert.deepEqual(
      call.log.filter((event) => event !== "drain"),
      [],
    );
  });

  it("cancel() of a call that waits for a connection sends nothing", async () => {
    let streams = 0;
    await using server = await rawServer((stream) => {
      streams += 1;
      answer(stream, ["ok"]);
    });
    using connection = open(server.address);
    record(connection).call.cancel();
    assert.equal((await record(connection).end).error, undefined);
    assert.equal(streams, 1);
  });

  it("keeps messages sent before there is a connection, and asks to wait", async () => {
    const got: Buffer[] = [];
    await using server = await rawServer((stream) => {
      stream.on("data", (chunk: Buffer) => got.push(chunk));
      stream.on("end", () => answer(stream, ["ok"]));
    });
    using connection = open(server.address);
    const call = record(connection, { message: undefined });
    assert.equal(call.call.send(Buffer.from("a")), false);
    assert.equal(call.call.send(Buffer.from("b")), false);
    call.call.finish();
    assert.equal((await call.end).error, undefined);
    assert.deepEqual(Buffer.concat(got), Buffer.concat([frame("a"), frame("b")]));
  });

  it("send() answers false when the peer does not read, and onDrain comes when it does", async () => {
    let peer: ServerHttp2Stream | undefined;
    await using server = await rawServer((stream) => {
      peer = stream;
      stream.pause();
    });
    using connection = open(server.address);
    const call = record(connection, { message: undefined });
    call.call.send(Buffer.alloc(10));
    await until("the stream is there", () => peer !== undefined);
    assert.equal(call.call.send(Buffer.alloc(1 << 20)), false);
    peer?.resume();
    await until("it drained", () => call.log.includes("drain"));
    call.call.cancel();
  });

  it("pause() holds the peer back by flow control, and resume() gives everything", async () => {
    const piece = "x".repeat(64 * 1024);
    let written = 0;
    await using server = await rawServer((stream) => {
      stream.respond(grpcHeader, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      const next = () => {
        if (written === 64) return stream.end();
        written += 1;
        return stream.write(frame(piece), () => next());
      };
      next();
    });
    using connection = open(server.address);
    const call = record(connection);
    call.call.pause();
    // 4 MiB do not fit the window of 1 MiB: the peer comes to a halt after some 16 pieces.
    await until("the window is full", () => written >= 16);
    const halted = written;
    assert.ok(halted < 40, `${halted} pieces were written against a paused reader`);
    assert.equal(call.messages.length, 0);
    call.call.resume();
    assert.equal((await call.end).error, undefined);
    assert.equal(call.messages.length, 64);
  });

  it("a server that answers before the request is whole ends the call, and the stream is given up", async () => {
    let closed = false;
    await using server = await rawServer((stream) => {
      stream.on("close", () => {
        closed = true;
      });
      answerStatus(stream, 9, { "grpc-message": "enough" });
    });
    using connection = open(server.address);
    const call = record(connection, { message: undefined });
    call.call.send(Buffer.from("first"));
    const { reach, error } = await call.end;
    assert.deepEqual([reach, error?.code], ["trailers-only", Code.FailedPrecondition]);
    await until("the stream closed", () => closed);
    assert.equal(connection.active, 0);
  });
});
