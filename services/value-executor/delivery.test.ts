import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { reasonOf } from "#mesh/errors.ts";
import {
  cancelDelivery,
  completeDelivery,
  type Delivery,
  type Milestone,
  type MilestoneStep,
  stateAfter,
  stepMilestone,
} from "./delivery.ts";

const today = "2027-01-10";
const milestone: Milestone = {
  ...{
    id: "a",
    deliveryId: "d",
    title: "A",
    ownerId: "ann",
    state: "planned",
    reason: "",
    updateTime: 0,
    weight: 1,
    progress: 0,
  },
  ...{ plannedDate: "2027-01-31", forecastDate: "2027-01-31", actualDate: "", startDate: "2027-01-01" },
};
const delivery: Delivery = {
  ...{ id: "d", userId: "ann", commitmentId: "c", modelId: "m", title: "D", state: "planned", reason: "" },
  ...{ startDate: "2027-01-01", milestones: [milestone, { ...milestone, id: "b" }], createTime: 0, updateTime: 0 },
};

function refusalOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof ConnectError, String(error));
    return reasonOf(error) ?? Code[error.code];
  }
  return undefined;
}

const step = (one: Milestone, taken: MilestoneStep) => stepMilestone(delivery, one, taken, today, 1);

describe("delivery", () => {
  it("a milestone is started, moved on, done, reopened", () => {
    const started = step(milestone, { kind: "start" });
    const moved = step(started, { kind: "update", patch: { progress: 0.4, forecastDate: "2027-02-10" } });
    const done = step(moved, { kind: "complete", actualDate: "2027-01-09" });
    const again = step(done, { kind: "reopen" });
    const seen = [started, moved, done, again].map(({ state, progress, actualDate }) => [state, progress, actualDate]);
    assert.deepEqual(seen, [
      ["in_progress", 0, ""],
      ["in_progress", 0.4, ""],
      ["done", 1, "2027-01-09"],
      ["in_progress", 1, ""],
    ]);
    assert.equal(moved.plannedDate, "2027-01-31");
  });

  for (const [state, taken, refusal] of [
    ["planned", { kind: "complete", actualDate: today }, "MILESTONE_NOT_IN_PROGRESS"],
    ["planned", { kind: "update", patch: { progress: 0.5 } }, "MILESTONE_NOT_IN_PROGRESS"],
    ["planned", { kind: "reopen" }, "MILESTONE_NOT_DONE"],
    ["in_progress", { kind: "complete", actualDate: "2027-01-11" }, "InvalidArgument"],
    ["done", { kind: "cancel", reason: "no" }, "MILESTONE_DONE"],
    ["done", { kind: "start" }, "MILESTONE_NOT_PLANNED"],
    ["done", { kind: "update", patch: { title: "B" } }, "MILESTONE_CLOSED"],
    ["canceled", { kind: "start" }, "MILESTONE_NOT_PLANNED"],
    ["canceled", { kind: "update", patch: { title: "B" } }, "MILESTONE_CLOSED"],
  ] as const) {
    it(`${state}: ${JSON.stringify(taken)} is ${refusal}`, () => {
      assert.equal(
        refusalOf(() => step({ ...milestone, state }, taken)),
        refusal,
      );
    });
  }

  it("is in progress from the first start on, and completed with all milestones done or cancelled, one at least done", () => {
    assert.equal(stateAfter(delivery, { state: "in_progress" }), "in_progress");
    assert.equal(
      refusalOf(() => completeDelivery(delivery, 1)),
      "MILESTONES_OPEN",
    );
    const [a, b] = [
      { ...milestone, state: "done" as const },
      { ...milestone, id: "b", state: "canceled" as const },
    ];
    assert.equal(completeDelivery({ ...delivery, milestones: [a, b] }, 1).state, "completed");
    assert.equal(
      refusalOf(() => completeDelivery({ ...delivery, milestones: [b] }, 1)),
      "NOTHING_DELIVERED",
    );
    assert.equal(
      refusalOf(() => completeDelivery({ ...delivery, milestones: [] }, 1)),
      "NOTHING_DELIVERED",
    );
  });

  it("that is given up gives up what is open, and keeps what is done", () => {
    const mixed = { ...delivery, milestones: [{ ...milestone, state: "done" as const }, milestone] };
    const gone = cancelDelivery(mixed, "no money", 1);
    assert.deepEqual([gone.state, gone.milestones.map(({ state }) => state)], ["canceled", ["done", "canceled"]]);
    assert.equal(
      refusalOf(() => stepMilestone(gone, milestone, { kind: "start" }, today, 1)),
      "DELIVERY_CLOSED",
    );
    assert.equal(
      refusalOf(() => completeDelivery(gone, 1)),
      "DELIVERY_CLOSED",
    );
  });

  it("keeps, whatever is tried: milestones move only along the arrows, a repeat is the same, the planned day stands", () => {
    const arrows = new Set([
      "planned>in_progress",
      "planned>canceled",
      "in_progress>done",
      "in_progress>canceled",
      "done>in_progress",
    ]);
    const steps = fc.array(
      fc.oneof(
        fc.constantFrom<MilestoneStep>({ kind: "start" }, { kind: "reopen" }, { kind: "cancel", reason: "no" }),
        fc.constantFrom("2027-01-01", today, "2027-01-11").map((actualDate): MilestoneStep => ({ kind: "complete", actualDate })),
        fc.constantFrom(0, 0.5, 1).map((progress): MilestoneStep => ({ kind: "update", patch: { progress } })),
      ),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        let now = milestone;
        for (const one of all) {
          let after = now;
          const refusal = refusalOf(() => {
            after = step(now, one);
          });
          if (refusal !== undefined) {
            assert.match(refusal, /^(MILESTONE_[A-Z_]+|InvalidArgument)$/);
            continue;
          }
          if (after.state !== now.state) assert.ok(arrows.has(`${now.state}>${after.state}`), `${now.state}>${after.state}`);
          assert.deepEqual(step(after, one), after);
          assert.deepEqual(
            [after.plannedDate, after.actualDate === "", after.progress],
            [...["2027-01-31", after.state !== "done"], after.state === "done" ? 1 : after.progress],
          );
          now = after;
        }
      }),
    );
  });
});
