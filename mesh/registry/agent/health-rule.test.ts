import assert from "node:assert/strict";
import { mustForget, nextStatus, noStreak } from "./health-rule.ts";
import { type CheckPlan, type CheckStatus, noPlan } from "./model.ts";

/** The status after each of `found`, beginning with `status`. */
function statuses(plan: Partial<CheckPlan>, status: CheckStatus, found: readonly CheckStatus[]): CheckStatus[] {
  let streak = noStreak;
  let present = status;
  return found.map((one) => {
    const next = nextStatus({ ...noPlan, ...plan }, present, streak, one);
    streak = next.streak;
    present = next.status;
    return present;
  });
}

describe("the status of a check", () => {
  const [p, w, c] = ["passing", "warning", "critical"] as const;
  const cases: [string, Partial<CheckPlan>, CheckStatus, CheckStatus[], CheckStatus[]][] = [
    ["follows each probe by default", {}, p, [c, p, w, p], [c, p, w, p]],
    ["turns passing after 3 successes in a row", { successBeforePassing: 3 }, c, [p, p, c, p, p, p], [c, c, c, c, c, p]],
    [
      "turns critical after 2 failures in a row",
      { failuresBeforeWarning: 2, failuresBeforeCritical: 2 },
      p,
      [c, p, c, c],
      [p, p, p, c],
    ],
    ["turns warning before critical", { failuresBeforeWarning: 1, failuresBeforeCritical: 3 }, p, [c, c, c, p], [w, w, c, p]],
  ];
  for (const [rule, plan, from, found, expected] of cases) {
    it(`${rule}: ${JSON.stringify(plan)}, ${found} makes ${expected}`, () =>
      assert.deepEqual(statuses(plan, from, found), expected));
  }
});

describe("a service that stays critical", () => {
  const check = (deregisterAfterMs: number, serviceId = "a") => ({
    ...{ id: "c", name: "c", serviceId, notes: "", status: "critical" as const, output: "", type: "ttl" },
    ...{ plan: { ...noPlan, deregisterAfterMs }, createIndex: 1, modifyIndex: 1 },
  });
  const cases: [string, number, string, number | undefined, number, boolean][] = [
    ["is forgotten when the time is over", 90_000, "a", 1000, 91_000, true],
    ["is kept a millisecond earlier", 90_000, "a", 1000, 90_999, false],
    ["is kept for a minute at least", 1000, "a", 0, 59_999, false],
    ["is forgotten after that minute", 1000, "a", 0, 60_000, true],
    ["is kept when the check says nothing of it", 0, "a", 0, 1e9, false],
    ["is kept when it is not critical", 90_000, "a", undefined, 1e9, false],
    ["does not exist for a check of the node", 90_000, "", 0, 1e9, false],
  ];
  for (const [rule, after, serviceId, since, now, expected] of cases) {
    it(`${rule}: after ${after} ms, critical since ${since}, now ${now}`, () => {
      assert.equal(mustForget(check(after, serviceId), since, now), expected);
    });
  }
});
