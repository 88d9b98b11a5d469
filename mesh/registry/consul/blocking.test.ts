import assert from "node:assert/strict";
import { backoffMs, fullRate, nextIndex, queryTimeoutMs, takeQuery } from "./blocking.ts";

describe("the decisions between two blocking queries", () => {
  const indexes: [number, string | undefined, number, string][] = [
    [0, "7", 7, "the first index is taken"],
    [7, "9", 9, "a higher index is taken"],
    [7, "7", 7, "the same index (the wait ran out) is kept"],
    [9, "7", 0, "an index going backwards starts anew"],
    [7, "0", 0, "index 0 starts anew"],
    [7, "-3", 0, "a negative index starts anew"],
    [7, undefined, 0, "a missing index starts anew"],
    [7, "soon", 0, "an index that is no number starts anew"],
    [7, "", 0, "an empty index starts anew"],
  ];
  for (const [previous, header, expected, rule] of indexes) {
    it(`${rule}: ${previous} then ${JSON.stringify(header)} gives ${expected}`, () => {
      assert.equal(nextIndex(previous, header), expected);
    });
  }

  it("a query of 60 s gets more than 60 s + 60 s / 16 before it counts as hung", () => {
    assert.equal(queryTimeoutMs(7, 60_000), 64_750);
  });

  it("a query with index 0 gets 10 s, since it does not block", () => {
    assert.equal(queryTimeoutMs(0, 60_000), 10_000);
  });

  it("failures 1, 2, 3, 6, 7 and 1000 pause 100, 200, 400, 3200, 4000 and 4000 ms when the dice say 0", () => {
    assert.deepEqual(
      [1, 2, 3, 6, 7, 1000].map((failures) => backoffMs(failures, 0)),
      [100, 200, 400, 3200, 4000, 4000],
    );
  });

  it("jitter takes away up to a half: failure 3 pauses 200 ms when the dice say 1", () => {
    assert.equal(backoffMs(3, 1), 200);
  });

  it("20 queries pass at once, the 21st waits 250 ms, the 22nd 500 ms", () => {
    let rate = fullRate(0);
    const delays = Array.from({ length: 22 }, () => {
      const taken = takeQuery(rate, 0);
      rate = taken.rate;
      return taken.delayMs;
    });
    assert.deepEqual(delays, [...Array(20).fill(0), 250, 500]);
  });

  it("a second of rest earns four queries back", () => {
    assert.deepEqual(takeQuery({ tokens: 0, at: 0 }, 1000), { rate: { tokens: 3, at: 1000 }, delayMs: 0 });
  });

  it("a clock that steps back earns nothing and costs nothing", () => {
    assert.deepEqual(takeQuery({ tokens: 2, at: 1000 }, 0), { rate: { tokens: 1, at: 0 }, delayMs: 0 });
  });
});
