import assert from "node:assert/strict";
import { ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import { periodOf } from "./analytics.fixture.ts";
import { comparedPeriod, type Granularity } from "./period.ts";

const now = "2026-07-10T12:00:00Z";
const iso = (time: number) => new Date(time).toISOString().replace(":00.000Z", "Z").replace("T00:00Z", "");

describe("analytics period", () => {
  const rows: readonly [period: string, timeZone: string, from: string, to: string, granularity: Granularity, buckets: number][] =
    [
      ["2026", "", "2026-01-01", "2027-01-01", "month", 12],
      ["2026-Q2", "", "2026-04-01", "2026-07-01", "week", 14],
      ["2026-02", "", "2026-02-01", "2026-03-01", "day", 28],
      ["2026-03-05", "", "2026-03-05", "2026-03-06", "day", 1],
      ["2026-03", "Europe/Berlin", "2026-02-28T23:00Z", "2026-03-31T22:00Z", "day", 31],
      ["2026-10-25", "Europe/Berlin", "2026-10-24T22:00Z", "2026-10-25T23:00Z", "day", 1],
      ["P30D", "", "2026-06-11", "2026-07-11", "day", 30],
      ["P30D", "Pacific/Auckland", "2026-06-11T12:00Z", "2026-07-11T12:00Z", "day", 30],
      ["P12W", "", "2026-04-18", "2026-07-11", "week", 13],
      ["P12M", "", "2025-07-11", "2026-07-11", "month", 13],
      ["P1Y", "", "2025-07-11", "2026-07-11", "month", 13],
    ];
  for (const [text, timeZone, from, to, granularity, buckets] of rows) {
    it(`${text} in ${timeZone || "UTC"} is ${from} to ${to} in ${buckets} ${granularity}s`, () => {
      const period = periodOf(text, now, { timeZone });
      assert.deepEqual(
        [iso(period.from), iso(period.to), period.granularity, period.buckets.length],
        [from, to, granularity, buckets],
      );
    });
  }

  it("names days, weeks and months by the calendar, and knows which are whole", () => {
    const name = (granularity: Granularity) =>
      periodOf("", now, { from: Date.parse("2026-12-30"), to: Date.parse("2027-01-02"), granularity }).buckets.map(
        ({ label }) => label,
      );
    assert.deepEqual(name("day"), ["2026-12-30", "2026-12-31", "2027-01-01"]);
    assert.deepEqual(name("week"), ["2026-W53"]);
    assert.deepEqual(name("month"), ["2026-12", "2027-01"]);
    const half = periodOf("", now, { from: Date.parse("2026-05-02"), to: Date.parse("2026-09-01"), granularity: "month" });
    assert.deepEqual(
      half.buckets.map(({ whole }) => whole),
      [false, true, false, false],
    );
  });

  const mistakes: readonly [title: string, request: Parameters<typeof periodOf>[2], period: string, field: string][] = [
    ["a month 13", {}, "2026-13", "period"],
    ["a February 30", {}, "2026-02-30", "period"],
    ["a period beside times", { from: 0 }, "2026", "period"],
    ["an end without a start", { to: 0 }, "", "from_time"],
    ["an end before its start", { from: 5, to: 5 }, "", "to_time"],
    ["an unknown time zone", { timeZone: "Europe/Nowhere" }, "2026", "time_zone"],
    ["1,101 days", { granularity: "day" }, "P1101D", "granularity"],
  ];
  for (const [title, request, period, field] of mistakes) {
    it(`refuses ${title}, and names ${field}`, () => {
      assert.throws(
        () => periodOf(period, now, request),
        (error) => {
          assert.ok(error instanceof ConnectError);
          const fields = error
            .findDetails(BadRequestSchema)
            .flatMap(({ fieldViolations }) => fieldViolations.map((one) => one.field));
          assert.deepEqual(fields, [field]);
          return true;
        },
      );
    });
  }

  const compared: readonly [period: string, by: "previous_period" | "same_period_last_year", from: string, to: string][] = [
    ["2026-03", "previous_period", "2026-02-01", "2026-03-01"],
    ["2026-Q1", "previous_period", "2025-10-01", "2026-01-01"],
    ["2026", "previous_period", "2025-01-01", "2026-01-01"],
    ["P30D", "previous_period", "2026-05-12", "2026-06-11"],
    ["2026-03", "same_period_last_year", "2025-03-01", "2025-04-01"],
    ["P30D", "same_period_last_year", "2025-06-11", "2025-07-11"],
  ];
  for (const [text, by, from, to] of compared) {
    it(`compares ${text} to ${from} until ${to} by ${by}`, () => {
      const period = comparedPeriod(periodOf(text, now), by, Date.parse(now));
      assert.deepEqual([iso(period.from), iso(period.to)], [from, to]);
    });
  }

  it("cuts any period into buckets without gaps, that begin and end with it", () => {
    const request = fc.record({
      from: fc.integer({ min: 0, max: 2e12 }),
      length: fc.integer({ min: 1, max: 400 * 86_400_000 }),
      timeZone: fc.constantFrom("UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Africa/Cairo"),
      granularity: fc.constantFrom<Granularity | "">("", "day", "week", "month"),
    });
    fc.assert(
      fc.property(request, ({ from, length, timeZone, granularity }) => {
        const { buckets } = periodOf("", now, { from, to: from + length, timeZone, granularity });
        assert.deepEqual([buckets[0]?.from, buckets.at(-1)?.to], [from, from + length]);
        for (const [index, bucket] of buckets.entries()) {
          assert.ok(bucket.from < bucket.to);
          assert.equal(bucket.from, buckets[index - 1]?.to ?? from);
        }
      }),
    );
  });
});
