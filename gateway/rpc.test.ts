import assert from "node:assert/strict";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { create, type DescMessage, toBinary } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { failure } from "#mesh/client/mesh.fixture.ts";
import { envelope } from "./envelope.ts";
import { type Backend, startBackend } from "./fixtures/backend.ts";
import { echoRoutes, echoService, type Received } from "./fixtures/echo.ts";
import { startTestGateway, type TestGateway } from "./fixtures/harness.ts";

/** The methods of the echo contract, as a client of a contract read at run time sees them. */
interface EchoClient {
  look(message: object, options?: object): Promise<Fields>;
  echo(message: object, options?: object): Promise<Fields>;
  fail(message: object): Promise<unknown>;
  count(message: object, options?: object): AsyncIterable<Fields>;
  sum(messages: AsyncIterable<object>): Promise<Fields>;
  chat(messages: AsyncIterable<object>, options?: object): AsyncIterable<Fields>;
}

interface Fields {
  readonly int32: number;
  readonly string: string;
  readonly int64: bigint;
}

const v1 = { "connect-protocol-version": "1" };

describe("gateway: gRPC, gRPC-Web and Connect on its port", () => {
  const received: Received[] = [];
  let backend: Backend;
  let gateway: TestGateway;
  let baseUrl: string;
  before(async () => {
    backend = await startBackend("echo.v1.EchoService", echoRoutes(received));
    gateway = await startTestGateway({
      transport: () => backend.transport,
      maxBodyBytes: 100_000,
      cors: { origins: ["https://a.example"] },
    });
    baseUrl = `http://127.0.0.1:${gateway.port}`;
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await backend[Symbol.asyncDispose]();
  });

  const everything = echoService.method.echo?.input as DescMessage;
  const one = toBinary(everything, create(everything, { int32: 1 } as never));
  const posts: [name: string, target: string, headers: Record<string, string>, body: Buffer | string, expected: string][] = [
    [
      "REST's JSON keeps its errors",
      "/echo.v1.EchoService/Plain",
      {},
      '{"int32":"x"}',
      '400 application/json {"code":3,"message"',
    ],
    [
      "Connect's is told by its header",
      "/echo.v1.EchoService/Plain",
      v1,
      '{"int32":"x"}',
      '400 application/json {"code":"invalid_argument"',
    ],
    [
      "a method with a rule has no REST there",
      "/echo.v1.EchoService/Echo",
      {},
      '{"int32":1}',
      '200 application/json {"int32":1}',
    ],
    [
      "strict JSON",
      "/echo.v1.EchoService/Echo",
      {},
      '{"nope":1}',
      '400 application/json {"code":"invalid_argument","message":"nope: echo.v1',
    ],
    [
      "no JSON",
      "/echo.v1.EchoService/Echo",
      {},
      "",
      '400 application/json {"code":"invalid_argument","message":"message: expected a JSON value',
    ],
    [
      "another version",
      "/echo.v1.EchoService/Echo",
      { "connect-protocol-version": "2" },
      "{}",
      '400 application/json {"code":"invalid_argument"',
    ],
    [
      "an unknown encoding",
      "/echo.v1.EchoService/Echo",
      { "content-encoding": "zstd" },
      "{}",
      '501 application/json {"code":"unimplemented"',
    ],
    ["no such method", "/echo.v1.EchoService/Nope", {}, "{}", '404 application/json {"code":5'],
    ["another type", "/echo.v1.EchoService/Echo", { "content-type": "text/plain" }, "{}", "415 application/json"],
    ["a unary form for a stream", "/echo.v1.EchoService/Count", {}, "{}", "415 application/json"],
    [
      "a stream's form for a unary",
      "/echo.v1.EchoService/Echo",
      { "content-type": "application/connect+json" },
      "",
      "415 application/json",
    ],
    [
      "both ways over HTTP/1.1",
      "/echo.v1.EchoService/Chat",
      { "content-type": "application/grpc-web" },
      "",
      "505 application/json",
    ],
    [
      "both ways over HTTP/1.1",
      "/echo.v1.EchoService/Chat",
      { "content-type": "application/connect+json" },
      "",
      "505 application/json",
    ],
  ];
  for (const [name, path, headers, body, expected] of posts) {
    it(`answers POST ${path} ${JSON.stringify(headers)} ${body} with ${expected.slice(0, 60)}: ${name}`, async () => {
      const reply = await gateway.send(`POST ${path}`, { headers, body });
      const got = `${reply.status} ${reply.headers["content-type"]} ${reply.text}`;
      assert.ok(got.startsWith(expected), got);
    });
  }

  const [web, text, stream] = ["application/grpc-web+proto", "application/grpc-web-text", "application/connect+json"];
  const envelopes: [name: string, method: string, headers: Record<string, string>, body: Buffer | string, expected: string][] = [
    ["gRPC-Web", "Echo", { "content-type": web }, envelope(0, one), `${envelope(0, one).toString("latin1")}`],
    [
      "gRPC-Web in base64",
      "Echo",
      { "content-type": text },
      envelope(0, one).toString("base64"),
      envelope(0, one).toString("base64"),
    ],
    [
      "gRPC-Web in base64 by pieces with padding",
      "Echo",
      { "content-type": text },
      Buffer.from(envelope(0, one).subarray(0, 1)).toString("base64") +
        Buffer.from(envelope(0, one).subarray(1)).toString("base64"),
      envelope(0, one).toString("base64"),
    ],
    [
      "brotli",
      "Echo",
      { "content-type": web, "grpc-encoding": "br" },
      envelope(1, brotliCompressSync(one)),
      envelope(0, one).toString("latin1"),
    ],
    [
      "gzip",
      "Count",
      { "content-type": stream, "connect-content-encoding": "gzip" },
      envelope(1, gzipSync('{"int32":1}')),
      '{"int32":1}',
    ],
    ["no message", "Echo", { "content-type": web }, "", "grpc-status: 12"],
    ["two messages", "Echo", { "content-type": web }, Buffer.concat([envelope(0, one), envelope(0, one)]), "grpc-status: 12"],
    [
      "half a message",
      "Echo",
      { "content-type": web },
      envelope(0, one).subarray(0, 6),
      "grpc-message: malformed request: the request ends within a message",
    ],
    [
      "a compressed one without encoding",
      "Echo",
      { "content-type": web },
      envelope(1, one),
      "grpc-message: malformed request: a compressed message",
    ],
    [
      "unknown flags",
      "Echo",
      { "content-type": web },
      envelope(2, one),
      "grpc-message: malformed request: a message with the flags 2",
    ],
    [
      "an unknown encoding",
      "Echo",
      { "content-type": web, "grpc-encoding": "zstd" },
      envelope(1, one),
      "grpc-accept-encoding: gzip,br,deflate",
    ],
    [
      "no such method",
      "Nope",
      { "content-type": web },
      envelope(0, one),
      "grpc-message: unknown method /echo.v1.EchoService/Nope",
    ],
    [
      "bad JSON",
      "Count",
      { "content-type": stream },
      envelope(0, Buffer.from("{")),
      '{"error":{"code":"invalid_argument","message":"message: expected a key',
    ],
    [
      "a bad timeout",
      "Count",
      { "content-type": stream, "connect-timeout-ms": "x" },
      envelope(0, Buffer.from("{}")),
      '{"error":{"code":"invalid_argument"',
    ],
    ["too long a message", "Echo", { "content-type": web }, envelope(0, Buffer.alloc(100_001)), "grpc-status: 8"],
  ];
  for (const [name, method, headers, body, expected] of envelopes) {
    it(`answers ${method} ${JSON.stringify(headers)} with ${JSON.stringify(expected.slice(0, 50))}: ${name}`, async () => {
      const length = { "content-length": String(Buffer.byteLength(body)) };
      const lines = Object.entries({ host: "a", connection: "close", ...length, ...headers }).map(
        ([name, value]) => `${name}: ${value}\r\n`,
      );
      const head = Buffer.from(`POST /echo.v1.EchoService/${method} HTTP/1.1\r\n${lines.join("")}\r\n`);
      const got = await gateway.raw(Buffer.concat([head, Buffer.from(body)]), "hold");
      assert.match(got, /^HTTP\/1\.1 200 /);
      // gRPC escapes its messages.
      assert.ok(got.replace(/%[0-9A-F]{2}/g, decodeURIComponent).includes(expected), got);
    });
  }

  it("answers an unknown gRPC method with a status alone", async () => {
    const transport = createGrpcTransport({ baseUrl });
    const nope = { ...echoService, typeName: "echo.v1.Nope" };
    const method = { ...echoService.method.echo, parent: nope } as never;
    const error = await failure(transport.unary(method, undefined, undefined, undefined, {} as never));
    assert.deepEqual([error.code, error.rawMessage], [Code.Unimplemented, "unknown method /echo.v1.Nope/Echo"]);
  });

  it("answers preflights of the methods' paths", async () => {
    const headers = {
      origin: "https://a.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "x-grpc-web",
    };
    const reply = await gateway.send("OPTIONS /echo.v1.EchoService/Look", { headers });
    const { allow, "access-control-allow-methods": methods, "access-control-allow-headers": allowed } = reply.headers;
    assert.deepEqual([reply.status, allow, methods, allowed], [204, "GET, OPTIONS, POST", "GET, OPTIONS, POST", "x-grpc-web"]);
    const answer = await gateway.send("POST /echo.v1.EchoService/Look", { headers, body: "{}" });
    assert.match(String(answer.headers["access-control-expose-headers"]), /Grpc-Status/);
  });

  it("logs a call with its method and code", async () => {
    const headers = { "x-correlation-id": "rpc", "content-type": web };
    await gateway.send("POST /echo.v1.EchoService/Fail", {
      headers,
      body: envelope(0, toBinary(everything, create(everything, { int32: 5 } as never))),
    });
    const { status, code, rpc } = gateway.lines.find(({ correlationId }) => correlationId === "rpc") ?? {};
    assert.deepEqual([status, code, rpc], [200, "NotFound", "echo.v1.EchoService/Fail"]);
  });

  it("refuses methods of a contract whose access rule wants somebody, in the words of each protocol", async () => {
    await using closed = await startTestGateway({ transport: () => backend.transport, openByDefault: false });
    const url = `http://127.0.0.1:${closed.port}`;
    const transports = [
      createGrpcTransport({ baseUrl: url }),
      createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1" }),
      createConnectTransport({ baseUrl: url, httpVersion: "1.1" }),
    ];
    const codes = await Promise.all(
      transports.map(
        async (transport) => (await failure((createClient(echoService, transport) as unknown as EchoClient).echo({}))).code,
      ),
    );
    assert.equal(new Set(codes).size, 1);
    assert.ok(codes[0] === Code.PermissionDenied || codes[0] === Code.Unauthenticated, String(codes[0]));
  });
});
