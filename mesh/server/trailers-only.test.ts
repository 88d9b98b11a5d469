import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { credentials, Client as GrpcJsClient, type ServiceError, status } from "@grpc/grpc-js";
import { testClient } from "../client/mesh.fixture.ts";
import { type EchoRequest, EchoService } from "./echo.fixture.ts";
import { framed, rawCall } from "./raw-call.fixture.ts";
import { type EchoHandlers, refusal, startEcho } from "./server.fixture.ts";

const { input, output } = EchoService.method.unary;
const path = (method: string) => `/test.v1.EchoService/${method}`;
const body = framed(input, create(input, { text: "a" }));
const away = () => new ConnectError("away: 10 % left", Code.Unavailable, { "x-metadata": "m", "x-both": "t" });

describe("a gRPC call that fails before its first message is answered by one block of headers", () => {
  const failing: EchoHandlers = {
    unary(_request, { responseHeader, responseTrailer }) {
      responseHeader.set("x-header", "h");
      responseHeader.set("x-both", "h");
      responseTrailer.set("x-trailer", "t");
      throw away();
    },
    // biome-ignore lint/correctness/useYield: it fails before it yields.
    async *server() {
      throw away();
    },
    async client(requests) {
      for await (const _request of requests) throw away();
      return {};
    },
    // biome-ignore lint/correctness/useYield: it fails before it yields.
    async *bidi() {
      throw away();
    },
  };

  for (const method of ["Unary", "Server", "Client", "Bidi"]) {
    it(`${method}: HEADERS with END_STREAM holds :status, content-type and grpc-status 14`, async () => {
      await using echo = await startEcho(failing);
      const { status, headers, trailersOnly, rstCode } = await rawCall({ url: echo.url, path: path(method), body });
      assert.deepEqual(
        [status, trailersOnly, headers["content-type"], headers["grpc-status"], headers["grpc-message"], rstCode],
        [200, true, "application/grpc+proto", "14", "away: 10 %25 left", 0],
      );
    });
  }

  it("what the handler set as headers and trailers stands in that block", async () => {
    await using echo = await startEcho(failing);
    const headers = { "x-correlation-id": "c-1", "grpc-accept-encoding": "gzip" };
    const outcome = await rawCall({ url: echo.url, path: path("Unary"), body, headers });
    const names = ["x-correlation-id", "x-header", "x-metadata", "x-both", "grpc-encoding"];
    assert.deepEqual(
      names.map((name) => outcome.headers[name]),
      ["c-1", "h", "m", "h, t", undefined],
    );
  });

  it("a refusal on the headers alone (SignedIn without a token) is one, although the request is still open", async () => {
    await using echo = await startEcho({});
    const outcome = await rawCall({ url: echo.url, path: path("SignedIn"), body: body.subarray(0, 3), end: false });
    assert.deepEqual([outcome.trailersOnly, outcome.headers["grpc-status"]], [true, "16"]);
  });

  for (const [message, escaped] of [
    ["user.email: must not be empty", "user.email: must not be empty"],
    ["größer als 5 😀", "gr%C3%B6%C3%9Fer als 5 %F0%9F%98%80"],
    [" a\nb ", "%20a%0Ab%20"],
    ["50%25", "50%2525"],
  ] as const) {
    it(`the message ${JSON.stringify(message)} is escaped as gRPC does: ${escaped}`, async () => {
      const fail = () => {
        throw new ConnectError(message, Code.Unavailable);
      };
      await using echo = await startEcho({
        unary: fail,
        async *server() {
          yield {};
          fail();
        },
      });
      for (const method of ["Unary", "Server"]) {
        const { trailers } = await rawCall({ url: echo.url, path: path(method), body });
        assert.equal(trailers["grpc-message"], escaped);
      }
      assert.equal((await refusal(echo.client().unary({ text: "a" }))).rawMessage, message);
    });
  }

  it("a stream of requests that is still open is asked to stop: RST_STREAM with NO_ERROR after the block", async () => {
    await using echo = await startEcho(failing);
    const outcome = await rawCall({ url: echo.url, path: path("Client"), body, end: false });
    assert.deepEqual([outcome.trailersOnly, outcome.headers["grpc-status"], outcome.rstCode], [true, "14", 0]);
  });

  it("a stream that fails after its first message answers headers, the message, trailers", async () => {
    const methods: EchoHandlers = {
      async *server() {
        yield { text: "one" };
        throw away();
      },
    };
    await using echo = await startEcho(methods);
    const { headers, trailersOnly, trailers } = await rawCall({ url: echo.url, path: path("Server"), body });
    assert.deepEqual([trailersOnly, headers["grpc-status"], trailers["grpc-status"]], [false, undefined, "14"]);
  });

  it("OK is told in trailers: with a message, and for a stream without any", async () => {
    await using echo = await startEcho({ unary: ({ text }) => ({ text }), async *server() {} });
    for (const method of ["Unary", "Server"]) {
      const { trailersOnly, trailers } = await rawCall({ url: echo.url, path: path(method), body });
      assert.deepEqual([trailersOnly, trailers["grpc-status"]], [false, "0"]);
    }
  });

  for (const protocol of ["grpc", "grpc-web", "connect"] as const) {
    it(`${protocol} clients read code, message and metadata`, async () => {
      await using echo = await startEcho(failing);
      const error = await refusal(echo.client(protocol).unary({ text: "a" }));
      assert.deepEqual(
        [error.code, error.rawMessage, error.metadata.get("x-metadata"), error.metadata.get("x-trailer")],
        [Code.Unavailable, "away: 10 % left", "m", "t"],
      );
    });
  }

  for (const contentType of ["application/grpc-web+proto", "application/proto"]) {
    it(`${contentType} over HTTP/2 has no trailers-only response`, async () => {
      await using echo = await startEcho(failing);
      const { trailersOnly } = await rawCall({
        url: echo.url,
        path: path("Unary"),
        body,
        headers: { "content-type": contentType },
      });
      assert.equal(trailersOnly, false);
    });
  }
});

describe("retries of a Heddle server's UNAVAILABLE, with maxAttempts 3", () => {
  const retryPolicy = {
    maxAttempts: 3,
    initialBackoff: "0.01s",
    maxBackoff: "0.01s",
    backoffMultiplier: 1,
    retryableStatusCodes: ["UNAVAILABLE"],
  };
  const config = { methodConfig: [{ name: [{ service: "test.v1.EchoService" }], retryPolicy }] };

  /** An echo that is away, with the number of each attempt as it says itself. */
  async function startAway() {
    const attempts: (string | null)[] = [];
    const note = (headers: Headers) => {
      attempts.push(headers.get("grpc-previous-rpc-attempts"));
      return away();
    };
    const echo = await startEcho({
      unary(_request, { requestHeader }) {
        throw note(requestHeader);
      },
      // biome-ignore lint/correctness/useYield: it fails before it yields.
      async *server(_request, { requestHeader }) {
        throw note(requestHeader);
      },
    });
    return { echo, attempts };
  }

  it("grpc-js makes exactly 3 attempts", async () => {
    const { echo, attempts } = await startAway();
    await using _echo = echo;
    const client = new GrpcJsClient(`127.0.0.1:${echo.server.port}`, credentials.createInsecure(), {
      "grpc.service_config": JSON.stringify({ loadBalancingConfig: [], ...config }),
    });
    try {
      const encode = (message: EchoRequest) => Buffer.from(toBinary(input, message));
      const decode = (bytes: Buffer) => fromBinary(output, bytes);
      const error = await new Promise<ServiceError | null>((resolve) => {
        client.makeUnaryRequest(path("Unary"), encode, decode, create(input, { text: "a" }), (outcome) => resolve(outcome));
      });
      assert.deepEqual([error?.code, attempts], [status.UNAVAILABLE, [null, "1", "2"]]);
    } finally {
      client.close();
    }
  });

  it("grpc-js, still sending its stream of requests, hears UNAVAILABLE and not that the stream was reset", async () => {
    await using echo = await startEcho({
      async client(requests) {
        for await (const _request of requests) throw away();
        return {};
      },
    });
    const client = new GrpcJsClient(`127.0.0.1:${echo.server.port}`, credentials.createInsecure());
    try {
      const encode = (message: EchoRequest) => Buffer.from(toBinary(input, message));
      const decode = (bytes: Buffer) => fromBinary(output, bytes);
      const error = await new Promise<ServiceError | null>((resolve) => {
        const call = client.makeClientStreamRequest(path("Client"), encode, decode, (outcome) => resolve(outcome));
        for (let n = 0; n < 50; n++) call.write(create(input, { text: "x".repeat(50_000) }));
      });
      assert.deepEqual([error?.code, error?.details], [status.UNAVAILABLE, "away: 10 % left"]);
    } finally {
      client.close();
    }
  });

  for (const method of ["unary", "server"] as const) {
    it(`the mesh client makes exactly 3 attempts of a ${method} call`, async () => {
      const { echo, attempts } = await startAway();
      await using _echo = echo;
      await using mesh = testClient({ config, upstreams: new Map([["test", [`127.0.0.1:${echo.server.port}`]]]) });
      const client = mesh.client(EchoService);
      const call = method === "unary" ? client.unary({ text: "a" }) : Array.fromAsync(client.server({ text: "a" }));
      assert.equal((await refusal(call)).code, Code.Unavailable);
      assert.deepEqual(attempts, [null, "1", "2"]);
    });
  }
});
