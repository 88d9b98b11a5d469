import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { checkedDay, dayOf, daysBetween, isDay, laterDay } from "./calendar-day.ts";

describe("calendar day", () => {
  for (const [text, expected] of [
    ["2027-03-31", true],
    ["2028-02-29", true],
    ["0001-01-01", true],
    ["9999-12-31", true],
    ["2027-02-29", false],
    ["2027-13-01", false],
    ["2027-04-31", false],
    ["2027-4-3", false],
    ["0000-01-01", false],
    ["", false],
    ["tomorrow", false],
  ] as const) {
    it(`${JSON.stringify(text)} is ${expected ? "one" : "none"}`, () => assert.equal(isDay(text), expected));
  }

  it("a wrong one is INVALID_ARGUMENT and names the field", () => {
    assert.equal(checkedDay("2027-03-31", "due_date"), "2027-03-31");
    assert.throws(
      () => checkedDay("2027-02-30", "due_date"),
      (error) =>
        error instanceof ConnectError && error.code === Code.InvalidArgument && error.rawMessage.startsWith("due_date: expected"),
    );
  });

  it("is counted over the end of a year, a leap day and back", () => {
    assert.deepEqual(
      [daysBetween("2027-12-31", "2028-03-01"), daysBetween("2027-03-02", "2027-03-01"), daysBetween("2027-03-01", "2027-03-01")],
      [61, -1, 0],
    );
  });

  it("is that of UTC, and the later one is the greater text", () => {
    assert.deepEqual([dayOf(Date.UTC(2027, 0, 1) - 1), laterDay("2027-01-01", "2026-12-31")], ["2026-12-31", "2027-01-01"]);
  });
});
