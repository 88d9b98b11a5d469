import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { EchoService } from "./echo.fixture.ts";
import { envelope, framed, type RawOutcome, rawCall } from "./raw-call.fixture.ts";
import { type EchoHandlers, type Harness, startEcho, until, user } from "./server.fixture.ts";

const { input } = EchoService.method.unary;
const path = "/test.v1.EchoService/Unary";
const message = (text: string) => framed(input, create(input, { text }));

/** What a call can ask the echo for. */
const methods: EchoHandlers = {
  unary({ text }, { responseHeader, responseTrailer }) {
    responseHeader.set("x-header", "h");
    responseTrailer.set("x-trailer", "t");
    const details = [{ desc: ErrorInfoSchema, value: { reason: "R", domain: "test" } }];
    if (text === "fail") throw new ConnectError("no: 100 %", Code.NotFound, { "x-metadata": "m" }, details);
    if (text === "header") responseHeader.set("connection", "close");
    if (text === "break") throw new TypeError("a defect");
    return { text: text === "long" ? "x".repeat(5000) : text };
  },
};

/** Gzip's form, after the prefix with the flag for it. */
function zipped(text: string): Uint8Array {
  const frame = envelope(gzipSync(toBinary(input, create(input, { text }))));
  frame[0] = 1;
  return frame;
}

/** All of an answer that is not about its time, and so the same each time. */
function answerOf({ status, headers, trailersOnly, trailers, body, rstCode }: RawOutcome) {
  const without = (fields: RawOutcome["headers"]) =>
    Object.fromEntries(Object.entries(fields).filter(([name]) => name !== "date"));
  return { status, headers: without(headers), trailersOnly, trailers: without(trailers), body: body.toString("hex"), rstCode };
}

describe("the direct path of unary gRPC", () => {
  let echo: Harness;
  before(async () => {
    echo = await startEcho(methods, { maxMessageBytes: 10_000 });
  });
  after(() => echo[Symbol.asyncDispose]());

  /** Connect takes this media type as well, and the direct path leaves it to Connect. */
  const byConnect = "Application/grpc+proto";
  const ask = async (contentType: string, body: Uint8Array | readonly Uint8Array[], headers: Record<string, string> = {}) => {
    const all = { "x-correlation-id": "c-1", ...headers, "content-type": contentType };
    return answerOf(await rawCall({ url: echo.url, path, body, headers: all }));
  };

  it("answers whole: headers, the message, trailers", async () => {
    assert.deepEqual(await ask("application/grpc", message("a")), {
      status: 200,
      headers: { ":status": 200, "content-type": "application/grpc+proto", "x-correlation-id": "c-1", "x-header": "h" },
      trailersOnly: false,
      trailers: { "grpc-status": "0", "x-trailer": "t" },
      body: "00000000030a0161",
      rstCode: 0,
    });
  });

  const encoded = { "grpc-encoding": "gzip" };
  const requests: Readonly<Record<string, readonly [Uint8Array | readonly Uint8Array[], Record<string, string>?]>> = {
    "a message": [message("a")],
    "an empty message": [message("")],
    "a message byte by byte": [Array.from(message("abc"), (byte) => Uint8Array.of(byte))],
    "a message of gzip": [zipped("zipped"), encoded],
    "a long answer for one who takes gzip": [message("long"), { "grpc-accept-encoding": "gzip" }],
    "a short answer for one who takes gzip": [message("a"), { "grpc-accept-encoding": "identity, gzip" }],
    "no message": [[]],
    "two messages": [Buffer.concat([message("a"), message("b")])],
    "half a prefix": [message("abc").subarray(0, 3)],
    "half a message": [message("abc").subarray(0, 7)],
    "a message above the limit": [message("x".repeat(10_001))],
    "a message of gzip above the limit": [zipped("x".repeat(10_001)), encoded],
    "a compressed message of no named encoding": [zipped("a")],
    "a message that is not gzip": [Uint8Array.from([1, 0, 0, 0, 2, 1, 2]), encoded],
    "an encoding that is not known": [message("a"), { "grpc-encoding": "zstd" }],
    "bytes that are no message": [envelope(Uint8Array.of(0x0a, 0x05, 0x61))],
    "a broken rule": [framed(input, create(input, { items: ["too long"] }))],
    "a timeout that is none": [message("a"), { "grpc-timeout": "5x" }],
    "a deadline that has passed": [message("a"), { "grpc-timeout": "0m" }],
    "a handler that fails": [message("fail")],
    "a handler that breaks": [message("break")],
  };
  for (const [name, [body, headers]] of Object.entries(requests)) {
    it(`answers as Connect does: ${name}`, async () => {
      assert.deepEqual(await ask("application/grpc+proto", body, headers), await ask(byConnect, body, headers));
    });
  }

  it("an answer that HTTP/2 does not allow is a reset with INTERNAL_ERROR and a line in the log, and the next call is answered", async () => {
    assert.equal((await ask("application/grpc", message("header"))).rstCode, 2);
    assert.ok(echo.lines.some(({ level, msg }) => level === "error" && msg === "a call could not be answered"));
    assert.equal((await ask("application/grpc", message("a"))).trailers["grpc-status"], "0");
  });

  it("a caller that resets its stream ends the call CANCELLED, also before its request is whole", async () => {
    const begun = Promise.withResolvers<void>();
    const verify = async () => {
      begun.resolve();
      return user("u1");
    };
    await using own = await startEcho(methods, { verifier: { verify } });
    const leave = new AbortController();
    const headers = { authorization: "Bearer any" };
    const body = message("abc").subarray(0, 7);
    const call = rawCall({ url: own.url, path, headers, body, end: false, signal: leave.signal });
    await begun.promise;
    leave.abort();
    assert.equal((await call).rstCode, 8);
    await until(() => own.lines.length > 0);
    assert.deepEqual(
      own.lines.map(({ code }) => code),
      ["CANCELLED"],
    );
  });
});
