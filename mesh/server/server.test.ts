import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { connect as connectTcp } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { retryAfterMs, unavailable } from "../errors.ts";
import { EchoService } from "./echo.fixture.ts";
import { envelope, framed, rawCall } from "./raw-call.fixture.ts";
import { refusal, startEcho, until } from "./server.fixture.ts";

const echoText = ({ text }: { text: string }) => ({ text });
const texts = async (stream: AsyncIterable<{ text: string }>) => (await Array.fromAsync(stream)).map(({ text }) => text);
const unaryPath = "/test.v1.EchoService/Unary";
const hello = framed(EchoService.method.unary.input, create(EchoService.method.unary.input, { text: "hello" }));

async function* send(...items: string[]) {
  for (const text of items) yield { text };
}

describe("startServer", () => {
  for (const protocol of ["grpc", "grpc-web", "connect"] as const) {
    it(`answers every kind of call over ${protocol}`, async () => {
      await using echo = await startEcho({
        unary: echoText,
        async *server({ text }) {
          yield { text: `${text} 1` };
          yield { text: `${text} 2` };
        },
        async client(requests) {
          return { text: (await texts(requests)).join("+") };
        },
        async *bidi(requests) {
          for await (const { text } of requests) yield { text: text.toUpperCase() };
        },
      });
      const client = echo.client(protocol);
      assert.equal((await client.unary({ text: "hello" })).text, "hello");
      assert.deepEqual(await texts(client.server({ text: "n" })), ["n 1", "n 2"]);
      assert.equal((await client.client(send("a", "b"))).text, "a+b");
      assert.deepEqual(await texts(client.bidi(send("a", "b"))), ["A", "B"]);
    });
  }

  it("a port in use is one sentence: port P on 127.0.0.1 is already in use", async () => {
    await using echo = await startEcho({});
    const { port } = echo.server;
    await assert.rejects(startEcho({}, { port }), { message: `port ${port} on 127.0.0.1 is already in use` });
  });

  it("a host that is not ours is one sentence", async () => {
    await assert.rejects(startEcho({}, { host: "192.0.2.1" }), { message: "192.0.2.1 is not an address of this machine" });
  });

  describe("errors", () => {
    it("a handler's Error('password=x') is INTERNAL 'internal error'; only the log learns the cause", async () => {
      await using echo = await startEcho({
        unary() {
          throw new Error("password=x");
        },
      });
      const error = await refusal(echo.client().unary({}));
      assert.deepEqual([error.code, error.rawMessage], [Code.Internal, "internal error"]);
      const line = echo.lines.find(({ msg }) => msg === "call");
      assert.equal(line?.level, "error");
      assert.match(JSON.stringify(line?.err), /"message":"password=x"/);
    });

    it("UNAVAILABLE from storage passes through with its RetryInfo of 1500 ms and without its cause", async () => {
      await using echo = await startEcho({
        unary() {
          throw unavailable("the database is away", 1500, new Error("ECONNREFUSED 10.0.0.1"));
        },
      });
      const error = await refusal(echo.client().unary({}));
      assert.deepEqual([error.code, error.rawMessage, retryAfterMs(error)], [Code.Unavailable, "the database is away", 1500]);
    });

    it("an Error thrown in the middle of a stream is INTERNAL after the messages before it", async () => {
      await using echo = await startEcho({
        async *server() {
          yield { text: "1" };
          throw new TypeError("boom");
        },
      });
      const got: string[] = [];
      const error = await refusal(
        (async () => {
          for await (const { text } of echo.client().server({})) got.push(text);
        })(),
      );
      assert.deepEqual([got, error.code, error.rawMessage], [["1"], Code.Internal, "internal error"]);
    });

    it("a method without a handler is UNIMPLEMENTED", async () => {
      await using echo = await startEcho({});
      assert.equal((await refusal(echo.client().unary({}))).code, Code.Unimplemented);
    });

    it("/test.v1.EchoService/Nope is UNIMPLEMENTED in the words of gRPC, and 404 for everybody else", async () => {
      await using echo = await startEcho({});
      const grpc = await rawCall({ url: echo.url, path: "/test.v1.EchoService/Nope", body: hello });
      assert.deepEqual(
        [grpc.status, grpc.headers["grpc-status"], grpc.headers["grpc-message"]],
        [200, "12", "unknown method /test.v1.EchoService/Nope"],
      );
      const http = await fetch(`${echo.url}/no%20such?x=1`);
      assert.deepEqual([http.status, await http.json()], [404, { code: "unimplemented", message: "unknown method /no%20such" }]);
      const lines = (await echo.metrics.text()).split("\n").filter((line) => line.startsWith("grpc_server_call_started_total"));
      assert.deepEqual(lines, ['grpc_server_call_started_total{grpc_method="other"} 2']);
    });

    for (const [name, bytes, options] of [
      ["1 MiB by default", 2 ** 20, {}],
      ["4 MiB where a service asks for it", 2 ** 22, { maxMessageBytes: 2 ** 22 }],
    ] as const) {
      it(`${name}: a message of a byte more is RESOURCE_EXHAUSTED, one of that size is taken`, async () => {
        await using echo = await startEcho({ unary: ({ text }) => ({ text: String(text.length) }) }, options);
        const client = echo.client();
        const prefix = toBinary(
          EchoService.method.unary.input,
          create(EchoService.method.unary.input, { text: "x".repeat(bytes) }),
        );
        const most = 2 * bytes - prefix.length;
        assert.equal((await client.unary({ text: "x".repeat(most) })).text, String(most));
        assert.equal((await refusal(client.unary({ text: "x".repeat(most + 1) }))).code, Code.ResourceExhausted);
        assert.equal((await refusal(echo.client("connect").unary({ text: "x".repeat(most + 1) }))).code, Code.ResourceExhausted);
      });
    }

    it("bytes that are no message are INTERNAL, as gRPC has it, and still one line at info", async () => {
      await using echo = await startEcho({ unary: echoText });
      const { trailers } = await rawCall({ url: echo.url, path: unaryPath, body: envelope(Uint8Array.of(0x0a, 0x7f, 0x41)) });
      assert.equal(trailers["grpc-status"], String(Code.Internal));
      await until(() => echo.lines.length > 0);
      assert.deepEqual(
        echo.lines.map(({ level, method, code }) => [level, method, code]),
        [["info", "test.v1.EchoService/Unary", "INTERNAL"]],
      );
    });
  });

  describe("one port for all", () => {
    it("HTTP/1.1: a Connect call by fetch works, and GET of a method without side effects too", async () => {
      await using echo = await startEcho({ unary: echoText });
      const post = await fetch(`${echo.url}${unaryPath}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: '{"text":"over 1.1"}',
      });
      assert.deepEqual([post.status, await post.json()], [200, { text: "over 1.1" }]);
      const query = new URLSearchParams({ encoding: "json", message: '{"text":"get"}', connect: "v1" });
      const get = await fetch(`${echo.url}${unaryPath}?${query}`);
      assert.deepEqual([get.status, await get.json()], [200, { text: "get" }]);
    });

    it("random bytes, a TLS hello, half a preface and a broken frame are closed, and the next call works", async () => {
      await using echo = await startEcho({ unary: echoText });
      const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
      for (const bytes of [
        randomBytes(4096),
        Buffer.from("16030100c8010000c40303", "hex"),
        Buffer.concat([preface, randomBytes(4096)]),
        Buffer.concat([preface, Buffer.from("ffffff0000ffffffff", "hex")]),
        Buffer.from("GET / HTTP/9.9\r\n\r\n"),
        Buffer.from(`GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(100_000)}\r\n\r\n`),
      ]) {
        await new Promise<void>((resolve) => {
          const socket = connectTcp(echo.server.port, "127.0.0.1", () => socket.write(bytes));
          socket.on("error", () => undefined);
          socket.on("close", () => resolve());
          socket.resume();
        });
      }
      const halfOpen = connectTcp(echo.server.port, "127.0.0.1", () => halfOpen.end("PR"));
      await new Promise((resolve) => halfOpen.resume().once("close", resolve));
      assert.equal((await echo.client().unary({ text: "still here" })).text, "still here");
    });
  });
});
