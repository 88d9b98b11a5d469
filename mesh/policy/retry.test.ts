import assert from "node:assert/strict";
import fc from "fast-check";
import { type AttemptEnd, classify } from "./classify.ts";
import {
  backoffMs,
  decideRetry,
  firstAttempt,
  idempotentRetryPolicy,
  parsePushback,
  type RetryDecision,
  type RetryPolicy,
  type RetryQuestion,
  retryPolicyOf,
} from "./retry.ts";

const policy: RetryPolicy = {
  maxAttempts: 4,
  initialBackoffMs: 50,
  maxBackoffMs: 150,
  backoffMultiplier: 2,
  retryableCodes: new Set([14]),
  perAttemptTimeoutMs: undefined,
};

/** A question after a first attempt that came back UNAVAILABLE; 0.5 makes the jitter 1. */
function ask(end: Partial<AttemptEnd>, changes: Partial<RetryQuestion> = {}): RetryDecision {
  const code = end.code ?? 14;
  return decideRetry({
    policy,
    state: firstAttempt,
    outcome: classify({ by: "wire", ...end, code }),
    code,
    pushback: { kind: "none" },
    committed: false,
    throttleAllows: true,
    budgetAllows: true,
    remainingMs: Number.POSITIVE_INFINITY,
    random: 0.5,
    ...changes,
  });
}

const retried = { retry: true, delayMs: 50, counts: true, otherEndpoint: false };

describe("decideRetry: by policy (gRFC A6)", () => {
  it("retries UNAVAILABLE after 50 ms when it is listed", () => {
    assert.deepEqual(ask({}), { ...retried, state: { attempts: 2, backoffs: 1, freeUsed: false } });
  });

  it("doubles the delay up to the maximum, then stops after attempt 4 of 4", () => {
    const delays: unknown[] = [];
    let state = firstAttempt;
    for (let decision = ask({}); decision.retry; decision = ask({}, { state })) {
      delays.push(decision.delayMs);
      state = decision.state;
    }
    assert.deepEqual(delays, [50, 100, 150]);
    assert.deepEqual(ask({}, { state }), { retry: false, reason: "attempts-exhausted" });
  });

  const stops: readonly (readonly [string, Partial<AttemptEnd>, Partial<RetryQuestion>])[] = [
    ["not-retryable", { code: 13 }, {}],
    ["not-retryable", { code: 4 }, {}],
    ["not-retryable", { by: "deadline", code: 4 }, {}],
    ["not-retryable", { by: "cancelled", code: 1 }, {}],
    ["not-retryable", { by: "local" }, {}],
    ["not-retryable", { by: "abandoned" }, {}],
    ["not-retryable", { code: 0 }, {}],
    ["no-policy", {}, { policy: undefined }],
    ["committed", {}, { committed: true }],
    ["pushback", {}, { pushback: { kind: "stop" } }],
    ["throttled", {}, { throttleAllows: false }],
    ["budget", {}, { budgetAllows: false }],
    ["deadline", {}, { remainingMs: 50 }],
    ["deadline", {}, { pushback: { kind: "delay", ms: 200 }, remainingMs: 199 }],
    ["deadline", { by: "unsent" }, { remainingMs: 0 }],
  ];
  for (const [reason, end, changes] of stops) {
    it(`stops with ${reason} for ${JSON.stringify(end)} and ${JSON.stringify(changes)}`, () => {
      assert.deepEqual(ask(end, changes), { retry: false, reason });
    });
  }

  it("retries with 51 ms left when the delay is 50 ms", () => {
    assert.equal(ask({}, { remainingMs: 51 }).retry, true);
  });

  it("retries ABORTED when the policy lists it", () => {
    assert.equal(ask({ code: 10 }, { policy: { ...policy, retryableCodes: new Set([10]) } }).retry, true);
  });

  it("waits exactly the pushback and starts the backoff anew", () => {
    const decision = ask({}, { state: { attempts: 2, backoffs: 1, freeUsed: false }, pushback: { kind: "delay", ms: 30 } });
    assert.deepEqual(decision, { ...retried, delayMs: 30, state: { attempts: 3, backoffs: 0, freeUsed: false } });
  });

  it("retries an attempt that timed out though DEADLINE_EXCEEDED is not listed, elsewhere", () => {
    const decision = ask({ by: "attempt-timeout", code: 4 });
    assert.deepEqual(decision, { ...retried, otherEndpoint: true, state: { attempts: 2, backoffs: 1, freeUsed: false } });
  });
});

describe("decideRetry: shed load", () => {
  it("goes to another endpoint when a pushback tells it to", () => {
    const decision = ask({ code: 8, shed: true }, { pushback: { kind: "delay", ms: 0 } });
    assert.deepEqual(decision, {
      ...retried,
      delayMs: 0,
      otherEndpoint: true,
      state: { attempts: 2, backoffs: 0, freeUsed: false },
    });
  });

  it("stops when it is not told to, and when it is told not to", () => {
    assert.deepEqual(ask({ code: 8, shed: true }), { retry: false, reason: "not-retryable" });
    assert.deepEqual(ask({ code: 8, shed: true }, { pushback: { kind: "stop" } }), { retry: false, reason: "pushback" });
  });
});

describe("decideRetry: transparent retries", () => {
  const free = { retry: true, delayMs: 0, counts: false, otherEndpoint: false };

  it("repeats what never left the client at once, without limit, policy, throttle or budget", () => {
    const state = { attempts: 4, backoffs: 3, freeUsed: true };
    const decision = ask({ by: "unsent" }, { state, policy: undefined, throttleAllows: false, budgetAllows: false });
    assert.deepEqual(decision, { ...free, state });
  });

  it("repeats REFUSED_STREAM once for free, then by policy", () => {
    const first = ask({ by: "refused" }, { throttleAllows: false, budgetAllows: false });
    assert.deepEqual(first, { ...free, state: { attempts: 1, backoffs: 0, freeUsed: true } });
    const second = ask({ by: "refused" }, { state: { attempts: 1, backoffs: 0, freeUsed: true } });
    assert.deepEqual(second, { ...retried, state: { attempts: 2, backoffs: 1, freeUsed: true } });
  });

  it("does not repeat REFUSED_STREAM when the request cannot be replayed", () => {
    assert.deepEqual(ask({ by: "refused" }, { committed: true }), { retry: false, reason: "committed" });
  });

  it("goes to the next endpoint at once after a connect failure, at no cost", () => {
    const decision = ask({ by: "connect" }, { untried: true, policy: undefined });
    assert.deepEqual(decision, { ...free, otherEndpoint: true, state: firstAttempt });
  });

  it("treats a connect failure as UNAVAILABLE when every endpoint was tried", () => {
    assert.deepEqual(ask({ by: "connect" }), { ...retried, state: { attempts: 2, backoffs: 1, freeUsed: false } });
    assert.deepEqual(ask({ by: "connect" }, { policy: undefined }), { retry: false, reason: "no-policy" });
  });

  it("waits for a ready endpoint until the deadline with a growing delay when the method says so", () => {
    const delays: number[] = [];
    let state = firstAttempt;
    for (let round = 0; round < 7; round++) {
      const decision = ask({ by: "connect" }, { state, waitForReady: true, policy: undefined });
      assert(decision.retry && !decision.counts);
      delays.push(decision.delayMs);
      state = decision.state;
    }
    assert.deepEqual(delays, [50, 100, 200, 400, 800, 1000, 1000]);
  });
});

describe("backoffMs", () => {
  it("is min(initial * multiplier^(n-1), max) x uniform(0.8, 1.2) for every policy, n and random number", () => {
    fc.assert(
      fc.property(
        fc.record({
          initialBackoffMs: fc.double({ min: 0.001, max: 1e5, noNaN: true }),
          maxBackoffMs: fc.double({ min: 0.001, max: 1e6, noNaN: true }),
          backoffMultiplier: fc.double({ min: 0.1, max: 10, noNaN: true }),
        }),
        fc.integer({ min: 1, max: 400 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (backoff, n, random) => {
          const base = Math.min(backoff.initialBackoffMs * backoff.backoffMultiplier ** (n - 1), backoff.maxBackoffMs);
          const ms = backoffMs(backoff, n, random);
          assert(ms >= base * 0.8 - 1e-9 && ms <= base * 1.2 + 1e-9, `${ms} against ${base}`);
        },
      ),
    );
  });

  for (const [n, random, ms] of [
    [1, 0, 40],
    [1, 0.75, 55],
    [2, 0.5, 100],
    [3, 0.5, 150],
    [300, 0, 120],
  ] as const) {
    it(`is ${ms} ms for backoff ${n} with random number ${random}`, () => {
      assert.equal(Math.round(backoffMs(policy, n, random) * 1e6) / 1e6, ms);
    });
  }
});

describe("parsePushback", () => {
  const cases: readonly (readonly [string | null | undefined, unknown])[] = [
    [null, { kind: "none" }],
    [undefined, { kind: "none" }],
    ["0", { kind: "delay", ms: 0 }],
    ["1500", { kind: "delay", ms: 1500 }],
    ["-1", { kind: "stop" }],
    ["", { kind: "stop" }],
    ["1.5", { kind: "stop" }],
    ["1s", { kind: "stop" }],
    [" 5", { kind: "stop" }],
    ["99999999999", { kind: "stop" }],
  ];
  for (const [header, expected] of cases) {
    it(`reads ${JSON.stringify(header)} as ${JSON.stringify(expected)}`, () => assert.deepEqual(parsePushback(header), expected));
  }
});

describe("retryPolicyOf", () => {
  it("is the configured policy, else the default for idempotent methods, else none", () => {
    assert.equal(retryPolicyOf(policy, false), policy);
    assert.equal(retryPolicyOf(policy, true), policy);
    assert.equal(retryPolicyOf(undefined, true), idempotentRetryPolicy);
    assert.equal(retryPolicyOf(undefined, false), undefined);
  });
});
