import assert from "node:assert/strict";
import { Code, createClient, type Transport } from "@connectrpc/connect";
import { compressionGzip, createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { failure } from "#mesh/client/mesh.fixture.ts";
import { unauthenticated } from "#mesh/errors.ts";
import { type Backend, startBackend } from "./fixtures/backend.ts";
import { echoRoutes, echoService, type Received } from "./fixtures/echo.ts";
import { startTestGateway, type TestGateway, until } from "./fixtures/harness.ts";

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

const _v1 = { "connect-protocol-version": "1" };

describe("gateway: clients of gRPC, gRPC-Web and Connect on its port", () => {
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
      verifier: {
        async verify(token) {
          if (token !== "ada") throw unauthenticated("TOKEN_INVALID", "no such token");
          const rights = { roles: [], scopes: [], sessionId: "s", degraded: false, expiresAt: Number.MAX_SAFE_INTEGER };
          return { kind: "user", id: token, token, ...rights };
        },
      },
    });
    baseUrl = `http://127.0.0.1:${gateway.port}`;
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await backend[Symbol.asyncDispose]();
  });

  const [http1, http2] = [{ httpVersion: "1.1" }, { httpVersion: "2" }] as const;
  const [json, gzip] = [{ useBinaryFormat: false }, { sendCompression: compressionGzip, compressMinBytes: 0 }];
  const transports: [name: string, transport: () => Transport, duplex: boolean][] = [
    ["Connect, proto, HTTP/1.1", () => createConnectTransport({ baseUrl, ...http1, useBinaryFormat: true }), false],
    ["Connect, JSON, HTTP/1.1", () => createConnectTransport({ baseUrl, ...http1, ...json }), false],
    ["Connect, proto, HTTP/2", () => createConnectTransport({ baseUrl, ...http2, useBinaryFormat: true }), true],
    ["Connect, JSON, HTTP/2", () => createConnectTransport({ baseUrl, ...http2, ...json }), true],
    ["Connect, GET, JSON", () => createConnectTransport({ baseUrl, ...http1, ...json, useHttpGet: true }), false],
    ["Connect, GET, proto", () => createConnectTransport({ baseUrl, ...http2, useBinaryFormat: true, useHttpGet: true }), true],
    ["Connect, proto, gzip", () => createConnectTransport({ baseUrl, ...http1, useBinaryFormat: true, ...gzip }), false],
    ["gRPC-Web, proto, HTTP/1.1", () => createGrpcWebTransport({ baseUrl, ...http1 }), false],
    ["gRPC-Web, JSON, HTTP/2", () => createGrpcWebTransport({ baseUrl, ...http2, ...json }), true],
    ["gRPC-Web, proto, gzip", () => createGrpcWebTransport({ baseUrl, ...http1, ...gzip }), false],
    ["gRPC, proto", () => createGrpcTransport({ baseUrl }), true],
    ["gRPC, JSON", () => createGrpcTransport({ baseUrl, ...json }), true],
    ["gRPC, proto, gzip", () => createGrpcTransport({ baseUrl, ...gzip }), true],
  ];
  for (const [name, transport, duplex] of transports) {
    describe(name, () => {
      const client = () => createClient(echoService, transport()) as unknown as EchoClient;

      it("calls a unary method, metadata and trailers included", async () => {
        const seen: (string | null)[] = [];
        const options = {
          headers: { "x-tenant": "acme", "x-heddle-caller": "forged", authorization: "Bearer ada" },
          onHeader: (headers: Headers) => seen.push(headers.get("x-answer")),
          onTrailer: (headers: Headers) => seen.push(headers.get("x-tail")),
        };
        const answer = await client().look({ string: "hé", int64: 2n ** 60n }, options);
        assert.deepEqual([answer.string, answer.int64, seen], ["hé", 2n ** 60n, ["yes", "end"]]);
        const { header } = received.at(-1) ?? {};
        const got = ["x-tenant", "x-heddle-caller", "authorization", "accept", "connect-protocol-version", "user-agent"];
        assert.deepEqual(
          got.map((name) => header?.get(name)),
          ["acme", "caller-token", "Bearer ada", null, null, "heddle-node/0.1.0"],
        );
      });

      it("passes a failure on with message, details and metadata", async () => {
        const error = await failure(client().fail({ int32: 9, string: "no, ünd", bool: true }));
        assert.deepEqual([error.code, error.rawMessage, error.metadata.get("x-why")], [9, "no, ünd", "because"]);
        assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "BECAUSE");
        assert.equal(error.findDetails(RetryInfoSchema)[0]?.retryDelay?.nanos, 200_000_000);
      });

      it("refuses a message of more bytes than there may be, compressed or not", async () => {
        assert.equal((await failure(client().echo({ string: "x".repeat(100_000) }))).code, Code.ResourceExhausted);
      });

      it("reads a server stream", async () => {
        const got = await Array.fromAsync(client().count({ int32: 3 }), ({ int32 }) => int32);
        assert.deepEqual(got, [1, 2, 3]);
      });

      it("gets the failure of a server stream after its messages", async () => {
        const got: number[] = [];
        const reading = (async () => {
          for await (const { int32 } of client().count({ int32: 1, string: "fail" })) got.push(int32);
        })();
        const error = await failure(reading);
        assert.deepEqual([got, error.code, error.rawMessage], [[1], Code.DataLoss, "the count went wrong"]);
      });

      it("sends a client stream", async () => {
        const answer = await client().sum(each({ int32: 1 }, { int32: 2 }));
        assert.deepEqual([answer.int32, answer.int64], [3, 2n]);
      });

      it("ends at its deadline with DEADLINE_EXCEEDED, and the backend too", async () => {
        const reading = Array.fromAsync(client().count({ int32: 1_000_000, bool: true }, { timeoutMs: 60 }));
        assert.equal((await failure(reading)).code, Code.DeadlineExceeded);
        await until(() => received.at(-1)?.signal.aborted === true);
      });

      if (duplex) {
        it("talks both ways at once", async () => {
          const turn = Promise.withResolvers<void>();
          async function* asked() {
            yield { int32: 1 };
            await turn.promise;
            yield { int32: 2 };
          }
          const got: number[] = [];
          for await (const { int32 } of client().chat(asked())) {
            got.push(int32);
            turn.resolve();
          }
          assert.deepEqual(got, [1, 2]);
        });
      }

      it("cancels the backend within 100 ms when the client goes away", async () => {
        const gone = new AbortController();
        const count = received.length;
        const reading = failure(Array.fromAsync(client().count({ int32: 1_000_000, bool: true }, { signal: gone.signal })));
        await until(() => received.length > count);
        const start = performance.now();
        gone.abort();
        await until(() => received.at(-1)?.signal.aborted === true);
        assert.ok(performance.now() - start < 100);
        assert.equal((await reading).code, Code.Canceled);
      });
    });
  }
});

async function* each(...messages: object[]): AsyncGenerator<object> {
  yield* messages;
}
