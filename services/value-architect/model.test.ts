import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { reasonOf } from "#mesh/errors.ts";
import {
  approve,
  approvers,
  assertHypothesis,
  expectedGain,
  fullGain,
  giveBack,
  type Model,
  nextVersion,
  submit,
  supersede,
} from "./model.ts";

const hypothesis = {
  ...{ id: "h", driver: "Conversion", rationale: "", unit: "%", baseline: 2, target: 3, dueDate: "2027-03-31" },
  ...{ confidence: 0.7, valuePerUnit: 8_000_000 },
};
const draft: Model = {
  ...{ id: "m", version: 1, userId: "ann", title: "T", description: "", currency: "EUR", investment: 1, returnReason: "" },
  ...{ reviewerIds: [], approvedByIds: [], state: "draft", hypotheses: [hypothesis], createTime: 0, updateTime: 0 },
  approveTime: undefined,
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

describe("value model", () => {
  it("from 2 to 3 at 8,000,000 a unit is worth 8,000,000 in full, and 5,600,000 at 70 %; downwards as upwards", () => {
    assert.deepEqual([fullGain(hypothesis), expectedGain(hypothesis)], [8_000_000, 5_600_000]);
    assert.equal(fullGain({ baseline: 500, target: 400, valuePerUnit: 80_000 }), 8_000_000);
  });

  it("takes no hypothesis that goes nowhere, or is worth more than 10^14", () => {
    assert.equal(
      refusalOf(() => assertHypothesis({ ...hypothesis, target: 2 }, "h")),
      "InvalidArgument",
    );
    assert.equal(
      refusalOf(() => assertHypothesis({ ...hypothesis, valuePerUnit: 1.1e14 }, "h")),
      "InvalidArgument",
    );
    assert.equal(
      refusalOf(() => assertHypothesis({ ...hypothesis, valuePerUnit: 1e14 }, "h")),
      undefined,
    );
  });

  it("is approved by its owner where no reviewer is named, and by the last of those who are", () => {
    assert.equal(approve(submit(draft, 1), "ann", 2).state, "approved");
    const two = submit({ ...draft, reviewerIds: ["bob", "cid"] }, 1);
    const one = approve(two, "cid", 2);
    assert.deepEqual([one.state, one.approvedByIds, one.approveTime], ["in_review", ["cid"], undefined]);
    assert.equal(approve(one, "cid", 3), one);
    const all = approve(one, "bob", 4);
    assert.deepEqual([all.state, all.approvedByIds, all.approveTime], ["approved", ["cid", "bob"], 4]);
    for (const stranger of ["ann", "dan", undefined])
      assert.equal(
        refusalOf(() => approve(two, stranger, 2)),
        "NOT_A_REVIEWER",
      );
  });

  it("loses its approvals when it is returned", () => {
    const one = approve(submit({ ...draft, reviewerIds: ["bob", "cid"] }, 1), "bob", 2);
    const back = giveBack(one, "why so much?", 3);
    assert.deepEqual([back.state, back.approvedByIds, back.returnReason], ["draft", [], "why so much?"]);
    assert.deepEqual([submit(back, 4).returnReason, submit(back, 4).approvedByIds], ["", []]);
  });

  it("without hypotheses is not submitted", () => {
    assert.equal(
      refusalOf(() => submit({ ...draft, hypotheses: [] }, 1)),
      "NO_HYPOTHESES",
    );
  });

  const step = fc.record({
    kind: fc.constantFrom("submit", "return", "revise", "supersede", "approve", "approve", "approve"),
    by: fc.constantFrom("ann", "bob", "cid", "dan"),
  });

  it("keeps, whatever is tried: steps only along the arrows, a repeat is the same, approved only with every approval", () => {
    const arrows = new Set(["draft>in_review", "in_review>approved", "in_review>draft", "approved>superseded", "approved>draft"]);
    const people = fc.uniqueArray(fc.constantFrom("ann", "bob", "cid"), { maxLength: 3 });
    fc.assert(
      fc.property(people, fc.array(step, { maxLength: 40 }), (reviewerIds, steps) => {
        let model: Model = { ...draft, reviewerIds };
        for (const [at, one] of steps.entries()) {
          const take = (from: Model): Model => {
            if (one.kind === "submit") return submit(from, at);
            if (one.kind === "return") return giveBack(from, "because", at);
            if (one.kind === "revise") return nextVersion(from, at);
            if (one.kind === "supersede") return from.state === "approved" ? supersede(from, at) : from;
            return approve(from, one.by, at);
          };
          let after = model;
          const before = JSON.stringify(model);
          const refusal = refusalOf(() => {
            after = take(model);
          });
          assert.equal(JSON.stringify(model), before, "a step changed what it was given");
          if (refusal !== undefined) {
            assert.ok(
              ["MODEL_NOT_IN_DRAFT", "MODEL_NOT_IN_REVIEW", "MODEL_NOT_APPROVED", "NOT_A_REVIEWER"].includes(refusal),
              refusal,
            );
            continue;
          }
          if (after.state !== model.state)
            assert.ok(arrows.has(`${model.state}>${after.state}`), `${model.state}>${after.state}`);
          if (one.kind !== "revise" && one.kind !== "supersede") assert.equal(take(after), after, `${one.kind} twice`);
          if (after.state === "approved") assert.deepEqual(after.approvedByIds.toSorted(), approvers(after).toSorted());
          if (after.state === "draft") assert.deepEqual(after.approvedByIds, []);
          assert.equal(after.version, model.version + (one.kind === "revise" ? 1 : 0));
          model = after;
        }
      }),
    );
  });
});
