import assert from "node:assert/strict";
import { connect } from "node:net";
import { create, type DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { startTestGateway, type TestGateway, until } from "./fixtures/harness.ts";

const ndjson = { accept: "application/x-ndjson" };
const events = { accept: "text/event-stream" };
const array = { accept: "application/json" };

describe("gateway/stream", () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway();
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
  });

  const formats: [target: string, headers: Record<string, string>, type: string, text: string][] = [
    ["GET /v1/count/2", {}, "application/x-ndjson", '{"int32":1}\n{"int32":2}\n'],
    ["GET /v1/count/2", ndjson, "application/x-ndjson", '{"int32":1}\n{"int32":2}\n'],
    ["GET /v1/count/0", ndjson, "application/x-ndjson", ""],
    ["GET /v1/count/2", events, "text/event-stream", 'id: 1\ndata: {"int32":1}\n\nid: 2\ndata: {"int32":2}\n\n'],
    ["GET /v1/count/2", array, "application/json", '[{"int32":1},\n{"int32":2}]'],
    ["GET /v1/count/0", array, "application/json", "[]"],
    ["GET /v1/counts/2", array, "application/json", "[1,\n2]"],
    ["GET /v1/files/x/pieces", {}, "text/plain; charset=utf-8", "one,two"],
    ["GET /v1/files/x/wrapped", {}, "text/csv", "1,2"],
    ["HEAD /v1/count/2", ndjson, "application/x-ndjson", ""],
  ];
  for (const [target, headers, type, text] of formats) {
    it(`writes ${target} for Accept: ${headers.accept} as ${type}`, async () => {
      const reply = await gateway.send(target, { headers });
      assert.deepEqual([reply.status, reply.headers["content-type"], reply.text], [200, type, text]);
    });
  }

  it("answers a failure before the first message with its status", async () => {
    for (const headers of [ndjson, events, array]) {
      const reply = await gateway.send("GET /v1/count/0?string=fail", { headers });
      assert.deepEqual([reply.status, reply.json], [500, { code: 15, message: "the count went wrong" }]);
    }
  });

  it("ends NDJSON that fails later in a line with the error", async () => {
    const { text } = await gateway.send("GET /v1/count/1?string=fail", { headers: ndjson });
    assert.equal(text, '{"int32":1}\n{"error":{"code":15,"message":"the count went wrong"}}\n');
  });

  it("ends events that fail later in an error event", async () => {
    const { text } = await gateway.send("GET /v1/count/1?string=fail", { headers: events });
    assert.equal(
      text,
      'id: 1\ndata: {"int32":1}\n\nevent: error\ndata: {"error":{"code":15,"message":"the count went wrong"}}\n\n',
    );
  });

  it("breaks the connection under an array that fails later", async () => {
    await assert.rejects(gateway.send("GET /v1/count/1?string=fail", { headers: array }), { code: "ECONNRESET" });
  });

  it("logs the failure of a stream that had begun", async () => {
    await gateway.send("GET /v1/count/1?string=fail", { headers: { ...ndjson, "x-correlation-id": "late" } });
    const line = gateway.lines.find(({ correlationId }) => correlationId === "late");
    assert.deepEqual([line?.status, line?.code, line?.error], [200, "DataLoss", "the count went wrong"]);
  });

  it("opens a silent stream after a while, and keeps it alive with comments", async () => {
    const silent = backend(async function* (item, signal) {
      yield await aborted(signal).then(() => item(1));
    });
    await using quiet = await startTestGateway({ transport: () => silent.transport, streams: { headMs: 20, heartbeatMs: 20 } });
    const gone = new AbortController();
    const reply = quiet.send("GET /v1/count/1", { headers: { ...events, "grpc-timeout": "300m" }, signal: gone.signal });
    assert.equal(
      (await reply).text.replace(/(: heartbeat\n\n)+/, "beats "),
      'beats event: error\ndata: {"error":{"code":4,"message":"the deadline of the call has passed"}}\n\n',
    );
  });

  for (const { accept } of [ndjson, events, array]) {
    it(`cancels the backend within 100 ms when the client goes away: ${accept}`, async () => {
      const endless = backend(async function* (item, signal) {
        yield item(1);
        await aborted(signal);
      });
      await using open = await startTestGateway({ transport: () => endless.transport });
      const socket = connect(open.port, "127.0.0.1");
      socket.write(`GET /v1/count/1 HTTP/1.1\r\nhost: a\r\naccept: ${accept}\r\n\r\n`);
      await new Promise((resolve) => socket.once("data", resolve));
      const start = performance.now();
      socket.destroy();
      await endless.ended;
      assert.ok(performance.now() - start < 100);
    });
  }

  it("waits for a backend that begins its answer with its first message, and shows that it is open", async () => {
    const begun = Promise.withResolvers<void>();
    const late = backend(async function* (item) {
      yield item(1);
    }, begun.promise);
    await using quiet = await startTestGateway({ transport: () => late.transport, streams: { heartbeatMs: 20 } });
    const reply = quiet.send("GET /v1/count/1", { headers: events });
    setTimeout(begun.resolve, 200);
    assert.equal((await reply).text.replace(/(: heartbeat\n\n)+/, "beats "), 'beats id: 1\ndata: {"int32":1}\n\n');
  });

  it("cancels a call that has not begun when the client goes away", async () => {
    const never = backend(async function* () {}, new Promise(() => {}));
    await using open = await startTestGateway({ transport: () => never.transport, streams: { heartbeatMs: 20 } });
    const socket = connect(open.port, "127.0.0.1");
    socket.write("GET /v1/count/1 HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n\r\n");
    await new Promise((resolve) => socket.once("data", resolve));
    socket.destroy();
    await until(() => open.lines.some(({ code }) => code === "Canceled"));
  });

  it("reads the backend no faster than the client reads", async () => {
    let made = 0;
    const big = backend(async function* (item) {
      for (; made < 2000; made++) yield item(made, "x".repeat(100_000));
    });
    await using slow = await startTestGateway({ transport: () => big.transport });
    const socket = connect(slow.port, "127.0.0.1");
    socket.pause();
    socket.write("GET /v1/count/1 HTTP/1.1\r\nhost: a\r\n\r\n");
    // The stream stands still once the buffers between the two are full: a few megabytes of the 200.
    let before = -1;
    for (let still = 0; still < 5; still = made === before && made > 0 ? still + 1 : 0) {
      before = made;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.ok(made < 500, `${made} messages of 100 KB were made for a client that reads none`);
    socket.destroy();
    await big.ended;
  });
});

type Source = (item: (int32: number, string?: string) => never, signal: AbortSignal) => AsyncGenerator;

/** A transport whose streams come from `source`, and begin with `begun`; `ended` settles when the first one does, however it does. */
function backend(source: Source, begun: Promise<unknown> = Promise.resolve()) {
  let settle: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const transport = {
    async stream(method: DescMethod, signal: AbortSignal) {
      await Promise.race([begun, aborted(signal)]);
      async function* messages() {
        try {
          yield* source(
            (int32, string) => create(method.output, { int32, ...(string === undefined ? {} : { string }) }) as never,
            signal,
          );
        } finally {
          settle();
        }
      }
      return { stream: true, method, service: method.parent, header: new Headers(), trailer: new Headers(), message: messages() };
    },
  };
  return { transport: transport as unknown as Transport, ended };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new ConnectError("aborted", Code.Canceled)), { once: true });
  });
}
