import assert from "node:assert/strict";
import type { RecordedCall } from "./backend.ts";
import { checkAnswer, checkReceived } from "./check.ts";
import type { RawAnswer } from "./raw-http.ts";
import { isBoot, loadChapters } from "./vector.ts";

function answer(status: number, body: string, headers: Record<string, string> = {}, broken = false): RawAnswer {
  return { status, headers: new Map(Object.entries(headers)), body: Buffer.from(body), broken, tookMs: 1, leftAt: undefined };
}

function call(rpc: string, messages: RecordedCall["messages"], metadata: Record<string, string> = {}): RecordedCall {
  return { rpc, messages, metadata, cancelledAt: undefined };
}

describe("gateway/conformance/runner/check: answers", () => {
  it("finds nothing in an answer as expected", () => {
    const expected = { status: 200, headers: { a: "b", c: null, d: { pattern: "^x" }, e: { without: "y" } }, json: { a: 1 } };
    assert.deepEqual(checkAnswer(expected, answer(200, '{"a":1}', { a: "b", d: "xy" })), []);
  });
  it("names another status, header and body", () => {
    assert.deepEqual(checkAnswer({ status: [200, 204], headers: { a: "b" }, json: { a: 1 } }, answer(404, "{}")), [
      "status: expected 200 or 204, got 404 {}",
      'header a: expected "b", got nothing',
      'body: expected {"a":1}, got {}',
    ]);
  });
  it("tells a body that broke off from a whole one", () => {
    assert.deepEqual(checkAnswer({ status: 200 }, answer(200, "", {}, true)), ["body: the connection broke off before its end"]);
    assert.deepEqual(checkAnswer({ status: 200, failsWith: 13 }, answer(200, '{"a":1}\n', {}, true)), []);
    assert.equal(checkAnswer({ status: 200, failsWith: 13 }, answer(200, '{"a":1}\n')).length, 1);
  });
  it("compares the code of a failed stream, and what came before it", () => {
    const lines = '{"a":1}\n{"error":{"code":15}}\n';
    assert.deepEqual(checkAnswer({ status: 200, failsWith: 15, before: [{ a: 1 }] }, answer(200, lines)), []);
    assert.equal(checkAnswer({ status: 200, failsWith: 13, before: [] }, answer(200, lines)).length, 2);
  });
  it("compares the fields of violations as a set", () => {
    const bad = { "@type": "type.googleapis.com/google.rpc.BadRequest", fieldViolations: [{ field: "b" }, { field: "a" }] };
    const body = JSON.stringify({ code: 3, message: "", details: [bad] });
    assert.deepEqual(checkAnswer({ status: 400, error: { code: 3, fields: ["a", "b"] } }, answer(400, body)), []);
    assert.equal(checkAnswer({ status: 400, error: { code: 3, fields: ["a"] } }, answer(400, body)).length, 1);
  });
  it("reads server-sent events", () => {
    const text = ': hello\n\nid: 1\ndata: {"a":1}\n\nevent: error\ndata: {}\n\n';
    const events = [{ id: "1", data: { a: 1 } }, { event: "error" }];
    assert.deepEqual(checkAnswer({ status: 200, events }, answer(200, text)), []);
    assert.equal(checkAnswer({ status: 200, events: [{ id: "2" }, {}] }, answer(200, text)).length, 1);
  });
});

describe("gateway/conformance/runner/check: what the backend got", () => {
  it("finds any call where there must be none", () => {
    assert.deepEqual(checkReceived(null, [], undefined), []);
    assert.deepEqual(checkReceived(null, [call("A/B", [{}])], undefined), ["backend: expected no call, got A/B [{}]"]);
  });
  it("compares rpc, message, metadata and deadline", () => {
    const calls = [call("A/B", [{ a: 1 }], { x: "y", "grpc-timeout": "900m" })];
    const expected = { rpc: "A/B", message: { a: 1 }, metadata: { x: "y", z: null }, deadlineMs: { min: 500, max: 1000 } };
    assert.deepEqual(checkReceived(expected, calls, undefined), []);
    const other = { rpc: "A/C", message: { a: 2 }, metadata: { x: null }, deadlineMs: { min: 1, max: 5 } };
    assert.equal(checkReceived(other, calls, undefined).length, 4);
    assert.deepEqual(checkReceived({}, [], undefined), ["backend: expected a call, got none"]);
  });
});

describe("gateway/conformance/vectors", () => {
  const vectors = loadChapters().flatMap(({ vectors }) => vectors);
  it("are 500 at least", () => assert.ok(vectors.length >= 500, String(vectors.length)));
  it("each say their rule, and where it comes from", () => {
    const unfounded = vectors.filter(({ rule, source }) => rule.length < 10 || !/^[^:]+: \S/.test(source));
    assert.deepEqual(unfounded, []);
  });
  it("each expect something", () => {
    const idle = vectors.filter(
      (vector) => !isBoot(vector) && vector.request.abortAfterMs === undefined && vector.expect.status === 0,
    );
    assert.deepEqual(idle, []);
  });
});
