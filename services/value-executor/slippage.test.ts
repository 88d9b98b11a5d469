import assert from "node:assert/strict";
import fc from "fast-check";
import { type Dated, progressOf, rollUp, slippageOf } from "./slippage.ts";

const planned: Dated = {
  ...{ plannedDate: "2027-01-31", forecastDate: "2027-01-31", actualDate: "", weight: 1, progress: 0, state: "planned" },
  startDate: "2027-01-01",
};
const today = "2027-01-10";

describe("slippage", () => {
  it("of 3 days in 30 is 10 %: by forecast, by the actual day, and by a day that has passed", () => {
    const expected = {
      plannedEnd: "2027-01-31",
      expectedEnd: "2027-02-03",
      days: 3,
      share: 0.1,
      meanDays: 3,
      lateCount: 1,
      count: 1,
    };
    assert.deepEqual(slippageOf({ ...planned, forecastDate: "2027-02-03" }, today), expected);
    assert.deepEqual(slippageOf({ ...planned, state: "done", actualDate: "2027-02-03" }, "2027-12-31"), expected);
    assert.deepEqual(slippageOf(planned, "2027-02-03"), expected);
  });

  it("is below 0 for what was done before its day", () => {
    const { days, share, lateCount } = slippageOf({ ...planned, state: "done", actualDate: "2027-01-16" }, today);
    assert.deepEqual([days, share, lateCount], [-15, -0.5, 0]);
  });

  it("of a plan of no days counts as of one", () => {
    const { days, share } = slippageOf({ ...planned, plannedDate: "2027-01-01", forecastDate: "2027-01-11" }, today);
    assert.deepEqual([days, share], [10, 10]);
  });

  it("of a whole is that of its end, with the mean by weight beside it; what was cancelled does not count", () => {
    const whole = [
      { ...planned, plannedDate: "2027-01-11", forecastDate: "2027-01-21", weight: 3 },
      planned,
      { ...planned, forecastDate: "2028-01-01", state: "canceled" as const },
    ];
    const rolled = {
      plannedEnd: "2027-01-31",
      expectedEnd: "2027-01-31",
      days: 0,
      share: 0,
      meanDays: 7.5,
      lateCount: 1,
      count: 2,
    };
    assert.deepEqual(rollUp(whole, today), rolled);
  });

  it("of nothing is 0", () => {
    const nothing = { plannedEnd: "", expectedEnd: "", days: 0, share: 0, meanDays: 0, lateCount: 0, count: 0 };
    assert.deepEqual([rollUp([], today), rollUp([{ ...planned, state: "canceled" }], today)], [nothing, nothing]);
  });

  const day = fc
    .integer({ min: 0, max: 700 })
    .map((n) => new Date(Date.UTC(2027, 0, 1) + n * 86_400_000).toISOString().slice(0, 10));
  const milestone = fc
    .record({
      plannedDate: day,
      forecastDate: day,
      done: day,
      weight: fc.constantFrom(1, 2, 5),
      progress: fc.constantFrom(0, 0.5, 1),
      state: fc.constantFrom("planned" as const, "in_progress" as const, "done" as const, "canceled" as const),
    })
    .map(({ done, ...one }) => ({ ...one, actualDate: one.state === "done" ? done : "", startDate: "2027-01-01" }));

  it("of a whole lies between the best and the worst of its parts, in any order, and progress between 0 and 1", () => {
    fc.assert(
      fc.property(fc.array(milestone, { minLength: 1, maxLength: 10 }), day, (all, now) => {
        const whole = rollUp(all, now);
        const parts = all.filter(({ state }) => state !== "canceled").map((one) => slippageOf(one, now).days);
        assert.deepEqual(rollUp(all.toReversed(), now).days, whole.days);
        assert.equal(whole.count, parts.length);
        if (parts.length > 0) {
          assert.ok(whole.days <= Math.max(...parts), `${whole.days} of ${parts}`);
          assert.ok(whole.meanDays >= Math.min(...parts) - 1e-9 && whole.meanDays <= Math.max(...parts) + 1e-9);
        }
        const progress = progressOf(all);
        assert.ok(progress >= 0 && progress <= 1);
      }),
    );
  });
});
