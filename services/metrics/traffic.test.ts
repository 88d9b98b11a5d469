import assert from "node:assert/strict";
import { trafficOf } from "./traffic.ts";

const row = (outcomes: readonly (readonly [string, number])[]) => {
  const calls = outcomes.reduce((sum, [, count]) => sum + count, 0);
  return { method: "m", bounds: [1], buckets: [[0, calls]] as const, sum: calls * 0.5, outcomes };
};

describe("trafficOf", () => {
  it("of nothing has no share and no times", () => {
    const none = { errorShare: undefined, p50: undefined, p95: undefined, p99: undefined, mean: undefined };
    assert.deepEqual(trafficOf([], 10), { calls: 0, rate: 0, errors: 0, outcomes: new Map(), ...none });
  });

  for (const [outcome, errors] of [
    ...["OK", "CANCELLED", "INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED"].map(
      (name) => [name, 0] as const,
    ),
    ...["ALREADY_EXISTS", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "OTHER", "200", "404", "429", "499"].map(
      (name) => [name, 0] as const,
    ),
    ...["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "500", "503"].map(
      (name) => [name, 4] as const,
    ),
  ]) {
    it(`counts ${errors} of 4 calls that ended ${outcome} as errors`, () => {
      assert.equal(trafficOf([row([[outcome, 4]])], 10).errors, errors);
    });
  }

  it("leaves streams out of the times, unless there is nothing else", () => {
    const stream = { ...row([["CANCELLED", 3]]), method: "watch", buckets: [[1, 3]] as const, sum: 300 };
    const both = trafficOf([row([["OK", 4]]), stream], 10, new Set(["watch"]));
    assert.deepEqual([both.calls, both.mean, both.p99], [7, 0.5, 0.99]);
    const only = trafficOf([stream], 10, new Set(["watch"]));
    assert.deepEqual([only.calls, only.mean, only.p99], [3, 100, 1]);
  });

  it("adds rows up: calls, rate, share, mean and outcomes", () => {
    const { calls, rate, errors, errorShare, mean, outcomes } = trafficOf(
      [
        row([
          ["OK", 6],
          ["INTERNAL", 1],
        ]),
        row([["OK", 1]]),
      ],
      4,
    );
    assert.deepEqual([calls, rate, errors, errorShare, mean], [8, 2, 1, 0.125, 0.5]);
    assert.deepEqual(
      outcomes,
      new Map([
        ["OK", 7],
        ["INTERNAL", 1],
      ]),
    );
  });
});
