import assert from "node:assert/strict";
import { constants } from "node:http2";
import { gzipSync } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { Connection, type ConnectionOptions } from "./connection.ts";
import { answer, answerStatus, frame, rawServer, record, until } from "./raw-server.fixture.ts";

const grpcHeader = { ":status": 200, "content-type": "application/grpc" } as const;

function open(address: string, options: ConnectionOptions = {}): Connection & Disposable {
  const connection = new Connection(address, options);
  return Object.assign(connection, { [Symbol.dispose]: () => connection.destroy() });
}

describe("Http2Call: answers", () => {
  it("passes header, messages and trailer of an answer on, and sends the request whole", async () => {
    const seen: { fields: Record<string, unknown>; body: Buffer[] } = { fields: {}, body: [] };
    await using server = await rawServer((stream, fields) => {
      seen.fields = fields;
      stream.on("data", (chunk: Buffer) => seen.body.push(chunk));
      stream.on("end", () => answer(stream, ["one", "two"], { "x-note": "bye" }));
    });
    using connection = open(server.address);
    const call = record(connection, { header: { "x-a": "1" } });
    const end = await call.end;
    assert.deepEqual([end.reach, end.error, end.trailer["x-note"]], ["answered", undefined, "bye"]);
    assert.deepEqual(call.messages, ["one", "two"]);
    assert.deepEqual(call.log, ["header", "message", "message", "end"]);
    assert.deepEqual(Buffer.concat(seen.body), frame("hello"));
    assert.equal(seen.fields[":path"], "/test.v1.Echo/Say");
    assert.equal(seen.fields[":authority"], server.address);
    assert.deepEqual([seen.fields.te, seen.fields["content-type"], seen.fields["x-a"]], ["trailers", "application/grpc", "1"]);
  });

  it("reads a trailers-only answer 5 'no%20such%20%E2%82%AC' as NOT_FOUND 'no such €' without onHeader", async () => {
    await using server = await rawServer((stream) => answerStatus(stream, 5, { "grpc-message": "no%20such%20%E2%82%AC" }));
    using connection = open(server.address);
    const call = record(connection);
    const { reach, error } = await call.end;
    assert.deepEqual([reach, error?.code, error?.rawMessage], ["trailers-only", Code.NotFound, "no such €"]);
    assert.deepEqual(call.log, ["end"]);
  });

  for (const [status, code] of [
    [400, Code.Internal],
    [401, Code.Unauthenticated],
    [403, Code.PermissionDenied],
    [404, Code.Unimplemented],
    [418, Code.Unknown],
    [429, Code.Unavailable],
    [502, Code.Unavailable],
    [503, Code.Unavailable],
    [504, Code.Unavailable],
  ] as const) {
    it(`reads a header-only HTTP ${status} as ${Code[code]}`, async () => {
      await using server = await rawServer((stream) => stream.respond({ ":status": status }, { endStream: true }));
      using connection = open(server.address);
      const { reach, error } = await record(connection).end;
      assert.deepEqual([reach, error?.code], ["trailers-only", code]);
    });
  }

  it("reads a proxy's HTTP 503 with an HTML page as UNAVAILABLE that binds nobody", async () => {
    await using server = await rawServer((stream) => {
      stream.respond({ ":status": 503, "content-type": "text/html" });
      stream.end("<h1>down</h1>");
    });
    using connection = open(server.address);
    const call = record(connection);
    const { reach, error } = await call.end;
    assert.deepEqual([reach, error?.code], ["trailers-only", Code.Unavailable]);
    assert.match(error?.rawMessage ?? "", /HTTP 503/);
    assert.deepEqual(call.log, ["end"]);
  });

  it("reads HTTP 200 text/plain without grpc-status as UNKNOWN", async () => {
    await using server = await rawServer((stream) => {
      stream.respond({ ":status": 200, "content-type": "text/plain" });
      stream.end("hello");
    });
    using connection = open(server.address);
    const { error } = await record(connection).end;
    assert.deepEqual([error?.code, error?.rawMessage], [Code.Unknown, `the peer answered with text/plain without grpc-status`]);
  });

  it("reads a gRPC answer that ends without trailers as UNKNOWN", async () => {
    await using server = await rawServer((stream) => {
      stream.respond(grpcHeader);
      stream.end(frame("one"));
    });
    using connection = open(server.address);
    const { reach, error } = await record(connection).end;
    assert.deepEqual([reach, error?.code], ["answered", Code.Unknown]);
  });

  it("puts messages together that come byte by byte", async () => {
    await using server = await rawServer((stream) => {
      stream.respond(grpcHeader, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      const bytes = Buffer.concat([frame("alpha"), frame(""), frame("beta")]);
      const next = (index: number) => {
        if (index === bytes.length) stream.end();
        else stream.write(bytes.subarray(index, index + 1), () => setImmediate(next, index + 1));
      };
      next(0);
    });
    using connection = open(server.address);
    const call = record(connection);
    assert.equal((await call.end).error, undefined);
    assert.deepEqual(call.messages, ["alpha", "", "beta"]);
  });

  it("uncompresses messages of a gzip answer", async () => {
    await using server = await rawServer((stream) => {
      stream.respond({ ...grpcHeader, "grpc-encoding": "gzip" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Buffer.concat([frame(gzipSync("packed"), 1), frame("plain")]));
    });
    using connection = open(server.address);
    const call = record(connection);
    assert.equal((await call.end).error, undefined);
    assert.deepEqual(call.messages, ["packed", "plain"]);
  });

  it("ends a call with RESOURCE_EXHAUSTED when a message has 11 bytes of at most 10, and resets the stream", async () => {
    let reset: number | undefined;
    await using server = await rawServer((stream) => {
      stream.on("close", () => {
        reset = stream.rstCode;
      });
      stream.respond(grpcHeader);
      stream.write(frame("01234567890"));
    });
    using connection = open(server.address);
    const call = record(connection, { maxResponseBytes: 10 });
    const { error } = await call.end;
    assert.deepEqual(
      [error?.code, error?.rawMessage],
      [Code.ResourceExhausted, "response message: expected at most 10 bytes, got 11 bytes"],
    );
    await until("the server saw the reset", () => reset !== undefined);
    assert.equal(reset, constants.NGHTTP2_CANCEL);
    assert.deepEqual(call.messages, []);
  });

  it("takes the details of grpc-status-details-bin", async () => {
    // google.rpc.Status { code: 3, message: "bad", details: [Any { type_url: "type.googleapis.com/a.B", value: 08 01 }] }
    const details = "CAMSA2JhZBodChd0eXBlLmdvb2dsZWFwaXMuY29tL2EuQhICCAE";
    await using server = await rawServer((stream) => answerStatus(stream, 3, { "grpc-status-details-bin": details }));
    using connection = open(server.address);
    const { error } = await record(connection).end;
    assert.deepEqual(error?.details, [{ type: "a.B", value: new Uint8Array([8, 1]) }]);
  });

  it("ends a call whose answer has 300 KB of metadata with an error, and keeps working", async () => {
    await using server = await rawServer(
      (stream, fields) => {
        const header =
          fields["x-huge"] === "1"
            ? Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`x-${i}`, "v".repeat(10_000)]))
            : {};
        stream.respond({ ...grpcHeader, ...header }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.end(frame("ok"));
      },
      { maxSendHeaderBlockLength: 1 << 20 },
    );
    using connection = open(server.address);
    const huge = await record(connection, { header: { "x-huge": "1" } }).end;
    assert.notEqual(huge.error, undefined);
    assert.equal((await record(connection).end).error, undefined);
  });

  it("ends a call that sends 300 KB of metadata with an error, and keeps working", async () => {
    await using server = await rawServer((stream) => answer(stream, ["ok"]));
    using connection = open(server.address);
    const huge = await record(connection, { header: { "x-huge": "v".repeat(300_000) } }).end;
    assert.notEqual(huge.error, undefined);
    assert.equal((await record(connection).end).error, undefined);
  });
});
