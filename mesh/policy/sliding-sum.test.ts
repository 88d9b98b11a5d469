import assert from "node:assert/strict";
import fc from "fast-check";
import { SlidingSum } from "./sliding-sum.ts";

describe("SlidingSum", () => {
  it("holds an amount for at least nine tenths of the window and never longer than the window", () => {
    const sum = new SlidingSum(1000);
    sum.add(3, 99);
    assert.deepEqual([sum.total(99), sum.total(999), sum.total(1000)], [3, 3, 0]);
  });

  it("equals the sum of the amounts in its newest ten slots for every series of times", () => {
    const steps = fc.array(fc.record({ pass: fc.integer({ min: 0, max: 400 }), amount: fc.integer({ min: 0, max: 9 }) }));
    fc.assert(
      fc.property(steps, fc.integer({ min: -5000, max: 5000 }), (series, start) => {
        const sum = new SlidingSum(1000);
        const added: { slot: number; amount: number }[] = [];
        let now = start;
        for (const { pass, amount } of series) {
          now += pass;
          sum.add(amount, now);
          const slot = Math.floor(now / 100);
          added.push({ slot, amount });
          const expected = added.filter((entry) => entry.slot > slot - 10).reduce((total, entry) => total + entry.amount, 0);
          assert.equal(sum.total(now), expected);
        }
      }),
    );
  });

  it("counts into the newest slot when the clock goes backwards", () => {
    const sum = new SlidingSum(1000);
    sum.add(1, 5000);
    sum.add(1, 100);
    assert.equal(sum.total(5000), 2);
  });
});
