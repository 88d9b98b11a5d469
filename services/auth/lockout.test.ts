import assert from "node:assert/strict";
import { type Attempts, judge, type LockoutPolicy, lockMsAfter } from "./lockout.ts";

const policy: LockoutPolicy = { threshold: 3, baseMs: 1000, maxMs: 10_000, forgetMs: 60_000 };

describe("lock-out", () => {
  it("failures 1 to 8 lock for 0, 0, 1, 2, 4, 8, 10 and 10 s; the 1,000th for 10 s", () => {
    const locks = [1, 2, 3, 4, 5, 6, 7, 8, 1000].map((failures) => lockMsAfter(failures, policy));
    assert.deepEqual(locks, [0, 0, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
  });

  it("the first attempt is let through and counted", () => {
    assert.deepEqual(judge(5, undefined, policy), { allowed: true, next: { failures: 1, lastTime: 5, lockedUntil: undefined } });
  });

  it("the third failure locks until 1 s later, and says how long is left", () => {
    const two: Attempts = { failures: 2, lastTime: 0, lockedUntil: undefined };
    const verdict = judge(100, two, policy);
    assert.deepEqual(verdict, { allowed: true, next: { failures: 3, lastTime: 100, lockedUntil: 1100 } });
    const locked: Attempts = { failures: 3, lastTime: 100, lockedUntil: 1100 };
    assert.deepEqual(judge(600, locked, policy), { allowed: false, retryAfterMs: 500 });
    assert.deepEqual(judge(1100, locked, policy), { allowed: true, next: { failures: 4, lastTime: 1100, lockedUntil: 3100 } });
  });

  it("60 s without a failure start anew", () => {
    const many: Attempts = { failures: 9, lastTime: 0, lockedUntil: 10_000 };
    assert.deepEqual(judge(60_000, many, policy), {
      allowed: true,
      next: { failures: 1, lastTime: 60_000, lockedUntil: undefined },
    });
  });
});
