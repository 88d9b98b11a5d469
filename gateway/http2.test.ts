import assert from "node:assert/strict";
import { connect, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import * as grpc from "@grpc/grpc-js";
import { testClient } from "#mesh/client/mesh.fixture.ts";
import { envelope } from "./envelope.ts";
import { type Backend, startBackend } from "./fixtures/backend.ts";
import { echoRoutes } from "./fixtures/echo.ts";
import { startTestGateway, type TestGateway, until } from "./fixtures/harness.ts";

describe("gateway: HTTP/2 with prior knowledge", () => {
  let backend: Backend;
  let gateway: TestGateway;
  before(async () => {
    backend = await startBackend("echo.v1.EchoService", echoRoutes([]));
    gateway = await startTestGateway({ transport: () => backend.transport });
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await backend[Symbol.asyncDispose]();
  });

  it("serves REST", async () => {
    const session = connect(`http://127.0.0.1:${gateway.port}`);
    const ask = (method: string, path: string, headers: object, body?: string) =>
      new Promise<string>((resolve, reject) => {
        const stream = session.request({ ":method": method, ":path": path, ...headers }, { endStream: body === undefined });
        let [status, text] = ["", ""];
        stream.on("response", (fields) => {
          status = `${fields[":status"]} ${fields["content-type"]} `;
        });
        stream.on("data", (chunk) => {
          text += chunk;
        });
        stream.on("end", () => resolve(status + text));
        stream.on("error", reject);
        if (body !== undefined) stream.end(body);
      });
    const typed = { "content-type": "application/json" };
    const answers = [
      await ask("POST", "/v1/echo", typed, '{"int32":1}'),
      await ask("GET", "/v1/count/2", { accept: "text/event-stream" }),
      await ask("POST", "/v1/sum", typed, '[{"int32":1},{"int32":2}]'),
      await ask("GET", "/v1/nope", {}),
    ];
    assert.deepEqual(answers, [
      '200 application/json {"int32":1}',
      '200 text/event-stream id: 1\ndata: {"int32":1}\n\nid: 2\ndata: {"int32":2}\n\n',
      '200 application/json {"int32":3,"int64":"2"}',
      '404 application/json {"code":5,"message":"the path \\"/v1/nope\\" does not exist"}',
    ]);
    const broken = ask("GET", "/v1/count/1?string=fail", { accept: "application/json" });
    await assert.rejects(broken, { code: "ERR_HTTP2_STREAM_ERROR" });
    session.close();
  });

  it("serves @grpc/grpc-js, status details and trailers included", async () => {
    const client = new grpc.Client(`127.0.0.1:${gateway.port}`, grpc.credentials.createInsecure());
    const bytes = (value: Buffer) => value;
    const call = (method: string, message: Buffer) =>
      new Promise<{ answer?: Buffer | undefined; error: grpc.ServiceError | null; trailer: grpc.Metadata }>((resolve) => {
        let trailer = new grpc.Metadata();
        client
          .makeUnaryRequest(`/echo.v1.EchoService/${method}`, bytes, bytes, message, (error, answer) => {
            setImmediate(() => resolve({ error, answer, trailer }));
          })
          .on("status", (status) => {
            trailer = status.metadata;
          });
      });
    const good = await call("Echo", Buffer.from([0x18, 0x05]));
    assert.deepEqual([good.error, good.answer, good.trailer.get("x-tail")], [null, Buffer.from([0x18, 0x05]), ["end"]]);
    const { error } = await call("Fail", Buffer.from([0x18, 0x05, 0x10, 0x01]));
    assert.deepEqual([error?.code, error?.metadata.get("x-why")], [5, ["because"]]);
    assert.equal(error?.metadata.get("grpc-status-details-bin").length, 1);
    client.close();
  });

  it("tells HTTP/2 clients by GOAWAY when it drains, and finishes what is in flight", async () => {
    const leaving = await startTestGateway({ transport: () => backend.transport });
    const session = connect(`http://127.0.0.1:${leaving.port}`);
    const goaway = new Promise((resolve) => session.once("goaway", resolve));
    const stream = session.request({ ":path": "/v1/count/5?bool=true", accept: "application/x-ndjson" });
    let text = "";
    stream.on("data", (chunk) => {
      text += chunk;
    });
    await until(() => text !== "");
    const drained = leaving.drain(5000);
    await goaway;
    await drained;
    assert.equal(text.trim().split("\n").length, 5);
  });
});

describe("gateway: byte passthrough", () => {
  it("passes messages on byte by byte, whatever is in them, both ways", async () => {
    // Field 1 twice, an overlong varint as tag, a field that the contract does not know: no encoder writes that.
    const odd = Buffer.from([0x0a, 0x01, 0x61, 0x0a, 0x01, 0x62, 0x98, 0x80, 0x00, 0x05, 0xfa, 0x3f, 0x01, 0xff]);
    const got: Buffer[] = [];
    const server = createServer();
    server.on("stream", (stream: ServerHttp2Stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.on("data", (chunk: Buffer) => got.push(chunk));
      stream.on("end", () => stream.end(envelope(0, odd)));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await using mesh = testClient({ upstreams: new Map([["echo.v1.EchoService", [`127.0.0.1:${port}`]]]) });
    await using over = await startTestGateway({ transport: () => mesh.transport, maxBodyBytes: 100_000 });
    const long = Buffer.concat([odd, Buffer.from([0xfa, 0x3f, 0x80, 0x80, 0x01]), Buffer.alloc(0x4000, 7)]);
    for (const message of [odd, long]) {
      got.length = 0;
      const headers = {
        host: "a",
        "content-type": "application/proto",
        "content-length": String(message.length),
        connection: "close",
      };
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      const head = Buffer.from(`POST /echo.v1.EchoService/Echo HTTP/1.1\r\n${lines.join("")}\r\n`);
      const reply = await over.raw(Buffer.concat([head, message]), "hold");
      assert.deepEqual(Buffer.concat(got), envelope(0, message));
      assert.ok(reply.endsWith(odd.toString("latin1")));
    }
    server.close();
  });
});
