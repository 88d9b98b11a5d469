import assert from "node:assert/strict";
import { parseDuration } from "./durations.ts";

describe("Go's durations", () => {
  const readings: [string, number | undefined][] = [
    ["10s", 10_000],
    ["1m30s", 90_000],
    ["1h0m0.5s", 3_600_500],
    ["250ms", 250],
    ["1.5s", 1500],
    ["500us", 0.5],
    ["500µs", 0.5],
    ["1000000ns", 1],
    ["0", 0],
    ["10", undefined],
    ["", undefined],
    ["s", undefined],
    ["-1s", undefined],
    ["1d", undefined],
    ["1s ", undefined],
    ["1..5s", undefined],
  ];
  for (const [text, ms] of readings) {
    it(`${JSON.stringify(text)} is ${ms} ms`, () => assert.equal(parseDuration(text), ms));
  }
});
