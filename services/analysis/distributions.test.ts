import assert from "node:assert/strict";
import {
  chiSquaredProbability,
  fProbability,
  normalProbability,
  normalQuantile,
  tProbability,
  tQuantile,
} from "./distributions.ts";
import { expected } from "./expected.fixture.ts";

const { distributions } = expected;

/** The greatest relative difference of `actual` from the last number of each row. */
function worst(rows: readonly (readonly number[])[], actual: (...of: number[]) => number): { off: number; at: string } {
  const all = rows.map((row) => {
    const [right = Number.NaN, ...of] = row.toReversed();
    const got = actual(...of.reverse());
    return { off: got === right ? 0 : Math.abs(got - right) / Math.abs(right), at: `${row}: ${got}` };
  });
  assert.ok(all.length > 4);
  return all.reduce((a, b) => (b.off >= a.off || Number.isNaN(b.off) ? b : a));
}

describe("services/analysis/distributions", () => {
  const cases: readonly [string, readonly (readonly number[])[], (...of: number[]) => number][] = [
    ["t, both tails, down to 1e-300", distributions.t, (t = 0, df = 0) => tProbability(t, df)],
    ["quantiles of t", distributions.tQuantile, (p = 0, df = 0) => tQuantile(p, df)],
    ["F, upper tail", distributions.f, (f = 0, a = 0, b = 0) => fProbability(f, a, b)],
    ["chi-squared, upper tail", distributions.chiSquared, (x = 0, df = 0) => chiSquaredProbability(x, df)],
    ["quantiles of the normal distribution", distributions.normalQuantile, (p = 0) => normalQuantile(p)],
  ];
  for (const [name, rows, actual] of cases) {
    it(`agrees with R to 1e-11 on ${rows.length} values of ${name}`, () => {
      const { off, at } = worst(rows, actual);
      assert.ok(off < 1e-11, `${off} at ${at}`);
    });
  }

  it("gives the one-sided tails of t = 2 with 10 degrees of freedom", () => {
    const two = tProbability(2, 10);
    assert.equal(tProbability(2, 10, "greater"), two / 2);
    assert.equal(tProbability(-2, 10, "less"), two / 2);
    assert.ok(Math.abs(tProbability(2, 10, "less") - (1 - two / 2)) < 1e-15);
  });

  it("gives 0 for infinite statistics", () => {
    assert.equal(tProbability(Number.POSITIVE_INFINITY, 3), 0);
    assert.equal(fProbability(Number.POSITIVE_INFINITY, 1, 3), 0);
    assert.equal(normalProbability(Number.NEGATIVE_INFINITY), 0);
  });
});
