import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { reasonOf } from "#mesh/errors.ts";
import {
  approve,
  assertContent,
  assertDraft,
  type Commitment,
  openApprovals,
  type Person,
  propose,
  reject,
  revise,
  sign,
  withdraw,
} from "./commitment.ts";

const draft: Commitment = {
  ...{
    id: "c",
    userId: "ann",
    modelId: "m",
    modelVersion: 1,
    title: "T",
    amount: 100,
    currency: "EUR",
    terms: [],
    deliverables: [],
  },
  contract: { reference: "", counterparty: "", startDate: "", endDate: "" },
  ...{ requiredApprovals: [], approvals: [], state: "draft", reason: "", signatory: "", createTime: 0, updateTime: 0 },
  signTime: undefined,
};
const person = (id: string, ...roles: string[]): Person => ({ id, roles });
const term = (kind: Commitment["terms"][number]["kind"], amount: number) => ({ kind, title: "T", text: "", amount, dueDate: "" });

function refusalOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof ConnectError, String(error));
    return reasonOf(error) ?? Code[error.code];
  }
  return undefined;
}

describe("commitment", () => {
  it("that needs no approval is approved when it is proposed", () => assert.equal(propose(draft, 1, 1).state, "approved"));

  it("is proposed only with payments that come to its amount, where there are any", () => {
    const parts = (...amounts: number[]) => ({
      ...draft,
      terms: [...amounts.map((one) => term("payment", one)), term("penalty", 7)],
    });
    assert.equal(propose(parts(60, 40), 1, 1).state, "approved");
    assert.equal(propose(parts(), 1, 1).state, "approved");
    assert.equal(
      refusalOf(() => propose(parts(60, 41), 1, 1)),
      "PAYMENTS_DO_NOT_ADD_UP",
    );
  });

  it("of a version that was superseded is neither proposed nor signed", () => {
    assert.equal(
      refusalOf(() => propose(draft, 2, 1)),
      "MODEL_SUPERSEDED",
    );
    assert.equal(
      refusalOf(() => sign(propose(draft, 1, 1), "A", 2, 1)),
      "MODEL_SUPERSEDED",
    );
  });

  it("counts an approval for the name before the role, one a person, and none of the owner's by role", () => {
    const needs = [{ role: "cfo" }, { userId: "bob" }, { role: "cfo" }];
    const proposed = propose({ ...draft, requiredApprovals: needs }, 1, 1);
    const bob = approve(proposed, person("bob", "cfo"), "", 2);
    assert.deepEqual(bob.approvals, [{ userId: "bob", requirement: 1, note: "", time: 2 }]);
    assert.equal(approve(bob, person("bob", "cfo"), "again", 3), bob);
    assert.equal(
      refusalOf(() => approve(bob, person("ann", "cfo"), "", 3)),
      "NOT_AN_APPROVER",
    );
    assert.equal(
      refusalOf(() => approve(bob, person("dan", "ceo"), "", 3)),
      "NOT_AN_APPROVER",
    );
    assert.equal(
      refusalOf(() => approve(bob, undefined, "", 3)),
      "NOT_AN_APPROVER",
    );
    const two = approve(approve(bob, person("cid", "cfo"), "", 4), person("eve", "cfo"), "", 5);
    assert.deepEqual([two.state, two.approvals.map(({ requirement }) => requirement)], ["approved", [1, 0, 2]]);
  });

  it("is approved by the owner where it names them", () => {
    const proposed = propose({ ...draft, requiredApprovals: [{ userId: "ann" }] }, 1, 1);
    assert.equal(approve(proposed, person("ann"), "", 2).state, "approved");
  });

  it("is refused by somebody who could approve it, and drafted anew without its approvals", () => {
    const proposed = propose({ ...draft, requiredApprovals: [{ userId: "bob" }, { role: "cfo" }] }, 1, 1);
    const rejected = reject(approve(proposed, person("bob"), "", 2), person("bob"), "no", 3);
    assert.deepEqual([rejected.state, rejected.reason], ["rejected", "no"]);
    assert.equal(
      refusalOf(() => reject(proposed, person("dan"), "no", 3)),
      "NOT_AN_APPROVER",
    );
    const again = revise(rejected, 4);
    assert.deepEqual([again.state, again.reason, again.approvals], ["draft", "", []]);
  });

  it("takes no contract that ends before it begins, and no payment of nothing", () => {
    const dated = { ...draft, contract: { ...draft.contract, startDate: "2027-02-01", endDate: "2027-01-31" } };
    assert.equal(
      refusalOf(() => assertContent(dated)),
      "InvalidArgument",
    );
    assert.equal(
      refusalOf(() => assertContent({ ...draft, terms: [term("payment", 0)] })),
      "InvalidArgument",
    );
    assert.equal(
      refusalOf(() => assertContent({ ...draft, terms: [term("service_level", 0)] })),
      undefined,
    );
  });

  it("keeps, whatever is tried: steps only along the arrows, repeats are the same, signed only with every approval, and then for good", () => {
    const arrows = new Set([
      ...["draft>proposed", "draft>approved", "proposed>approved", "proposed>rejected", "rejected>draft", "approved>signed"],
      ...["draft>withdrawn", "proposed>withdrawn", "approved>withdrawn", "rejected>withdrawn"],
    ]);
    const people = [person("ann", "cfo"), person("bob", "cfo"), person("cid", "cfo", "ceo"), person("dan")];
    const needs = fc.array(fc.constantFrom({ userId: "bob" }, { userId: "dan" }, { role: "cfo" }, { role: "ceo" }), {
      maxLength: 4,
    });
    const step = fc.record({
      kind: fc.constantFrom("propose", "approve", "approve", "approve", "reject", "revise", "sign", "withdraw", "edit"),
      by: fc.constantFrom(...people),
    });
    fc.assert(
      fc.property(needs, fc.array(step, { maxLength: 30 }), (requiredApprovals, steps) => {
        let now: Commitment = { ...draft, requiredApprovals };
        for (const [at, { kind, by }] of steps.entries()) {
          const take = (from: Commitment): Commitment => {
            if (kind === "propose") return propose(from, 1, at);
            if (kind === "approve") return approve(from, by, "", at);
            if (kind === "reject") return reject(from, by, "no", at);
            if (kind === "revise") return revise(from, at);
            if (kind === "sign") return sign(from, "A", 1, at);
            if (kind === "withdraw") return withdraw(from, "", at);
            assertDraft(from);
            return from;
          };
          let after = now;
          const refusal = refusalOf(() => {
            after = take(now);
          });
          if (refusal !== undefined) {
            assert.match(refusal, /^(COMMITMENT_NOT_IN_[A-Z]+|COMMITMENT_SIGNED|NOT_AN_APPROVER)$/);
            continue;
          }
          if (after.state !== now.state) assert.ok(arrows.has(`${now.state}>${after.state}`), `${now.state}>${after.state}`);
          assert.equal(take(after), after, `${kind} twice`);
          const givers = after.approvals.map(({ userId }) => userId);
          assert.equal(new Set(givers).size, givers.length, "somebody counts twice");
          if (after.state === "approved" || after.state === "signed") {
            assert.equal(new Set(after.approvals.map(({ requirement }) => requirement)).size, requiredApprovals.length);
          }
          assert.equal(openApprovals(after).length > 0, after.state === "proposed");
          if (now.state === "signed" || now.state === "withdrawn") assert.equal(after, now);
          now = after;
        }
      }),
    );
  });
});
