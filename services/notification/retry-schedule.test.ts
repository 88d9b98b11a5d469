import assert from "node:assert/strict";
import type { Delivery } from "./channel.ts";
import { outcomeOf, type RetryPolicy, refusalOf } from "./retry-schedule.ts";

const policy: RetryPolicy = { maxAttempts: 8, initialMs: 1000, factor: 4, maxMs: 3_600_000 };
const now = 1_000_000;
const never = Number.MAX_SAFE_INTEGER;
const later: Delivery = { ok: false, permanent: false, detail: "HTTP 503" };
const at = (attempt: number, random = 0.5) => ({ attempt, expireTime: never, now, random });

describe("retry schedule", () => {
  for (const [attempt, waitMs] of [
    [1, 1000],
    [2, 4000],
    [3, 16_000],
    [4, 64_000],
    [5, 256_000],
    [6, 1_024_000],
    [7, 3_600_000],
  ] as const) {
    it(`waits ${waitMs} ms after attempt ${attempt}`, () => {
      assert.deepEqual(outcomeOf(later, at(attempt), policy), { status: "pending", nextAttemptTime: now + waitMs });
    });
  }

  it("spreads the wait of 1000 ms from 800 to 1200", () => {
    assert.deepEqual(outcomeOf(later, at(1, 0), policy), { status: "pending", nextAttemptTime: now + 800 });
    assert.deepEqual(outcomeOf(later, at(1, 1), policy), { status: "pending", nextAttemptTime: now + 1200 });
  });

  it("gives up after attempt 8 of 8, with the last reason", () => {
    assert.deepEqual(outcomeOf(later, at(8), policy), { status: "failed", reason: "gave up after 8 attempts: HTTP 503" });
  });

  it("gives up at once on a permanent failure", () => {
    const outcome = outcomeOf({ ok: false, permanent: true, detail: "550 no such user" }, at(1), policy);
    assert.deepEqual(outcome, { status: "failed", reason: "550 no such user" });
  });

  it("waits the 120 s of Retry-After where the backoff is 1 s", () => {
    const outcome = outcomeOf({ ...later, retryAfterMs: 120_000 }, at(1), policy);
    assert.deepEqual(outcome, { status: "pending", nextAttemptTime: now + 120_000 });
  });

  it("waits the backoff of 16 s where Retry-After is 1 s", () => {
    const outcome = outcomeOf({ ...later, retryAfterMs: 1000 }, at(3), policy);
    assert.deepEqual(outcome, { status: "pending", nextAttemptTime: now + 16_000 });
  });

  it("gives up when the next attempt would come at expire_time", () => {
    const outcome = outcomeOf(later, { ...at(1), expireTime: now + 1000 }, policy);
    const reason = "gave up after 1 attempt, since the next would come after expire_time: HTTP 503";
    assert.deepEqual(outcome, { status: "failed", reason });
  });

  it("is sent when the provider took it, whatever the number of the attempt", () => {
    assert.deepEqual(outcomeOf({ ok: true, detail: "250 OK" }, at(9), policy), { status: "sent" });
  });

  it("refuses what expired at 1970-01-01T00:16:40.000Z", () => {
    const reason = "expired at 1970-01-01T00:16:40.000Z before it could be sent";
    assert.equal(refusalOf({ attempt: 1, expireTime: now }, now, policy), reason);
    assert.equal(refusalOf({ attempt: 1, expireTime: now + 1 }, now, policy), undefined);
  });

  it("refuses attempt 9 when senders died in the 8 before", () => {
    assert.equal(refusalOf({ attempt: 9, expireTime: never }, now, policy), "gave up after 8 attempts");
    assert.equal(refusalOf({ attempt: 8, expireTime: never }, now, policy), undefined);
  });
});
