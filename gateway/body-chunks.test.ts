import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { deflateSync, gzipSync } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import { bodyChunks } from "./body-chunks.ts";
import { until } from "./fixtures/harness.ts";

describe("gateway/body-chunks", () => {
  let server: Server;
  const requests: IncomingMessage[] = [];
  const sockets: Socket[] = [];
  before(async () => {
    server = createServer((request) => requests.push(request));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  /** A request whose body is what is written to the socket. */
  async function post(length: number, encoding = "identity"): Promise<[Socket, IncomingMessage]> {
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    sockets.push(socket);
    const count = requests.length;
    socket.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-encoding: ${encoding}\r\ncontent-length: ${length}\r\n\r\n`);
    await until(() => requests.length > count);
    return [socket, requests.at(-1) as IncomingMessage];
  }

  it("gives the chunks as they come, then the end", async () => {
    const [socket, request] = await post(8);
    const chunks = bodyChunks(request, 1000);
    socket.write("one");
    assert.equal(String((await chunks.next()).value), "one");
    socket.write("three");
    assert.deepEqual([String((await chunks.next()).value), (await chunks.next()).done], ["three", true]);
  });

  it("undoes encodings in the order in which they were applied", async () => {
    const body = gzipSync(deflateSync("text"));
    const [socket, request] = await post(body.length, "deflate, gzip");
    socket.write(body);
    assert.equal(Buffer.concat(await Array.fromAsync(bodyChunks(request, 1000))).toString(), "text");
  });

  it("fails with CANCELLED when the client goes away before the end, even before anybody reads", async () => {
    for (const early of [true, false]) {
      const [socket, request] = await post(8);
      const chunks = bodyChunks(request, 1000);
      const next = early ? undefined : chunks.next();
      socket.destroy();
      await until(() => request.destroyed || next !== undefined);
      const error = await (next ?? chunks.next()).catch((thrown: unknown) => thrown);
      assert.ok(error instanceof ConnectError && error.code === Code.Canceled, String(error));
    }
  });

  it("fails with a deadline when nothing comes for 20 ms to one who waits, and not while nobody does", async () => {
    const [socket, request] = await post(8);
    const chunks = bodyChunks(request, 20);
    socket.write("a");
    await chunks.next();
    await new Promise((resolve) => setTimeout(resolve, 40));
    socket.write("b");
    assert.equal(String((await chunks.next()).value), "b");
    const got = await chunks.next().catch((thrown: unknown) => thrown);
    assert.ok(got instanceof ConnectError && got.code === Code.DeadlineExceeded, String(got));
  });

  it("listens to nothing before it is read and after it was left", async () => {
    const [socket, request] = await post(8);
    const chunks = bodyChunks(request, 1000);
    assert.equal(request.listenerCount("data"), 0);
    socket.write("a");
    for await (const _ of chunks) break;
    assert.equal(request.listenerCount("data"), 0);
  });

  it("refuses an encoding that it does not know before it is read", async () => {
    const [, request] = await post(8, "zstd");
    assert.throws(() => bodyChunks(request, 1000), /content-encoding: expected gzip, br, deflate, got "zstd"/);
  });
});
