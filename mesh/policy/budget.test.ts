import assert from "node:assert/strict";
import fc from "fast-check";
import { RetryBudget, RetryThrottle } from "./budget.ts";
import { classify } from "./classify.ts";

describe("RetryThrottle (gRFC A6)", () => {
  it("allows retries above half of maxTokens: 10 tokens bear 4 failures, not 5", () => {
    const throttle = new RetryThrottle({ maxTokens: 10, tokenRatio: 0.1 });
    const allowed = [throttle.allows()];
    for (let failures = 0; failures < 5; failures++) {
      throttle.failure();
      allowed.push(throttle.allows());
    }
    assert.deepEqual(allowed, [true, true, true, true, true, false]);
  });

  it("comes back above half with tokenRatio per success", () => {
    const throttle = new RetryThrottle({ maxTokens: 4, tokenRatio: 0.5 });
    throttle.failure();
    throttle.failure();
    assert.equal(throttle.allows(), false);
    throttle.success();
    assert.equal(throttle.tokens, 2.5);
    assert.equal(throttle.allows(), true);
  });

  it("never falls below 0 nor rises above maxTokens, whatever happens", () => {
    const settings = fc.record({
      maxTokens: fc.integer({ min: 1, max: 1000 }),
      tokenRatio: fc.double({ min: 0.001, max: 2000 }),
    });
    fc.assert(
      fc.property(settings, fc.array(fc.boolean()), (throttling, events) => {
        const throttle = new RetryThrottle(throttling);
        let model = throttling.maxTokens;
        for (const success of events) {
          if (success) throttle.success();
          else throttle.failure();
          model = success ? Math.min(model + throttling.tokenRatio, throttling.maxTokens) : Math.max(model - 1, 0);
          assert.equal(throttle.tokens, model);
          assert.equal(throttle.allows(), model > throttling.maxTokens / 2);
        }
      }),
    );
  });

  it("keeps its share when maxTokens goes from 10 to 100", () => {
    const throttle = new RetryThrottle({ maxTokens: 10, tokenRatio: 1 });
    for (let failures = 0; failures < 4; failures++) throttle.failure();
    throttle.reconfigure({ maxTokens: 100, tokenRatio: 1 });
    assert.equal(throttle.tokens, 60);
    throttle.reconfigure(undefined);
    assert.deepEqual([throttle.allows(), throttle.tokens], [true, Number.POSITIVE_INFINITY]);
    throttle.reconfigure({ maxTokens: 8, tokenRatio: 1 });
    assert.equal(throttle.tokens, 8);
  });

  it("allows everything without settings", () => {
    const throttle = new RetryThrottle(undefined);
    throttle.failure();
    throttle.success();
    assert.equal(throttle.allows(), true);
  });

  const counts: readonly (readonly [string, Parameters<typeof classify>[0], boolean, boolean, number])[] = [
    ["OK", { by: "wire", code: 0 }, false, false, 5.5],
    ["UNAVAILABLE", { by: "wire", code: 14 }, false, false, 4],
    ["INTERNAL, listed", { by: "wire", code: 13 }, true, false, 4],
    ["INTERNAL, not listed", { by: "wire", code: 13 }, false, false, 5],
    ["NOT_FOUND with a no-retry pushback", { by: "wire", code: 5 }, false, true, 4],
    ["a connect failure", { by: "connect", code: 14 }, true, false, 5],
    ["REFUSED_STREAM", { by: "refused", code: 14 }, true, false, 5],
    ["the caller's short deadline", { by: "deadline", code: 4, parentShort: true }, true, false, 5],
    ["shed load", { by: "wire", code: 8, shed: true }, false, false, 4],
  ];
  for (const [what, end, listed, stopped, tokens] of counts) {
    it(`has ${tokens} of 5 tokens after ${what}`, () => {
      const throttle = new RetryThrottle({ maxTokens: 10, tokenRatio: 0.5 });
      for (let failures = 0; failures < 5; failures++) throttle.failure();
      throttle.count(classify(end), listed, stopped);
      assert.equal(throttle.tokens, tokens);
    });
  }
});

describe("RetryBudget", () => {
  it("has 100 retries for a client without calls: 10/s over 10 s", () => {
    const budget = new RetryBudget();
    let taken = 0;
    while (budget.take(0)) taken++;
    assert.equal(taken, 100);
    assert.equal(budget.allows(0), false);
  });

  it("adds 20 % of the calls of the last 10 s", () => {
    const budget = new RetryBudget({ ratio: 0.2, perSecond: 0, windowMs: 10_000 });
    for (let calls = 0; calls < 4; calls++) budget.call(0);
    assert.equal(budget.allows(0), false);
    budget.call(0);
    assert.equal(budget.take(0), true);
    assert.equal(budget.take(0), false);
  });

  it("has 29 retries for 100 calls at a ratio of 0.29, though 0.29 * 100 is 28.999999999999996", () => {
    const budget = new RetryBudget({ ratio: 0.29, perSecond: 0, windowMs: 10_000 });
    for (let calls = 0; calls < 100; calls++) budget.call(0);
    let taken = 0;
    while (budget.take(0)) taken++;
    assert.equal(taken, 29);
  });

  it("forgets calls and retries after 10 s", () => {
    const budget = new RetryBudget({ ratio: 0.2, perSecond: 0.1, windowMs: 10_000 });
    for (let calls = 0; calls < 5; calls++) budget.call(500);
    assert.deepEqual([budget.take(500), budget.take(500), budget.take(500)], [true, true, false]);
    assert.equal(budget.left(9_999), 0);
    assert.equal(budget.left(10_000), 1);
  });

  it("lets at most 1.2 times the calls through when all of 1000 calls/s fail and want 4 retries each", () => {
    const budget = new RetryBudget({ ratio: 0.2, perSecond: 0, windowMs: 10_000 });
    let calls = 0;
    let retries = 0;
    for (let now = 0; now < 60_000; now++) {
      calls++;
      budget.call(now);
      for (let wanted = 0; wanted < 4; wanted++) retries += budget.take(now) ? 1 : 0;
    }
    // Slots forget calls and retries together, so the ratio holds over any stretch.
    assert.deepEqual([calls, retries], [60_000, 12_000]);
  });
});
