import assert from "node:assert/strict";
import { startTestGateway, type TestGateway } from "./fixtures/harness.ts";
import { entityTag, partOf } from "./range.ts";

describe("gateway/range", () => {
  const cases: [range: string | undefined, ifRange: string | undefined, etag: string | undefined, expected: string][] = [
    [undefined, undefined, undefined, "whole"],
    ["bytes=0-3", undefined, undefined, "0-3"],
    ["bytes=3-", undefined, undefined, "3-9"],
    ["bytes=-3", undefined, undefined, "7-9"],
    ["bytes=-30", undefined, undefined, "0-9"],
    ["bytes=0-99", undefined, undefined, "0-9"],
    ["BYTES = 9-9", undefined, undefined, "9-9"],
    ["bytes=10-", undefined, undefined, "unsatisfiable"],
    ["bytes=-0", undefined, undefined, "unsatisfiable"],
    ["bytes=3-2", undefined, undefined, "whole"],
    ["bytes=-", undefined, undefined, "whole"],
    ["bytes=0-1,3-4", undefined, undefined, "whole"],
    ["bytes=1e1-", undefined, undefined, "whole"],
    ["items=0-1", undefined, undefined, "whole"],
    ["bytes=0-1", '"v1"', '"v1"', "0-1"],
    ["bytes=0-1", '"v2"', '"v1"', "whole"],
    ["bytes=0-1", 'W/"v1"', 'W/"v1"', "whole"],
    ["bytes=0-1", '"v1"', undefined, "whole"],
    ["bytes=0-1", "Wed, 21 Oct 2015 07:28:00 GMT", '"v1"', "whole"],
  ];
  for (const [range, ifRange, etag, expected] of cases) {
    it(`takes of 10 bytes, ETag ${etag}, by Range: ${range} and If-Range: ${ifRange} ${expected}`, () => {
      const part = partOf({ range, ifRange }, 10, etag);
      assert.equal(part.kind === "part" ? `${part.start}-${part.end}` : part.kind, expected);
    });
  }

  it("has no part of an empty body", () => {
    assert.deepEqual(partOf({ range: "bytes=0-", ifRange: undefined }, 0, undefined), { kind: "unsatisfiable" });
    assert.deepEqual(partOf({ range: "bytes=-5", ifRange: undefined }, 0, undefined), { kind: "unsatisfiable" });
  });

  it("takes only what is an entity tag for one", () => {
    const texts = ['"a"', 'W/"a"', '""', "a", '"a', '"a"b"', '"a\r\n"', "", null];
    assert.deepEqual(texts.map(entityTag), ['"a"', 'W/"a"', '""', ...Array(6).fill(undefined)]);
  });
});

describe("gateway: ranges of an HttpBody", () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway();
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
  });

  const cases: [
    target: string,
    headers: Record<string, string>,
    status: number,
    contentRange: string | undefined,
    text: string,
  ][] = [
    ["GET /v1/downloads/plain", {}, 200, undefined, "0123456789"],
    ["GET /v1/downloads/plain", { range: "bytes=2-4" }, 206, "bytes 2-4/10", "234"],
    ["GET /v1/downloads/plain", { range: "bytes=-2" }, 206, "bytes 8-9/10", "89"],
    ["GET /v1/downloads/plain", { range: "bytes=2-4,6-7" }, 200, undefined, "0123456789"],
    ["HEAD /v1/downloads/plain", { range: "bytes=2-4" }, 200, undefined, ""],
    ["GET /v1/downloads/tagged", { range: "bytes=2-4", "if-range": '"v1"' }, 206, "bytes 2-4/10", "234"],
    ["GET /v1/downloads/tagged", { range: "bytes=2-4", "if-range": '"v0"' }, 200, undefined, "0123456789"],
  ];
  for (const [target, headers, status, contentRange, text] of cases) {
    it(`answers ${target} ${JSON.stringify(headers)} with ${status} ${contentRange ?? ""}`, async () => {
      const reply = await gateway.send(target, { headers });
      assert.deepEqual([reply.status, reply.headers["content-range"], reply.text], [status, contentRange, text]);
      assert.deepEqual([reply.headers["accept-ranges"], reply.headers["content-type"]], ["bytes", "text/plain"]);
      assert.equal(reply.headers.etag, target.endsWith("tagged") ? '"v1"' : undefined);
    });
  }

  it("answers a range that there is not with 416 and the length", async () => {
    const reply = await gateway.send("GET /v1/downloads/plain", { headers: { range: "bytes=10-" } });
    assert.deepEqual([reply.status, reply.headers["content-range"]], [416, "bytes */10"]);
    assert.deepEqual(reply.json, { code: 11, message: 'header range: expected bytes of the 10 that there are, got "bytes=10-"' });
  });

  it("does not apply Range to POST, nor to JSON", async () => {
    const headers = { range: "bytes=0-1", "content-type": "text/plain" };
    assert.deepEqual((await gateway.send("POST /v1/files/x", { headers, body: "abc" })).text, "abc");
    assert.equal((await gateway.send("GET /v1/echo?int32=1", { headers: { range: "bytes=0-1" } })).text, '{"int32":1}');
  });

  it("sends bytes as they are, whatever encodings the client takes", async () => {
    const headers = { "content-type": "text/plain", "accept-encoding": "gzip, br" };
    const reply = await gateway.send("POST /v1/files/x", { headers, body: "a".repeat(5000) });
    assert.deepEqual([reply.headers["content-encoding"], reply.text.length], [undefined, 5000]);
  });
});
