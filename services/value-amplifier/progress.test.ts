import assert from "node:assert/strict";
import fc from "fast-check";
import { type Facts, realisedGain, realisedShare, stageOf, stages, verdictOf } from "./progress.ts";

const none: Facts = { version: 0, signedCommitments: 0, completedDeliveries: 0, realisations: 0, amplifying: 0 };
const tickets = {
  ...{
    id: "h",
    driver: "Tickets",
    unit: "",
    baseline: 500,
    target: 400,
    dueDate: "2027-03-31",
    fullGain: 1001,
    expectedGain: 500,
  },
};

describe("realisation", () => {
  for (const [actual, share, gain] of [
    [500, 0, 0],
    [430, 0.7, 701],
    [400, 1, 1001],
    [350, 1.5, 1502],
    [550, -0.5, -500],
  ] as const) {
    it(`from 500 to 400: ${actual} is ${share} of the way, ${gain} of 1001`, () => {
      assert.deepEqual([realisedShare(tickets, actual), realisedGain(tickets, actual)], [share, gain]);
    });
  }

  it("is 0 at the baseline and 1 at the target, upwards and downwards, and never NaN", () => {
    const value = fc.double({ min: -1e15, max: 1e15, noNaN: true });
    fc.assert(
      fc.property(value, value, value, (baseline, target, actual) => {
        fc.pre(baseline !== target);
        const way = { baseline, target };
        assert.deepEqual([realisedShare(way, baseline), realisedShare(way, target)], [0, 1]);
        assert.ok(!Number.isNaN(realisedShare(way, actual)));
      }),
    );
  });

  for (const [share, today, verdict] of [
    [undefined, "2028-01-01", "unmeasured"],
    [0.99, "2027-03-31", "underway"],
    [-1, "2027-03-31", "underway"],
    [1, "2027-01-01", "confirmed"],
    [1, "2028-01-01", "confirmed"],
    [0.99, "2027-04-01", "missed"],
    [0, "2027-04-01", "refuted"],
    [-1, "2027-04-01", "refuted"],
  ] as const) {
    it(`due on 2027-03-31, ${share} of the way on ${today}, is ${verdict}`, () =>
      assert.equal(verdictOf(tickets, share, today), verdict));
  }

  for (const [facts, stage] of [
    [{}, "modelled"],
    [{ version: 1 }, "approved"],
    [{ version: 1, signedCommitments: 1 }, "committed"],
    [{ version: 1, signedCommitments: 1, completedDeliveries: 1 }, "delivered"],
    [{ version: 1, signedCommitments: 1, completedDeliveries: 1, realisations: 1 }, "realised"],
    [{ version: 1, signedCommitments: 1, completedDeliveries: 1, realisations: 1, amplifying: 1 }, "amplified"],
    [{ signedCommitments: 1 }, "committed"],
  ] as const) {
    it(`${JSON.stringify(facts)} is ${stage}`, () => assert.equal(stageOf({ ...none, ...facts }), stage));
  }

  it("more of anything never takes a model back", () => {
    const count = fc.integer({ min: 0, max: 2 });
    const facts = fc.record({
      ...{ version: count, signedCommitments: count, completedDeliveries: count, realisations: count, amplifying: count },
    });
    fc.assert(
      fc.property(facts, fc.constantFrom(...(Object.keys(none) as (keyof Facts)[])), (before, more) => {
        const after = { ...before, [more]: before[more] + 1 };
        assert.ok(stages.indexOf(stageOf(after)) >= stages.indexOf(stageOf(before)));
      }),
    );
  });
});
