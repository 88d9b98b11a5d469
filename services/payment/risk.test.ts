import assert from "node:assert/strict";
import fc from "fast-check";
import { type RiskFacts, type RiskLimits, riskOf } from "./risk.ts";

const limits: RiskLimits = { maxAmount: 1000, maxPayments: 5, maxDailyAmount: 3000, maxDeclines: 3 };
const good: RiskFacts = { amount: 1000, paymentsIn10Minutes: 4, amountIn24Hours: 2000, declinesIn1Hour: 2 };

describe("risk", () => {
  for (const [what, change, reason] of [
    ["every limit just kept", {}, undefined],
    ["amount 1001 of 1000", { amount: 1001 }, "RISK_AMOUNT"],
    ["3 declines of 3", { declinesIn1Hour: 3 }, "RISK_DECLINES"],
    ["a 6th payment of 5", { paymentsIn10Minutes: 5 }, "RISK_VELOCITY"],
    ["3001 in a day of 3000", { amountIn24Hours: 2001 }, "RISK_DAILY_AMOUNT"],
  ] as const) {
    it(`${what}: ${reason ?? "passes"}`, () => {
      assert.equal(riskOf({ ...good, ...change }, limits)?.reason, reason);
    });
  }

  it("0 is no limit, for any facts", () => {
    const count = fc.nat();
    const facts = fc.record({ amount: count, paymentsIn10Minutes: count, amountIn24Hours: count, declinesIn1Hour: count });
    const none = { maxAmount: 0, maxPayments: 0, maxDailyAmount: 0, maxDeclines: 0 };
    fc.assert(fc.property(facts, (some) => assert.equal(riskOf(some, none), undefined)));
  });
});
