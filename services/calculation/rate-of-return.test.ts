import assert from "node:assert/strict";
import fc from "fast-check";
import { near } from "./fixtures/near.ts";
import { type RateRange, type RatesOfReturn, ratesOfReturn } from "./rate-of-return.ts";

const periodic = (amounts: readonly number[], range?: RateRange): RatesOfReturn =>
  ratesOfReturn(
    amounts.map((amount, time) => ({ time, amount })),
    range,
  );
const rates = (found: RatesOfReturn) => found.roots.map(({ rate }) => rate);

/** The flows whose rates are these: the product of (1 + rate) - (1 + r), the highest power of 1 + r first. */
function flowsOf(wanted: readonly number[]): readonly number[] {
  let product = [1];
  for (const rate of wanted) product = [...product, 0].map((value, at) => value - (product[at - 1] ?? 0) * (1 + rate));
  return product;
}

describe("rates of return", () => {
  it("-70,000, 12,000, 15,000, 18,000, 21,000 (Excel's example of IRR): -2.1 %; with 26,000 more: 8.7 %", () => {
    const four = periodic([-70_000, 12_000, 15_000, 18_000, 21_000]);
    assert.equal(four.status, "unique");
    near(rates(four)[0], -0.0212448482734, 1e-11);
    near(rates(periodic([-70_000, 12_000, 15_000, 18_000, 21_000, 26_000]))[0], 0.0866309480365, 1e-11);
    near(rates(periodic([-70_000, 12_000, 15_000]))[0], -0.4435069413347, 1e-11);
  });

  it("Excel's example of XIRR: 37.3362535 %", () => {
    const days = ["2008-01-01", "2008-03-01", "2008-10-30", "2009-02-15", "2009-04-01"].map(
      (day) => Date.parse(day) / 86_400_000,
    );
    const amounts = [-10_000, 2750, 4250, 3250, 2750];
    const flows = amounts.map((amount, at) => ({ amount, time: ((days[at] ?? 0) - (days[0] ?? 0)) / 365 }));
    near(rates(ratesOfReturn(flows))[0], 0.373362535, 1e-8);
  });

  it("numpy-financial's examples: 28.095 %, -9.55 %, -8.33 %, 6.206 %, 8.86 %, and the others that two of them have", () => {
    const rounded = (amounts: readonly number[]) => rates(periodic(amounts)).map((rate) => Number(rate.toFixed(5)));
    assert.deepEqual(rounded([-100, 39, 59, 55, 20]), [0.28095]);
    assert.deepEqual(rounded([-100, 0, 0, 74]), [-0.0955]);
    assert.deepEqual(rounded([-100, 100, 0, -7]), [-0.67889, -0.0833]);
    assert.deepEqual(rounded([-100, 100, 0, 7]), [0.06206]);
    assert.deepEqual(rounded([-5, 10.5, 1, -8, 1]), [-0.8702, 0.0886, 0.70956]);
  });

  it("-100, 230, -132 has two: 10 % and 20 %; the rate alone is not told", () => {
    const found = periodic([-100, 230, -132]);
    assert.deepEqual([found.status, found.signChanges], ["several", 2]);
    found.roots.forEach(({ rate, touching }, at) => {
      near(rate, [0.1, 0.2][at] ?? 0, 1e-13);
      assert.equal(touching, false);
    });
  });

  it("-1,000, 6,000, -11,000, 6,000 has three: 0 %, 100 % and 200 %", () => {
    const found = periodic([-1000, 6000, -11_000, 6000]);
    assert.equal(found.roots.length, 3);
    for (const [at, { rate }] of found.roots.entries()) near(rate, at, 1e-12);
  });

  it("-100, 200, -100 touches 0 at 0 % and has no other", () => {
    const found = periodic([-100, 200, -100]);
    assert.deepEqual([found.status, found.roots.length, found.roots[0]?.touching], ["unique", 1, true]);
    assert.ok(Math.abs(found.roots[0]?.rate ?? 1) < 1e-8);
  });

  it("100, -200, 150 has none, though the sign changes twice", () => {
    const found = periodic([100, -200, 150]);
    assert.deepEqual([found.status, found.roots, found.signChanges], ["none", [], 2]);
  });

  it("1, 2, 3 has none, and 0, 0 has every rate", () => {
    assert.deepEqual([periodic([1, 2, 3]).status, periodic([0, 0]).status], ["none", "all"]);
  });

  it("looks only in the range, both ends included: -100, 230, -132 from 0.15, and from exactly 0", () => {
    assert.equal(periodic([-100, 230, -132], { minRate: 0.15, maxRate: 1 }).status, "unique");
    assert.deepEqual(rates(periodic([-100, 100], { minRate: 0, maxRate: 1 })), [0]);
    assert.deepEqual(rates(periodic([-100, 100], { minRate: -0.5, maxRate: 0 })), [0]);
    assert.equal(periodic([-100, 100], { minRate: 0.001, maxRate: 1 }).status, "none");
  });

  it("-1, then 1e12 after one period: 10^14 %, beyond the range; up to it: found", () => {
    assert.equal(periodic([-1, 1e12]).status, "none");
    near(rates(periodic([-1, 1e6]))[0], 999_999, 1e-12);
  });

  it("5,000, then 1 in each of 9,999 periods: one rate", () => {
    const found = periodic([-5000, ...Array.from({ length: 9999 }, () => 1)]);
    const [rate = 0] = rates(found);
    // The annuity's own formula: 5,000 = (1 - (1 + r)^-9999) / r.
    near(-Math.expm1(-9999 * Math.log1p(rate)) / rate, 5000, 1e-10);
  });

  it("finds all rates of flows that were made from them", () => {
    // Apart from each other by more than a tenth, so that double precision tells them apart.
    const wanted = fc.uniqueArray(fc.integer({ min: -5, max: 20 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(wanted, (tenths) => {
        const expected = tenths.map((tenth) => tenth / 10).toSorted((a, b) => a - b);
        const found = periodic(flowsOf(expected));
        assert.equal(found.roots.length, expected.length, JSON.stringify(found));
        found.roots.forEach(({ rate }, at) => {
          const difference = Math.abs(rate - (expected[at] ?? 0));
          assert.ok(difference < 1e-7, `${rate} for ${expected[at]}`);
        });
      }),
      { numRuns: 500 },
    );
  });

  it("does not depend on the order of flows with times, and puts flows of one time together", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ time: fc.integer({ min: 0, max: 9 }), amount: fc.integer({ min: -99, max: 99 }) }), {
          minLength: 1,
        }),
        (flows) => {
          const sums = Array.from({ length: 10 }, (_, time) =>
            flows.reduce((sum, flow) => sum + (flow.time === time ? flow.amount : 0), 0),
          );
          assert.deepEqual(ratesOfReturn(flows.toReversed()), periodic(sums));
        },
      ),
    );
  });
});
