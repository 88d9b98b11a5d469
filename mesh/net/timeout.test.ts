import assert from "node:assert/strict";
import fc from "fast-check";
import { formatTimeout } from "./timeout.ts";

describe("formatTimeout", () => {
  for (const [ms, header] of [
    [0.2, "1m"],
    [1, "1m"],
    [1.5, "2m"],
    [1500, "1500m"],
    [99_999_999, "99999999m"],
    [100_000_000, "100000S"],
    [100_000_001, "100001S"],
    [99_999_999_000, "99999999S"],
    [99_999_999_001, "1666667M"],
    [99_999_999 * 60_000 + 1, "1666667H"],
    [0, "0m"],
    [-5, "0m"],
    [Number.POSITIVE_INFINITY, undefined],
  ] as const) {
    it(`writes ${ms} ms as ${header}`, () => assert.equal(formatTimeout(ms), header));
  }

  it("never writes a positive rest as 0, less than it is, or with more than 8 digits", () => {
    const unitMs: Readonly<Record<string, number>> = { m: 1, S: 1000, M: 60_000, H: 3_600_000 };
    fc.assert(
      fc.property(fc.double({ min: Number.MIN_VALUE, max: 1e14, noNaN: true }), (ms) => {
        const match = /^(\d{1,8})([mSMH])$/.exec(formatTimeout(ms) ?? "");
        const value = Number(match?.[1]) * (unitMs[match?.[2] ?? ""] ?? Number.NaN);
        assert.ok(value > 0 && value >= ms, `${ms} became ${match?.[0]}`);
      }),
    );
  });
});
