import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Backend, startBackend } from "./fixtures/backend.ts";
import { echoRoutes } from "./fixtures/echo.ts";
import { startTestGateway, type TestGateway } from "./fixtures/harness.ts";

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

const megabyte = 2 ** 20;
const total = 64;
const limit = 32;

describe("gateway: a slow reader of a stream of 64 MB", () => {
  let made = 0;
  let backend: Backend;
  let gateway: TestGateway;
  before(async () => {
    const data = Buffer.alloc(megabyte / 4, 7);
    const string = "x".repeat(megabyte / 4);
    backend = await startBackend("echo.v1.EchoService", (router) =>
      echoRoutes([])({
        ...router,
        service: (service, methods) =>
          router.service(service, {
            ...methods,
            async *count() {
              for (made = 0; made < total * 4; made++) yield { string };
            },
            async *pieces() {
              for (made = 0; made < total * 4; made++) yield { contentType: "application/octet-stream", data };
            },
          } as never),
      }),
    );
    gateway = await startTestGateway({ transport: () => backend.transport });
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await backend[Symbol.asyncDispose]();
  });

  const requests: [name: string, path: string, headers: Record<string, string>][] = [
    ["NDJSON", "/v1/count/1", { accept: "application/x-ndjson" }],
    ["events", "/v1/count/1", { accept: "text/event-stream" }],
    ["an array", "/v1/count/1", { accept: "application/json" }],
    ["bytes", "/v1/files/x/pieces", {}],
  ];
  for (const [name, path, headers] of requests) {
    it(`costs less than 32 MB, and gets all of it: ${name}`, async () => {
      const lines = Object.entries({ host: "a", connection: "close", ...headers }).map(
        ([name, value]) => `${name}: ${value}\r\n`,
      );
      const before = await used();
      const socket = connect(gateway.port, "127.0.0.1");
      socket.pause();
      socket.write(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
      await standstill();
      assert.ok(made < total * 4, "the backend was not held back");
      const held = (await used()) - before;
      assert.ok(held < limit * megabyte, `${held} bytes`);
      let [read, most] = [0, 0];
      for await (const chunk of socket) {
        read += chunk.length;
        if (read % (8 * megabyte) < chunk.length) most = Math.max(most, (await used()) - before);
      }
      assert.ok(read > total * megabyte, `${read} bytes were read`);
      assert.ok(most < limit * megabyte, `${most} bytes`);
    });
  }

  it("costs less than 32 MB over gRPC, where HTTP/2 holds the stream back", async () => {
    const before = await used();
    const session = connectHttp2(`http://127.0.0.1:${gateway.port}`);
    const stream = session.request({
      ":method": "POST",
      ":path": "/echo.v1.EchoService/Count",
      "content-type": "application/grpc",
    });
    stream.end(Buffer.alloc(5));
    stream.pause();
    await standstill();
    assert.ok(made < total * 4, "the backend was not held back");
    const held = (await used()) - before;
    assert.ok(held < limit * megabyte, `${held} bytes`);
    let read = 0;
    for await (const chunk of stream) read += chunk.length;
    assert.ok(read > total * megabyte, `${read} bytes were read`);
    session.close();
  });

  async function standstill(): Promise<void> {
    let last = -1;
    for (let same = 0; same < 5; same = last === made && made > 0 ? same + 1 : 0) {
      last = made;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
});

/** Bytes that this process holds, buffers outside of the heap included. These are let go one turn after their collection. */
async function used(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
