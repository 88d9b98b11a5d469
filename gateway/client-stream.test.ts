import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { type Backend, startBackend } from "./fixtures/backend.ts";
import { echoRoutes, type Received } from "./fixtures/echo.ts";
import { outcome, startTestGateway, type TestGateway, until } from "./fixtures/harness.ts";

const ndjson = { "content-type": "application/x-ndjson" };
const json = { "content-type": "application/json" };

describe("gateway: client streams", () => {
  const received: Received[] = [];
  let backend: Backend;
  let gateway: TestGateway;
  before(async () => {
    backend = await startBackend("echo.v1.EchoService", echoRoutes(received));
    gateway = await startTestGateway({ transport: () => backend.transport, maxBodyBytes: 1000, streams: { idleMs: 300 } });
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await backend[Symbol.asyncDispose]();
  });

  const good: [target: string, headers: Record<string, string>, body: string | Buffer, answer: string][] = [
    ["POST /v1/sum", ndjson, '{"int32":1}\n{"int32":2}\n', '{"int32":3,"int64":"2"}'],
    ["POST /v1/sum", ndjson, '\r\n{"int32":1}\r\n \n{"int32":2}', '{"int32":3,"int64":"2"}'],
    ["POST /v1/sum", { "content-type": "application/jsonl; charset=UTF-8" }, '{"int32":1}', '{"int32":1,"int64":"1"}'],
    ["POST /v1/sum", json, ' [ {"int32":1} ,{"string":"],{\\"[","int32":2}\n] ', '{"int32":3,"int64":"2","strings":["],{\\"["]}'],
    ["POST /v1/sum", json, "[]", "{}"],
    ["POST /v1/sum", json, "", "{}"],
    ["POST /v1/sum", ndjson, "", "{}"],
    [
      "POST /v1/sum",
      { ...ndjson, "content-encoding": "gzip" },
      gzipSync('{"int32":1}\n{"int32":2}\n'),
      '{"int32":3,"int64":"2"}',
    ],
    ["POST /v1/sum", { ...json, "content-encoding": "br" }, brotliCompressSync('[{"int32":4}]'), '{"int32":4,"int64":"1"}'],
    ["POST /v1/sum/a", ndjson, '{"int32":1}\n{"string":"b"}', '{"int32":1,"int64":"2","strings":["a","b"]}'],
    ["POST /v1/sum/a", ndjson, "", '{"int64":"1","strings":["a"]}'],
    ["POST /v1/sum/a/int32?bool=true", json, "[1, 2,3]", '{"int32":6,"int64":"3","strings":["a"]}'],
  ];
  for (const [target, headers, body, answer] of good) {
    it(`answers ${target} ${headers["content-type"]} ${JSON.stringify(body.toString("latin1").slice(0, 50))} with ${answer}`, async () => {
      const reply = await gateway.send(target, { headers, body });
      assert.deepEqual([reply.status, reply.text], [200, answer]);
    });
  }

  const bad: [target: string, headers: Record<string, string>, body: string | Buffer, answer: string][] = [
    ["POST /v1/sum", ndjson, '{"int32":1}\n{"int32":"x"}\n', '400 [1].int32: expected a 32-bit integer, got "x"'],
    ["POST /v1/sum", json, '[{},{},{"child":{"string":1}}]', "400 [2].child.string: expected string, got 1"],
    ["POST /v1/sum", json, '[{},{"nope":1}]', "400 [1].nope: echo.v1.Everything has no such field"],
    ["POST /v1/sum", json, "[{},{]", '400 [1]: expected "," or "]" after an item, got the end'],
    ["POST /v1/sum", json, "[{},}]", '400 [1]: body: expected a JSON value, got "}" (line 1, column 1)'],
    ["POST /v1/sum", json, "[{},,{}]", '400 [1]: expected a JSON value, got ","'],
    ["POST /v1/sum", json, "[{},]", '400 [1]: expected a JSON value, got "]"'],
    ["POST /v1/sum", json, "[{}{}]", '400 [0]: body: expected nothing after the value, got "{" (line 1, column 3)'],
    ["POST /v1/sum", json, "[{}", '400 [0]: expected "," or "]" after an item, got the end'],
    ["POST /v1/sum", json, "[{}] x", '400 [1]: expected nothing after the array, got "x"'],
    ["POST /v1/sum", json, " ", '400 [0]: expected "[", got the end'],
    ["POST /v1/sum", json, Buffer.from([0xef, 0xbb, 0xbf]), '400 [0]: expected an array of messages, "[", got the byte 0xef'],
    ["POST /v1/sum", ndjson, Buffer.from([0x22, 0xff, 0x22]), "400 [0]: expected a body in UTF-8, got bytes that are not"],
    ["POST /v1/sum", ndjson, `{}\n"${"x".repeat(1000)}"`, "413 [1]: expected at most 1000 bytes, got more"],
    ["POST /v1/sum/a", ndjson, '{"string":"b"}', "400 [0].string: set in the path and, to another value, in the body"],
    ["POST /v1/sum?int32=1", ndjson, "{}", "400 [0].int32: belongs to the body, and so cannot stand in the query"],
    ["POST /v1/sum", { ...json, "content-encoding": "gzip" }, "[{}]", "400 body: expected gzip, as content-encoding says"],
    [
      "POST /v1/sum",
      { "content-type": "text/plain" },
      "{}",
      '415 content-type: expected application/x-ndjson or application/json with one array, in UTF-8, got "text/plain"',
    ],
  ];
  for (const [target, headers, body, answer] of bad) {
    it(`answers ${target} ${headers["content-type"]} ${JSON.stringify(body.toString("latin1").slice(0, 30))} with ${answer.slice(0, 60)}`, async () => {
      assert.equal(outcome(await gateway.send(target, { headers, body })), answer);
    });
  }

  it("refuses a malformed item while the rest is still to come, and cancels the backend", async () => {
    const socket = open(gateway, "POST /v1/sum", ndjson);
    socket.write(chunk('{"string":"first"}\n'));
    await until(() => received.at(-1)?.rpc === "Sum" && JSON.stringify(received.at(-1)?.json) === '{"string":"first"}');
    socket.write(chunk("{\n"));
    assert.match(
      await firstBytes(socket),
      /^HTTP\/1\.1 400 .*"message":"\[1\]: body: expected a key in double quotes, got the end/s,
    );
    await until(() => received.at(-1)?.signal.aborted === true);
    socket.destroy();
  });

  it("passes each chunk of an HttpBody on as a piece, name and type with the first alone", async () => {
    const socket = open(gateway, "POST /v1/uploads/a%2Fb", { "content-type": "image/png" });
    const count = received.length;
    socket.write(chunk("one"));
    await until(() => received.length > count);
    socket.write(chunk("three"));
    socket.write("0\r\n\r\n");
    const expected = { string: "a/b image/png", bytes: Buffer.from("onethree").toString("base64"), ints: [3, 5] };
    assert.deepEqual(JSON.parse((await firstBytes(socket)).split("\r\n\r\n")[1] ?? ""), expected);
    socket.destroy();
  });

  it("uploads no bytes as one empty piece", async () => {
    const reply = await gateway.send("POST /v1/uploads/none", { headers: { "content-type": "image/png" } });
    assert.equal(reply.text, '{"string":"none image/png","ints":[0]}');
  });

  it("cancels the backend within 100 ms when the client goes away in the middle", async () => {
    const count = received.length;
    const socket = open(gateway, "POST /v1/sum", ndjson);
    socket.write(chunk("{}\n"));
    await until(() => received.length > count);
    const start = performance.now();
    socket.destroy();
    await until(() => received.at(-1)?.signal.aborted === true);
    assert.ok(performance.now() - start < 100);
  });

  it("gives a client up with 408 that sends nothing for idleMs although more is wanted", async () => {
    const socket = open(gateway, "POST /v1/sum", ndjson);
    socket.write(chunk("{}\n"));
    assert.match(await firstBytes(socket), /^HTTP\/1\.1 408 .*"message":"body: expected more of it within 300 ms"/s);
    socket.destroy();
  });

  it("reads the client no faster than the backend takes, in bounded memory", async () => {
    let release: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const sizes: number[] = [];
    await using slow = await startBackend("echo.v1.EchoService", (router) =>
      echoRoutes([])({
        ...router,
        service: (service, methods) =>
          router.service(service, {
            ...methods,
            async upload(pieces: AsyncIterable<{ file?: { data: Uint8Array } }>) {
              await held;
              for await (const { file } of pieces) sizes.push(file?.data.length ?? 0);
              return { int64: BigInt(sizes.reduce((sum, size) => sum + size, 0)) };
            },
          } as never),
      }),
    );
    await using over = await startTestGateway({ transport: () => slow.transport });
    const total = 64 * 2 ** 20;
    const socket = connect(over.port, "127.0.0.1");
    socket.write(`POST /v1/uploads/big HTTP/1.1\r\nhost: a\r\ncontent-length: ${total}\r\n\r\n`);
    let sent = 0;
    const piece = Buffer.alloc(2 ** 16, 1);
    const pump = () => {
      while (sent < total) {
        sent += piece.length;
        if (!socket.write(piece)) return;
      }
    };
    socket.on("drain", pump);
    pump();
    const still = await standstill(() => sent);
    assert.ok(still < 24 * 2 ** 20, `${still} bytes were read of a client whose backend reads none`);
    release();
    assert.match(await firstBytes(socket), new RegExp(`"int64":"${total}"`));
    socket.destroy();
  });
});

function open(gateway: TestGateway, target: string, headers: Readonly<Record<string, string>>): Socket {
  const socket = connect(gateway.port, "127.0.0.1");
  const lines = Object.entries({ host: "a", "transfer-encoding": "chunked", ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  socket.write(`${target} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
  return socket;
}

function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

function firstBytes(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => socket.once("data", (data) => resolve(data.toString())).once("error", reject));
}

/** The value at which a count stands still. */
async function standstill(count: () => number): Promise<number> {
  let last = -1;
  for (let same = 0; same < 10; same = last === count() ? same + 1 : 0) {
    last = count();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return last;
}
