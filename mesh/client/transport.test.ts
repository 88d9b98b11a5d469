import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { AuthService } from "#gen/auth/v1/auth_pb.ts";
import { Health, HealthCheckRequestSchema } from "#gen/grpc/health/v1/health_pb.ts";
import { answerStatus, rawServer, until } from "../net/raw-server.fixture.ts";
import { ask, echoServer, failure, methodOf, openStream, readAll, type Text, testClient, texts } from "./mesh.fixture.ts";

describe("meshTransport: unary", () => {
  it("gives response header and trailer to Connect's client, onHeader and onTrailer", async () => {
    const server = new grpc.Server();
    const bytes = (value: Buffer) => value;
    const definition = {
      path: "/grpc.health.v1.Health/Check",
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    };
    server.addService(
      { Check: definition },
      {
        Check: (call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) => {
          const [header, trailer] = [new grpc.Metadata(), new grpc.Metadata()];
          header.set("x-head", "h");
          trailer.set("x-tail", "t");
          call.sendMetadata(header);
          reply(null, Buffer.from([8, 1]), trailer);
        },
      },
    );
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    await using client = testClient({ upstreams: new Map([["grpc.health.v1.Health", [`127.0.0.1:${port}`]]]) });
    const seen: (string | null)[] = [];
    const response = await client.client(Health).check(create(HealthCheckRequestSchema), {
      onHeader: (header) => seen.push(header.get("x-head")),
      onTrailer: (trailer) => seen.push(trailer.get("x-tail")),
    });
    server.forceShutdown();
    assert.equal(response.status, 1);
    assert.deepEqual(seen, ["h", "t"]);
  });

  it("reads an answer of 1 MB", async () => {
    await using server = await echoServer("a");
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    const value = "x".repeat(1 << 20);
    assert.equal(await ask(client, "Get", value), `a:${value}`);
  });

  it("refuses an OK without a message with UNIMPLEMENTED", async () => {
    await using server = await rawServer((stream) => answerStatus(stream, 0));
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    assert.equal((await failure(ask(client, "Get", "x"))).code, Code.Unimplemented);
  });

  it("refuses pageSize 1e12, which int32 cannot hold, with INVALID_ARGUMENT before anything is sent", async () => {
    await using client = testClient({ upstreams: new Map([["auth", ["127.0.0.1:1"]]]) });
    const error = await failure(client.client(AuthService).listAuditLog({ pageSize: 1e12 }));
    assert.equal(error.code, Code.InvalidArgument);
    assert.match(error.rawMessage, /auth\.v1\.ListAuditLogRequest\.page_size .*invalid int32: 1000000000000/);
  });
});

describe("meshTransport: server streaming", () => {
  it("gives all messages in order, then the trailer", async () => {
    await using server = await echoServer("a", {
      list: (call) => {
        for (const value of ["1", "2", "3"]) call.write(`${call.request}${value}`);
        const trailer = new grpc.Metadata();
        trailer.set("x-tail", "t");
        call.end(trailer);
      },
    });
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    const response = await openStream(client, "List", texts("n"));
    assert.equal(response.trailer.get("x-tail"), null);
    assert.deepEqual(await readAll(response.message), ["n1", "n2", "n3"]);
    assert.equal(response.trailer.get("x-tail"), "t");
  });

  it("is retried before the first response header and not after it", async () => {
    let calls = 0;
    await using server = await echoServer("a", {
      list: (call) => {
        calls += 1;
        if (calls === 1) call.emit("error", { code: grpc.status.UNAVAILABLE, details: "starting" });
        else {
          call.write("one");
          setImmediate(() => call.emit("error", { code: grpc.status.UNAVAILABLE, details: "broken off" }));
        }
      },
    });
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    const response = await openStream(client, "List", texts("n"));
    const got: string[] = [];
    const error = await failure(readAll(response.message, got));
    assert.deepEqual([got, error.code, error.rawMessage, calls], [["one"], Code.Unavailable, "broken off", 2]);
  });

  it("reports UNAVAILABLE after the messages that came when the server is killed mid-stream", async () => {
    await using server = await echoServer("a", { list: (call) => void call.write("one") });
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    const response = await openStream(client, "List", texts("n"));
    const got: string[] = [];
    const reading = failure(readAll(response.message, got));
    await until("the first message is there", () => got.length === 1);
    server.kill();
    assert.equal((await reading).code, Code.Unavailable);
  });

  it("cancels the call on the server when the reader leaves the loop, or its signal aborts", async () => {
    let cancelled = 0;
    await using server = await echoServer("a", {
      list: (call) => {
        call.on("cancelled", () => {
          cancelled += 1;
        });
        call.write("one");
      },
    });
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    for await (const _message of (await openStream(client, "List", texts("n"))).message) break;
    await until("the server saw the first", () => cancelled === 1);
    const abort = new AbortController();
    const response = await openStream(client, "List", texts("n"), abort.signal);
    const reading = failure(readAll(response.message));
    abort.abort();
    assert.equal((await reading).code, Code.Canceled);
    await until("the server saw the second", () => cancelled === 2);
  });

  it("holds the server back while nobody reads, and gives everything to a slow reader", async () => {
    const piece = "x".repeat(32 * 1024);
    let written = 0;
    await using server = await echoServer("a", {
      list: (call) => {
        const next = () => {
          while (written < 200) {
            written += 1;
            if (!call.write(piece)) return call.once("drain", next);
          }
          return call.end();
        };
        next();
      },
    });
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    const response = await openStream(client, "List", texts("n"));
    await until(
      "the server stands still",
      (() => {
        let last = -1;
        let same = 0;
        return () => {
          same = last === written ? same + 1 : 0;
          last = written;
          return same > 20;
        };
      })(),
    );
    assert.ok(written < 120, `${written} pieces of 200 were written with no reader`);
    assert.equal((await readAll(response.message)).length, 200);
  });

  it("an endless stream does not hold the breaker's probe or its endpoint's latency", async () => {
    await using server = await echoServer("a", { list: (call) => void call.write("one") });
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    const response = await openStream(client, "List", texts("n"));
    await response.message[Symbol.asyncIterator]().next();
    assert.deepEqual(
      client.breakers().map(({ state, calls }) => [state, calls]),
      [
        ["CLOSED", 1],
        ["CLOSED", 1],
      ],
    );
  });

  it("works through Connect's createClient", async () => {
    await using server = await echoServer("a", {
      list: (call) => {
        call.write(call.request);
        call.end();
      },
    });
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    const list = createClient(methodOf("List").parent, client.transport).list as unknown as (
      input: Text,
    ) => AsyncIterable<unknown>;
    assert.deepEqual(await readAll(list({ value: "v" })), ["v"]);
  });
});
