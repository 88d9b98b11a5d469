import assert from "node:assert/strict";
import fc from "fast-check";
import { quantile } from "./histogram.ts";

/** As the mesh measures calls (gRFC A66). */
const bounds = [
  0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.013, 0.016, 0.02,
  0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1, 2, 5, 10, 20, 50, 100,
];

describe("quantile", () => {
  it("of nothing is undefined", () => {
    assert.equal(quantile([], 0.5), undefined);
    assert.equal(quantile([{ bounds: [1, 2], buckets: [0, 0, 0] }], 0.5), undefined);
  });

  for (const [q, expected] of [
    [0, 1],
    [0.25, 1.5],
    [0.5, 2],
    [0.75, 3],
    [1, 4],
  ] as const) {
    it(`${q} of 2 in (1, 2] and 2 in (2, 4] is ${expected}`, () => {
      assert.equal(quantile([{ bounds: [1, 2, 4], buckets: [0, 2, 2, 0] }], q), expected);
    });
  }

  it("in the first bucket begins at 0, and is the bound where that is not above 0", () => {
    assert.equal(quantile([{ bounds: [4, 8], buckets: [4, 0, 0] }], 0.5), 2);
    assert.equal(quantile([{ bounds: [0, 8], buckets: [4, 0, 0] }], 0.5), 0);
    assert.equal(quantile([{ bounds: [-2, 8], buckets: [4, 0, 0] }], 0.5), -2);
  });

  it("above all bounds is the greatest bound", () => {
    assert.equal(quantile([{ bounds: [1, 2], buckets: [1, 0, 9] }], 0.5), 2);
  });

  it("of 990 quick calls at one instance and 10 slow ones at another is no mean of theirs", () => {
    const quick = { bounds: [1, 2, 3], buckets: [990, 0, 0, 0] };
    const slow = { bounds: [1, 2, 3], buckets: [0, 0, 10, 0] };
    assert.equal(quantile([quick, slow], 0.99), 1);
    assert.equal(quantile([quick, slow], 0.995), 2.5);
  });

  it("of two layouts sums them where their bounds are known", () => {
    const fine = { bounds: [1, 2], buckets: [2, 2, 0] };
    const coarse = { bounds: [2], buckets: [4, 0] };
    // At 1: 2 and half of 4. At 2: all 8.
    assert.equal(quantile([fine, coarse], 0.5), 1);
    assert.equal(quantile([fine, coarse], 0.75), 1.5);
  });

  it("p50, p95 and p99 of 1 to 20 instances' histograms lie within one bucket of the exact values", () => {
    const instance = fc.record({ seed: fc.nat(), calls: fc.nat(2000), least: fc.integer({ min: 1, max: 10_000 }) });
    const instances = fc.array(instance, { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(instances, fc.constantFrom(0.5, 0.95, 0.99), (some, q) => {
        const values = some.map(latencies);
        const sorted = values.flat().sort((a, b) => a - b);
        const found = quantile(values.map(histogramOf), q);
        if (sorted.length === 0) return found === undefined;
        // Nearest rank: the least value that at least the share q is at most as great as.
        const exact = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
        return found !== undefined && Math.abs(bucketOf(found) - bucketOf(exact)) <= 1;
      }),
      { numRuns: 200 },
    );
  });

  it("never falls as q grows, and stays within the bounds", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { minLength: bounds.length + 1, maxLength: bounds.length + 1 }), (buckets) => {
        const found = [0, 0.1, 0.5, 0.9, 0.99, 1].map((q) => quantile([{ bounds, buckets }], q) ?? 0);
        return found.every((value, at) => value >= (found[at - 1] ?? 0) && value <= 100);
      }),
    );
  });
});

function bucketOf(value: number): number {
  const at = bounds.findIndex((bound) => value <= bound);
  return at === -1 ? bounds.length : at;
}

function histogramOf(values: readonly number[]) {
  const buckets = new Array<number>(bounds.length + 1).fill(0);
  for (const value of values) {
    const at = bucketOf(value);
    buckets[at] = (buckets[at] ?? 0) + 1;
  }
  return { bounds, buckets };
}

/** Of one instance, in seconds: each has its own range of speeds, over four orders of magnitude, and a long tail. */
function latencies({ seed, calls, least }: { readonly seed: number; readonly calls: number; readonly least: number }): number[] {
  let state = seed + 1;
  const random = () => {
    // The minimal standard generator of Park and Miller.
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  return Array.from({ length: calls }, () => Math.min(100, (least / 1e6) * random() ** -1.5));
}
