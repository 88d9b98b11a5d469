import assert from "node:assert/strict";
import { tProbability } from "./distributions.ts";
import { expected } from "./expected.fixture.ts";
import { rangeProbability, rangeQuantile } from "./studentized-range.ts";

const rows = expected.distributions.studentizedRange;

describe("services/analysis/studentized-range", () => {
  it("agrees to 1e-11 with its definition as R's integrate has it, from 0.9999 down to 1e-10", () => {
    assert.equal(rows.length, 48);
    for (const [q = 0, k = 0, df = 0, right = 0] of rows) {
      const off = Math.abs(rangeProbability(q, k, df) - right) / right;
      assert.ok(off < 1e-11, `${off} at ${q} of ${k} with ${df}`);
    }
  });

  it("agrees with R's ptukey to 1e-7 with 20 degrees of freedom or more", () => {
    for (const [q = 0, k = 0, df = 0, , ptukey = 0] of rows.filter(([, , df = 0]) => df >= 20)) {
      assert.ok(Math.abs(rangeProbability(q, k, df) - ptukey) < 1e-7);
    }
  });

  it("is Student's t of q / sqrt(2) for two means, with 1, 2, 7.5 and 300 degrees of freedom", () => {
    for (const df of [1, 2, 7.5, 300]) {
      for (const q of [0.01, 1, 3, 9]) {
        const right = tProbability(q / Math.SQRT2, df);
        const off = Math.abs(rangeProbability(q, 2, df) - right) / right;
        assert.ok(off < 1e-9, `${off} at ${q} with ${df}`);
      }
    }
  });

  it("finds the value that has a probability of 0.05, 0.5 and 0.000001", () => {
    for (const p of [0.05, 0.5, 1e-6]) {
      for (const [k, df] of [
        [2, 3],
        [3, 57],
        [20, 400],
      ] as const) {
        const off = Math.abs(rangeProbability(rangeQuantile(p, k, df), k, df) - p) / p;
        assert.ok(off < 1e-12, `${off} at ${p} of ${k} with ${df}`);
      }
    }
  });
});
