import assert from "node:assert/strict";
import fc from "fast-check";
import { durationMs } from "./json-fields.ts";

describe("durationMs", () => {
  const cases: readonly (readonly [unknown, number | undefined])[] = [
    ["0.5s", 500],
    ["1s", 1000],
    ["0s", 0],
    ["0.0011s", 1.1],
    ["0.000000001s", 0.000001],
    ["90.25s", 90_250],
    ["0.1234567890s", undefined],
    ["1.s", undefined],
    [".5s", undefined],
    ["+1s", undefined],
    ["-1s", undefined],
    ["1", undefined],
    ["1m", undefined],
    ["1e3s", undefined],
    [" 1s", undefined],
    ["", undefined],
    [1, undefined],
    [null, undefined],
  ];
  for (const [value, ms] of cases) {
    it(`reads ${JSON.stringify(value)} as ${ms} ms`, () => assert.equal(durationMs(value), ms));
  }

  it("reads every whole number of nanoseconds back exactly", () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.nat(999_999_999), (seconds, nanos) => {
        assert.equal(durationMs(`${seconds}.${String(nanos).padStart(9, "0")}s`), seconds * 1000 + nanos / 1e6);
      }),
    );
  });
});
