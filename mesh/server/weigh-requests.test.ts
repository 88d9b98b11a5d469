import assert from "node:assert/strict";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { envelope, rawCall } from "./raw-call.fixture.ts";
import { type Harness, startEcho, until } from "./server.fixture.ts";

const path = "/test.v1.EchoService/Unary";
const MiB = 2 ** 20;
const repeated = (hex: string, bytes: number) => Buffer.alloc(bytes, Buffer.from(hex, "hex"));

/** A service that takes 4 MiB messages, the most that a bomb has ever had. */
const start = (maxMessageBytes = 4 * MiB) => startEcho({ unary: ({ text }) => ({ text }) }, { maxMessageBytes });

async function overConnect(echo: Harness, type: string, body: Uint8Array | string, headers: Record<string, string> = {}) {
  const bytes = typeof body === "string" ? Buffer.from(body) : Buffer.from(body);
  const response = await fetch(`${echo.url}${path}`, {
    method: "POST",
    body: bytes,
    headers: { ...headers, "content-type": type },
  });
  const answer = (await response.json()) as { code?: string; message?: string; text?: string };
  return { status: response.status, ...answer };
}

/** How much the process's memory grew over `work`, at its highest. */
async function growth(work: () => Promise<unknown>): Promise<number> {
  const before = process.memoryUsage.rss();
  let highest = before;
  // A bomb holds up the event loop, so the look after it is the one that counts.
  const watch = setInterval(() => (highest = Math.max(highest, process.memoryUsage.rss())), 1);
  await work();
  clearInterval(watch);
  return Math.max(highest, process.memoryUsage.rss()) - before;
}

describe("weighRequests", () => {
  const bombs = [
    ["unknown fields: 78 00", "7800", undefined],
    ["unknown groups: 7b 7c", "7b7c", undefined],
    ["empty texts of a list: 12 00", "1200", Code.ResourceExhausted],
  ] as const;
  for (const [name, hex, code] of bombs) {
    it(`4 MiB of ${name} take less than 64 MiB, and the next call works`, async () => {
      await using echo = await start();
      const body = envelope(repeated(hex, 4 * MiB));
      const grown = await growth(async () => {
        const { trailers } = await rawCall({ url: echo.url, path, body });
        assert.equal(trailers["grpc-status"], String(code ?? 0));
      });
      assert.ok(grown < 64 * MiB, `${Math.round(grown / MiB)} MiB`);
      assert.equal((await echo.client().unary({ text: "still here" })).text, "still here");
    });
  }

  it('Connect JSON {"items":[{},{},... of 4 MiB is RESOURCE_EXHAUSTED and takes less than 64 MiB', async () => {
    await using echo = await start();
    const body = `{"items":[${"{},".repeat(1.3 * MiB)}{}]}`;
    const grown = await growth(async () => {
      assert.equal((await overConnect(echo, "application/json", body)).code, "resource_exhausted");
    });
    assert.ok(grown < 64 * MiB, `${Math.round(grown / MiB)} MiB`);
    assert.deepEqual(await overConnect(echo, "application/json", '{"text":"here"}'), { status: 200, text: "here" });
  });

  for (const [name, compress] of [
    ["gzip", gzipSync],
    ["br", brotliCompressSync],
  ] as const) {
    it(`a bomb in ${name} is RESOURCE_EXHAUSTED over gRPC and Connect; a good message in it is taken`, async () => {
      await using echo = await start();
      const compressed = (bytes: Uint8Array) => {
        const body = envelope(compress(bytes));
        body[0] = 1;
        return body;
      };
      const call = (bytes: Uint8Array) =>
        rawCall({ url: echo.url, path, body: compressed(bytes), headers: { "grpc-encoding": name } });
      assert.equal((await call(repeated("1200", 2 * MiB))).trailers["grpc-status"], String(Code.ResourceExhausted));
      assert.equal((await call(Buffer.from("0a0141", "hex"))).trailers["grpc-status"], "0");
      const connect = (bytes: Uint8Array) =>
        overConnect(echo, "application/proto", compress(bytes), { "content-encoding": name });
      assert.equal((await connect(repeated("1200", 2 * MiB))).code, "resource_exhausted");
    });
  }

  it("the second message of a stream is weighed as the first is, however its bytes arrive", async () => {
    const seen: string[] = [];
    await using echo = await startEcho(
      {
        async client(requests) {
          for await (const { text } of requests) seen.push(text);
          return {};
        },
      },
      { maxMessageBytes: 4 * MiB },
    );
    const bytes = Buffer.concat([envelope(Buffer.from("0a0141", "hex")), envelope(repeated("1200", 2 * MiB))]);
    const { trailers } = await rawCall({ url: echo.url, path: "/test.v1.EchoService/Client", body: bytes });
    assert.deepEqual([trailers["grpc-status"], seen], [String(Code.ResourceExhausted), ["A"]]);
  });

  it("200,000 numbers-as-text within the default of 1 MiB: the answer names no more mistakes than a person reads", async () => {
    await using echo = await startEcho({ unary: ({ text }) => ({ text }) });
    const grown = await growth(async () => {
      const { trailers } = await rawCall({ url: echo.url, path, body: envelope(repeated("1206616161616161", MiB)) });
      assert.equal(trailers["grpc-status"], String(Code.InvalidArgument));
      assert.ok(String(trailers["grpc-message"]).length < 20_000);
    });
    assert.ok(grown < 64 * MiB, `${Math.round(grown / MiB)} MiB`);
  });

  describe("what is no message, over Connect", () => {
    const cases = [
      ["a length beyond the end", Buffer.from("0a7f41", "hex"), {}],
      ["a text that is not UTF-8", Buffer.from("0a01ff", "hex"), {}],
      ["a tag that is none", Buffer.from("ffffffffffffffffffff", "hex"), {}],
      ["plain bytes as gzip", Buffer.from("0a0141", "hex"), { "content-encoding": "gzip" }],
      ["half of a gzip stream", gzipSync(Buffer.from("0a0141", "hex")).subarray(0, 15), { "content-encoding": "gzip" }],
    ] as const;
    for (const [name, body, headers] of cases) {
      it(`${name} is HTTP 400, invalid_argument, and no error in the log`, async () => {
        await using echo = await start();
        const { status, code } = await overConnect(echo, "application/proto", body, headers);
        assert.deepEqual([status, code], [400, "invalid_argument"]);
        await until(() => echo.lines.some(({ msg }) => msg === "call"));
        assert.deepEqual(
          echo.lines.filter(({ level }) => level === "error"),
          [],
        );
      });
    }

    it("an unknown content-encoding is HTTP 501, unimplemented, as the Connect protocol has it", async () => {
      await using echo = await start();
      const { status, code } = await overConnect(echo, "application/proto", "", { "content-encoding": "zstd" });
      assert.deepEqual([status, code], [501, "unimplemented"]);
    });
  });
});
