import assert from "node:assert/strict";
import { expectedGain, fullGain } from "./model.ts";
import { cashFlow } from "./roi.ts";

const hypothesis = { id: "h", driver: "D", rationale: "", unit: "", baseline: 0, target: 10, confidence: 0.5, valuePerUnit: 100 };

describe("a model's cash flow", () => {
  it("brings each hypothesis in the month of its due day: two in the third, one in the first", () => {
    const all = ["2027-03-01", "2027-03-31", "2027-01-31"].map((dueDate) => ({ ...hypothesis, dueDate }));
    assert.deepEqual(cashFlow(all, fullGain, "2027-01-15"), [1000, 0, 2000]);
    assert.deepEqual(cashFlow(all, expectedGain, "2027-01-15"), [500, 0, 1000]);
  });

  it("brings what was due before the beginning in the first month, and what is due in centuries after one", () => {
    const all = ["2020-01-01", "2900-01-01"].map((dueDate) => ({ ...hypothesis, dueDate }));
    const flow = cashFlow(all, fullGain, "2027-01-15");
    assert.deepEqual([flow.length, flow[0], flow[1199], flow.reduce((sum, one) => sum + one, 0)], [1200, 1000, 1000, 2000]);
  });
});
