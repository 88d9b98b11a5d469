import assert from "node:assert/strict";
import { connect } from "node:net";
import { WebSocket } from "ws";
import { startTestGateway, type TestGateway, until } from "./fixtures/harness.ts";

describe("gateway/listener", () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway();
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
  });

  it("answers 431, 400 and 417 to heads that are none", async () => {
    const heads: [head: string, expected: RegExp][] = [
      [
        "POST /v1/echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\n{",
        /^HTTP\/1\.1 (408|400)/,
      ],
      ["GET / HTTP/1.1\r\n\r\n", /^HTTP\/1\.1 400 .*"header host: expected one, as HTTP\/1.1 demands, got 0"/s],
      [
        "GET / HTTP/1.1\r\nhost: a\r\nHost: b\r\n\r\n",
        /^HTTP\/1\.1 400 .*"header host: expected one, as HTTP\/1.1 demands, got 2"/s,
      ],
      ["GET / HTTP/1.1\r\nhost: a\r\nexpect: x\r\n\r\n", /^HTTP\/1\.1 417 .*"code":3/s],
      [`GET / HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(20_000)}\r\n\r\n`, /^HTTP\/1\.1 431 .*"code":3/s],
      [`GET /${"y".repeat(20_000)} HTTP/1.1\r\nhost: a\r\n\r\n`, /^HTTP\/1\.1 431 .*"code":3/s],
      [
        "GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n",
        /^HTTP\/1\.1 400 .*"message":"expected an HTTP\/1.1 request: Invalid header token"/s,
      ],
      ["\x00\x01\x02\r\n\r\n", /^HTTP\/1\.1 400 .*"code":3/s],
    ];
    for (const [head, expected] of heads) assert.match(await gateway.raw(head), expected);
  });
});

describe("gateway/listener: Expect: 100-continue", () => {
  const expecting = (length: number, type = "application/json") =>
    `POST /v1/echo HTTP/1.1\r\nhost: a\r\ncontent-type: ${type}\r\nexpect: 100-continue\r\ncontent-length: ${length}\r\n\r\n`;

  it("invites a body that will be read, and keeps the connection", async () => {
    await using gateway = await startTestGateway();
    const socket = connect(gateway.port, "127.0.0.1");
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.write(expecting(2));
    await until(() => text === "HTTP/1.1 100 Continue\r\n\r\n");
    socket.write("{}");
    await until(() => text.endsWith("{}"));
    assert.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n(?!.*connection: close)/is);
    socket.destroy();
  });

  const refused: [name: string, head: string, expected: RegExp][] = [
    ["a body that is too long", expecting(1001), /^HTTP\/1\.1 413 /],
    ["a type that nobody reads", expecting(2, "text/csv"), /^HTTP\/1\.1 415 /],
    ["a path that nobody has", expecting(2).replace("/v1/echo", "/nowhere"), /^HTTP\/1\.1 404 /],
  ];
  for (const [name, head, expected] of refused) {
    it(`does not invite ${name}, and ends the connection`, async () => {
      await using gateway = await startTestGateway({ maxBodyBytes: 1000 });
      const text = await gateway.raw(head, "hold");
      assert.match(text, expected);
      assert.match(text, /\r\nconnection: close\r\n/i);
    });
  }
});

describe("gateway/listener: upgrades", () => {
  it("does not take an offer of h2c, and answers the request", async () => {
    await using gateway = await startTestGateway();
    const headers = { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABkAAQAAP__" };
    assert.equal((await gateway.send("GET /v1/echo?int32=1", { headers })).text, '{"int32":1}');
  });

  it("ends in time with a WebSocket that does not", async () => {
    const gateway = await startTestGateway();
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/v1/count/1000000?bool=true`);
    await new Promise((resolve) => socket.once("message", resolve));
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await gateway.drain(50);
    assert.equal(await closed, 1006);
  });
});

describe("gateway/listener: draining", () => {
  it("finishes what is in flight and takes nothing new", async () => {
    const gateway = await startTestGateway();
    const slow = gateway.send("GET /v1/count/5?bool=true");
    await until(() => gateway.received.length === 1);
    const drained = gateway.drain(5000);
    const reply = await slow;
    assert.equal(reply.text.trim().split("\n").length, 5);
    await drained;
    await assert.rejects(gateway.send("GET /v1/echo"));
  });

  it("ends in time with a stream that does not", async () => {
    const gateway = await startTestGateway();
    const endless = gateway.send("GET /v1/count/1000000?bool=true").catch(() => "broken");
    await until(() => gateway.received.length === 1);
    await gateway.drain(50);
    assert.equal(await endless, "broken");
  });
});
