/**
 * What a client costs that reads a long stream slowly: under 32 MB, measured from outside of the gateway's process. What waits
 * in a stream that stands still is in stream-memory.test.ts.
 * 64 MB within seconds; with HEDDLE_SOAK=1 the whole 1 GB.
 */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { startBackendServer } from "./fixtures/backend.ts";
import { echoRoutes } from "./fixtures/echo.ts";
import { type GatewayProcess, startGatewayProcess, tellsMemory } from "./fixtures/gateway-process.ts";

const megabyte = 2 ** 20;
const long = process.env.HEDDLE_SOAK === "1";
const total = (long ? 1024 : 64) * megabyte;
/** Bytes a second that the client reads. */
const pace = 48 * megabyte;
const limit = 32 * megabyte;
const messageBytes = 64 * 1024;

describe(`gateway: a slow reader of a stream of ${total / megabyte} MB`, function () {
  this.timeout((total / pace) * 4000 + 60_000);
  let made = 0;
  let server: Awaited<ReturnType<typeof startBackendServer>>;
  let gateway: GatewayProcess;
  before(async function () {
    if (!tellsMemory) {
      console.log("      skipped: this system does not tell how much memory a process has");
      this.skip();
    }
    const data = Buffer.alloc(messageBytes, 7);
    const string = "x".repeat(messageBytes);
    server = await startBackendServer((router) =>
      echoRoutes([])({
        ...router,
        service: (service, methods) =>
          router.service(service, {
            ...methods,
            async *count() {
              for (made = 0; made < total; made += messageBytes) yield { string };
            },
            async *pieces() {
              for (made = 0; made < total; made += messageBytes) yield { contentType: "application/octet-stream", data };
            },
          } as never),
      }),
    );
    gateway = await startGatewayProcess([
      "--contracts",
      join(import.meta.dirname, "fixtures/echo.binpb"),
      "--upstream",
      `echo.v1.EchoService=127.0.0.1:${server.port}`,
    ]);
    await warmUp();
  });
  after(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  const get = (path: string, accept: string) =>
    `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\naccept: ${accept}\r\n\r\n`;
  const requests: [name: string, request: string | Buffer][] = [
    ["NDJSON", get("/v1/count/1", "application/x-ndjson")],
    ["events", get("/v1/count/1", "text/event-stream")],
    ["an array", get("/v1/count/1", "application/json")],
    ["bytes", get("/v1/files/x/pieces", "*/*")],
    [
      "gRPC-Web",
      "POST /echo.v1.EchoService/Count HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/grpc-web+proto\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0",
    ],
  ];
  for (const [name, request] of requests) {
    it(`costs less than 32 MB, and gets all of it: ${name}`, async () => {
      const measured = measure();
      const socket = connect(gateway.port, "127.0.0.1");
      socket.write(request);
      const read = await readSlowly(socket, ({ length }) => length);
      report(name, read, await measured.stop());
    });
  }

  it("costs less than 32 MB, and gets all of it: WebSocket", async () => {
    const measured = measure();
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/v1/count/1`);
    const read = await readFrames(socket);
    report("WebSocket", read, await measured.stop());
  });

  function report(name: string, read: number, { most, least }: { most: number; least: number }): void {
    const figures = [read / megabyte, (most - least) / megabyte].map((figure) => figure.toFixed(1));
    console.log(`      ${name}: ${figures[0]} MB read, ${figures[1]} MB more memory at most`);
    assert.ok(read > total, `${read} bytes were read`);
    assert.ok(most - least < limit, `${most - least} bytes`);
  }

  /**
   * Streams that are read at full speed: what is loaded, compiled and left to the garbage collector by them is there in any
   * gateway that works, and no cost of a slow reader.
   */
  async function warmUp(): Promise<void> {
    for (let round = 0; round < 2; round++) {
      for (const [, request] of requests) {
        const socket = connect(gateway.port, "127.0.0.1");
        socket.write(request);
        let read = 0;
        for await (const { length } of socket as AsyncIterable<Buffer>) {
          read += length;
          if (read > 48 * megabyte) break;
        }
      }
    }
  }

  /** Looks at the gateway's memory until it is stopped. */
  function measure() {
    const least = gateway.memory();
    let most = least;
    const timer = setInterval(() => {
      most = Math.max(most, gateway.memory());
    }, 100);
    return {
      async stop() {
        clearInterval(timer);
        return { least, most };
      },
    };
  }
});

/** Reads no faster than `pace`; returns how many bytes came. */
async function readSlowly<T>(source: AsyncIterable<T>, sizeOf: (item: T) => number): Promise<number> {
  const startedAt = performance.now();
  let read = 0;
  for await (const item of source) {
    read += sizeOf(item);
    const early = (read / pace) * 1000 - (performance.now() - startedAt);
    if (early > 10) await sleep(early);
  }
  return read;
}

function readFrames(socket: WebSocket): Promise<number> {
  const startedAt = performance.now();
  let read = 0;
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("close", () => resolve(read));
    socket.on("message", (data: Buffer) => {
      read += data.length;
      const early = (read / pace) * 1000 - (performance.now() - startedAt);
      if (early < 10 || socket.isPaused) return;
      socket.pause();
      setTimeout(() => socket.resume(), early);
    });
  });
}
