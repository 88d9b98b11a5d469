import assert from "node:assert/strict";
import fc from "fast-check";
import { expected } from "./expected.fixture.ts";
import { kendall, ranksOf, spearmanTest } from "./ranks.ts";
import { shapiroWilk } from "./shapiro-wilk.ts";

const { spearman, kendall: kendalls, shapiro } = expected.distributions;

function close(got: number, right: number, about: string, rounding = 0): void {
  assert.ok(Math.abs(got - right) <= 1e-9 * Math.abs(right) + rounding, `${got} against ${right} at ${about}`);
}

describe("services/analysis/ranks", () => {
  it("gives 10, 30, 20, 20 the ranks 1, 4, 2.5, 2.5", () => {
    assert.deepEqual([...ranksOf(Float64Array.of(10, 30, 20, 20))], [1, 4, 2.5, 2.5]);
  });

  it(`has R's p-value for ${spearman.length} sums of squared differences of 3 to 1,290 ranks`, () => {
    assert.equal(spearman.length, 400);
    for (const { n, statistic, pValue } of spearman) {
      const rho = 1 - (6 * statistic) / (n ** 3 - n);
      // Beyond Edgeworth's series R cuts at 0, where rounding decides.
      if (pValue > 1e-12) close(spearmanTest(rho, n, false).pValue, pValue, `${statistic} of ${n}`);
    }
  });

  it(`has R's p-value for ${kendalls.length} counts of concordant pairs of 2 to 49 rows`, () => {
    assert.equal(kendalls.length, 200);
    for (const { n, statistic, pValue } of kendalls) {
      const { test } = kendall(...rowsWith(statistic, n));
      assert.equal(test.statistic, statistic);
      // Above the middle R subtracts from 1, which leaves some 1e-14.
      close(test.pValue, pValue, `${statistic} of ${n}`, 1e-14);
    }
  });

  it("counts Kendall's pairs as the definition does, with ties, for any numbers", () => {
    const rows = fc.array(fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 6 })), {
      minLength: 3,
      maxLength: 60,
    });
    fc.assert(
      fc.property(rows, (pairs) => {
        const [x, y] = [Float64Array.from(pairs, ([a]) => a), Float64Array.from(pairs, ([, b]) => b)];
        let [sum, untiedX, untiedY] = [0, 0, 0];
        for (const [i, [a, b]] of pairs.entries()) {
          for (const [c, d] of pairs.slice(0, i)) {
            sum += Math.sign(a - c) * Math.sign(b - d);
            untiedX += a === c ? 0 : 1;
            untiedY += b === d ? 0 : 1;
          }
        }
        assert.deepEqual(kendall(x, y).tau, sum / Math.sqrt(untiedX * untiedY));
      }),
    );
  });
});

describe("services/analysis/shapiro-wilk", () => {
  for (const { n, w, pValue } of shapiro) {
    it(`has R's W and p-value of ${n} values`, () => {
      const values = Float64Array.from({ length: n }, (_, i) => Math.sin((i + 1) ** 2) + (i + 1) ** 2 / n ** 2);
      const found = shapiroWilk(values);
      close(found?.statistic ?? Number.NaN, w, "W");
      close(found?.pValue ?? Number.NaN, pValue, "p");
    });
  }

  it("says nothing of 2 values, of 5,001, and of 1, 1, 1", () => {
    const of = (length: number) => shapiroWilk(Float64Array.from({ length }, (_, i) => i));
    assert.deepEqual([of(2), of(5001), shapiroWilk(Float64Array.of(1, 1, 1))], [undefined, undefined, undefined]);
  });
});

/** Rows with so many concordant pairs: the second side falls, and is brought up a pair at a time. */
function rowsWith(concordant: number, n: number): [Float64Array, Float64Array] {
  const y = Array.from({ length: n }, (_, at) => n - at);
  for (let left = concordant, round = 0; left > 0; round++) {
    for (let at = 0; at + 1 < n && left > 0; at++) {
      const [a = 0, b = 0] = [y[at], y[at + 1]];
      if (a < b) continue;
      [y[at], y[at + 1]] = [b, a];
      left--;
    }
    assert.ok(round < n);
  }
  return [Float64Array.from(y, (_, at) => at), Float64Array.from(y)];
}
