import assert from "node:assert/strict";
import { connect } from "node:net";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { outcome, startTestGateway, type TestGateway, until } from "./fixtures/harness.ts";

describe("gateway/body and gateway/encode", () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway({ maxBodyBytes: 10_000, bodyTimeoutMs: 200 });
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
  });

  const types: [type: string, status: number][] = [
    ["application/json", 200],
    ["Application/JSON; Charset=UTF-8", 200],
    ['application/json;charset="utf-8"', 200],
    ["", 200],
    ["application/json; charset=latin1", 415],
    ["text/plain", 415],
    ["application/x-www-form-urlencoded", 415],
    ["nonsense", 415],
  ];
  for (const [type, status] of types) {
    it(`answers Content-Type: ${type} with ${status}`, async () => {
      assert.equal((await gateway.send("POST /v1/echo", { body: "{}", headers: { "content-type": type } })).status, status);
    });
  }

  const body = '{"string":"hi"}';
  const encodings: [encoding: string, bytes: Uint8Array | string, expected: string][] = [
    ["gzip", gzipSync(body), "200 "],
    ["x-gzip", gzipSync(body), "200 "],
    ["br", brotliCompressSync(body), "200 "],
    ["deflate", deflateSync(body), "200 "],
    ["deflate", deflateRawSync(body), "200 "],
    ["identity", body, "200 "],
    ["gzip, br", brotliCompressSync(gzipSync(body)), "200 "],
    ["gzip", body, "400 body: expected gzip, as content-encoding says, got other bytes"],
    ["gzip", gzipSync(" ".repeat(20_000)), "413 body: expected at most 10000 bytes, got more"],
    ["zip", body, '415 content-encoding: expected gzip, br, deflate, got "zip"'],
  ];
  for (const [encoding, bytes, expected] of encodings) {
    it(`answers Content-Encoding: ${encoding} of ${bytes.length} bytes with ${expected}`, async () => {
      assert.equal(
        outcome(await gateway.send("POST /v1/echo", { body: bytes, headers: { "content-encoding": encoding } })),
        expected,
      );
    });
  }

  it("compresses long answers for those who take it, and says Vary", async () => {
    const string = "x".repeat(5000);
    const reply = await gateway.send("POST /v1/echo", {
      body: JSON.stringify({ string }),
      headers: { "accept-encoding": "gzip" },
    });
    assert.deepEqual([reply.headers["content-encoding"], reply.headers.vary], ["gzip", "Accept-Encoding"]);
    const plain = await gateway.send("POST /v1/echo", { body: JSON.stringify({ string }) });
    assert.deepEqual([plain.headers["content-encoding"], plain.headers.vary], [undefined, "Accept-Encoding"]);
    assert.equal(plain.text, JSON.stringify({ string }));
    const short = await gateway.send("POST /v1/echo", { body: "{}", headers: { "accept-encoding": "gzip" } });
    assert.deepEqual([short.headers["content-encoding"], short.headers.vary], [undefined, undefined]);
  });

  it("answers in the protobuf wire format when that is preferred", async () => {
    const reply = await gateway.send("GET /v1/echo?string=a", { headers: { accept: "application/x-protobuf" } });
    assert.deepEqual([reply.headers["content-type"], reply.text], ["application/x-protobuf", "\n\x01a"]);
  });

  it("carries google.api.HttpBody both ways, bytes and content type as they are", async () => {
    const reply = await gateway.send("POST /v1/files/x", {
      body: "a,b\n",
      headers: { "content-type": "text/csv; header=absent" },
    });
    assert.deepEqual([reply.status, reply.headers["content-type"], reply.text], [200, "text/csv; header=absent", "a,b\n"]);
  });

  it("answers 413 to 20 MB so that the client gets to read it, and serves the connection's next request", async () => {
    const big = "x".repeat(20 * 2 ** 20);
    assert.equal(
      outcome(await gateway.send("POST /v1/echo", { body: big })),
      "413 body: expected at most 10000 bytes, got 20971520 bytes",
    );
    const url = `http://127.0.0.1:${gateway.port}/v1/echo`;
    for (let turn = 0; turn < 2; turn++) {
      const reply = await fetch(url, { method: "POST", body: big, headers: { "content-type": "application/json" } });
      assert.equal(reply.status, 413);
      await reply.text();
      await (await fetch(url)).text();
    }
  });

  it("answers 408 to a body that does not come", async () => {
    const head = "POST /v1/echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\n{";
    assert.match(await gateway.raw(head, "hold"), /^HTTP\/1\.1 408 .*"body: expected all of it within 200 ms"/s);
  });

  it("asks for no Content-Encoding that it knows where there is no body", async () => {
    const headers = { "content-encoding": "zstd" };
    for (const target of ["GET /v1/echo?int32=1", "GET /v1/count/1", "POST /v1/echo"]) {
      assert.equal((await gateway.send(target, { headers })).status, 200, target);
    }
  });
});

describe("gateway/body: bombs", () => {
  it("stops at a hundred times what was sent: 5 KB never become 4 MB", async () => {
    await using gateway = await startTestGateway();
    const expand = async (bytes: number) => {
      const body = gzipSync(`{"string":"${" ".repeat(bytes)}"}`);
      return outcome(await gateway.send("POST /v1/echo", { body, headers: { "content-encoding": "gzip" } }));
    };
    // What is small anyway may expand as far as it likes.
    assert.equal(await expand(60_000), "200 ");
    assert.equal(await expand(3_000_000), "413 body: expected it to expand at most a hundredfold, got more");
    const text = Array.from({ length: 20_000 }, (_, n) => `row ${n * n}`).join(" ");
    const body = gzipSync(JSON.stringify({ string: text }));
    assert.equal((await gateway.send("POST /v1/echo", { body, headers: { "content-encoding": "gzip" } })).status, 200);
  });
});

describe("gateway/body: many bodies that do not end", () => {
  it("holds at most 64 MB of them, refuses the large ones above that, and still takes small ones", async () => {
    await using gateway = await startTestGateway({ bodyTimeoutMs: 20_000 });
    const head = `POST /v1/echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${4 * 2 ** 20}\r\n\r\n`;
    const unfinished = Buffer.concat([Buffer.from(head), Buffer.alloc(4 * 2 ** 20 - 1, " ")]);
    const sockets = Array.from({ length: 24 }, () => {
      const socket = connect(gateway.port, "127.0.0.1");
      const state = { socket, answer: "" };
      socket
        .on("error", () => {})
        .on("data", (chunk: Buffer) => {
          state.answer += chunk.toString("latin1");
        });
      socket.write(unfinished);
      return state;
    });
    const refused = () => sockets.filter(({ answer }) => /^HTTP\/1\.1 503 .*retry-after: 1\r\n/s.test(answer));
    await until(() => refused().length >= 8);
    assert.equal((await gateway.send("POST /v1/echo", { body: '{"string":"hi"}' })).text, '{"string":"hi"}');
    assert.match(refused()[0]?.answer ?? "", /"the gateway holds as many unfinished bodies as it can"/);
    assert.ok(refused().length < 12, `${refused().length} of 24 were refused`);
    for (const { socket } of sockets) socket.destroy();
    // Those that went away have given their share back.
    await until(() => gateway.lines.length === sockets.length + 1);
    assert.equal((await gateway.send("POST /v1/echo", { body: `{"string":"${"x".repeat(1_000_000)}"}` })).status, 200);
  });
});
