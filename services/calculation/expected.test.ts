import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { decimalOfDouble, toDouble } from "./decimal.ts";
import { near } from "./fixtures/near.ts";
import { presentValue } from "./present-value.ts";
import { ratesOfReturn } from "./rate-of-return.ts";

/** A series of flows and what numpy-financial, numpy and pyxirr make of it (fixtures/expected.py). */
interface Case {
  readonly amounts: readonly number[];
  readonly rate: number;
  readonly npv: number;
  /** All rates, ascending. */
  readonly rates: readonly number[];
  readonly irr?: number;
  readonly dates?: readonly string[];
  readonly xirr?: number;
}

const relative = 1e-9;

describe("1,000 generated cases", () => {
  const { cases } = JSON.parse(readFileSync(new URL("fixtures/expected.json", import.meta.url), "utf8")) as {
    cases: readonly Case[];
  };

  it("are 1,000, of which 700 have numpy-financial's irr and more than 600 dates", () => {
    const having = (name: keyof Case) => cases.filter((one) => one[name] !== undefined).length;
    assert.deepEqual([cases.length, having("irr")], [1000, 700]);
    assert.ok(having("xirr") > 600);
  });

  it("net present value: numpy-financial's to 1e-9", () => {
    for (const { amounts, rate, npv } of cases) {
      const size = amounts.reduce((sum, amount) => sum + Math.abs(amount), 0);
      near(toDouble(presentValue(amounts.map(decimalOfDouble), decimalOfDouble(rate))), npv, relative, 1e-15 * size);
    }
  });

  it("internal rate of return: numpy-financial's to 1e-9, and as many rates as numpy finds", () => {
    for (const { amounts, irr, rates } of cases) {
      const found = ratesOfReturn(amounts.map((amount, time) => ({ time, amount })));
      assert.equal(found.roots.length, rates.length, JSON.stringify(amounts));
      for (const [at, { rate }] of found.roots.entries()) near(rate, rates[at] ?? 0, relative, 1e-12);
      if (irr !== undefined) near(found.roots[0]?.rate, irr, relative, 1e-12);
    }
  });

  it("with dates: pyxirr's, bisected, to 1e-9", () => {
    for (const { amounts, dates = [], xirr } of cases) {
      if (xirr === undefined) continue;
      const days = dates.map((day) => Date.parse(day) / 86_400_000);
      const flows = amounts.map((amount, at) => ({ amount, time: ((days[at] ?? 0) - (days[0] ?? 0)) / 365 }));
      const found = ratesOfReturn(flows, { minRate: -0.999999, maxRate: 1e6 });
      assert.equal(found.status, "unique");
      near(found.roots[0]?.rate, xirr, relative, 1e-12);
    }
  });
});
