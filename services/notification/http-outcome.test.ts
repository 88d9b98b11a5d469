import assert from "node:assert/strict";
import { maxDetailLength } from "./channel.ts";
import { deliveryOf, parseRetryAfter } from "./http-outcome.ts";

const now = Date.parse("2026-05-04T10:00:00Z");
const answer = (status: number, retryAfter?: string, body = "") => ({ status, retryAfter, body });

describe("http outcome", () => {
  for (const status of [200, 201, 202, 204, 299]) {
    it(`takes ${status} for taken`, () => {
      assert.deepEqual(deliveryOf(answer(status), now), { ok: true, detail: `HTTP ${status}` });
    });
  }

  for (const status of [408, 425, 429, 500, 501, 502, 503, 504, 599]) {
    it(`takes ${status} for a failure that may heal`, () => {
      assert.deepEqual(deliveryOf(answer(status), now), { ok: false, permanent: false, detail: `HTTP ${status}` });
    });
  }

  for (const status of [300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 410, 413, 422]) {
    it(`takes ${status} for a failure for good`, () => {
      assert.deepEqual(deliveryOf(answer(status, "5"), now), { ok: false, permanent: true, detail: `HTTP ${status}` });
    });
  }

  it("hands on Retry-After: 30 of a 429", () => {
    const delivery = deliveryOf(answer(429, "30", "slow\r\ndown"), now);
    assert.deepEqual(delivery, { ok: false, permanent: false, detail: "HTTP 429: slow down", retryAfterMs: 30_000 });
  });

  it("keeps the detail to one line of 500 characters without U+0000", () => {
    const { detail } = deliveryOf(answer(500, undefined, "\0\n".repeat(9) + "x".repeat(5000)), now);
    assert.ok(detail.length <= maxDetailLength && !/\p{Cc}/u.test(detail));
  });

  for (const [header, ms] of [
    ["0", 0],
    ["120", 120_000],
    [" 7 ", 7000],
    ["Mon, 04 May 2026 10:01:00 GMT", 60_000],
    ["Mon, 04 May 2026 09:00:00 GMT", 0],
    ["-1", undefined],
    ["1.5", undefined],
    ["soon", undefined],
    ["", undefined],
    ["9999999999", undefined],
    ["2026-05-04", undefined],
  ] as const) {
    it(`reads Retry-After ${JSON.stringify(header)} as ${ms}`, () => {
      assert.equal(parseRetryAfter(header, now), ms);
    });
  }
});
