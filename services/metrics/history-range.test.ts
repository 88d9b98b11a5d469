import assert from "node:assert/strict";
import { ConnectError } from "@connectrpc/connect";
import { levelRanges, rangeOf } from "./history-range.ts";

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const now = Date.UTC(2026, 2, 1, 12, 0, 7);
const context = { intervalMs: 10 * second, now, retention: { collectedMs: 6 * hour, minutesMs: 7 * day, hoursMs: 400 * day } };
const asked = (from?: number, to?: number, step?: number) => ({ from, to, step });
const iso = (ms: number) => new Date(ms).toISOString().slice(0, 19);

describe("rangeOf", () => {
  it("without anything asked for is the last hour in 10 s, up to the end of the present step", () => {
    const { from, to, step } = rangeOf(asked(), context);
    assert.deepEqual([iso(from), iso(to), step], ["2026-03-01T11:00:00", "2026-03-01T12:00:10", 10 * second]);
  });

  it("moves the start back and the end on to whole steps", () => {
    const { from, to } = rangeOf(asked(Date.UTC(2026, 2, 1, 9, 59), Date.UTC(2026, 2, 1, 11, 1), hour), context);
    assert.deepEqual([iso(from), iso(to)], ["2026-03-01T09:00:00", "2026-03-01T12:00:00"]);
  });

  for (const [span, ago, step] of [
    [hour, 0, 10 * second],
    [2 * hour, 0, 30 * second],
    [6 * hour, 0, minute],
    [day, 0, 5 * minute],
    [7 * day, 0, hour],
    [30 * day, 0, 6 * hour],
    [400 * day, 0, 7 * day],
    // Collected windows are not kept for so long, and neither are minutes.
    [hour, 7 * hour, minute],
    [hour, 8 * day, hour],
    // Nothing is: the coarsest that fits.
    [hour, 500 * day, 7 * day],
    [20_000 * day, 0, 56 * day],
  ] as const) {
    it(`chooses ${step / second} s for ${span / hour} h that ended ${ago / hour} h ago`, () => {
      assert.equal(rangeOf(asked(now - ago - span, now - ago), context).step, step);
    });
  }

  for (const [title, some, field] of [
    ["an end before the start", asked(now, now - 1), "from"],
    ["a start in the future without an end", asked(now + 1), "from"],
    ["a step of 15 s", asked(now - hour, now, 15 * second), "step"],
    ["2,001 points", asked(0, 2001 * minute, minute), "step"],
  ] as const) {
    it(`refuses ${title}, naming ${field}`, () => {
      assert.throws(
        () => rangeOf(some, context),
        (error) => error instanceof ConnectError && error.rawMessage.startsWith(`${field}: `),
      );
    });
  }
});

describe("levelRanges", () => {
  const until = new Map([
    [0, 100 * minute],
    [60, 99 * minute],
    [3600, 60 * minute],
  ] as const);

  it("takes hours, then minutes, then windows as collected, each once, for a step of hours", () => {
    assert.deepEqual(levelRanges({ from: 0, to: 120 * minute, step: hour, keptFrom: 0 }, until), [
      { level: 3600, from: 0, to: 60 * minute },
      { level: 60, from: 60 * minute, to: 99 * minute },
      { level: 0, from: 99 * minute, to: 100 * minute },
    ]);
  });

  it("takes what was collected alone for a step of 30 s, and nothing while nothing is written", () => {
    const range = { from: 0, to: hour, step: 30 * second, keptFrom: 0 };
    assert.deepEqual(levelRanges(range, until), [{ level: 0, from: 0, to: hour }]);
    assert.deepEqual(levelRanges(range, new Map()), []);
  });
});
