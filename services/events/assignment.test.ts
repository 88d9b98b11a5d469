import assert from "node:assert/strict";
import fc from "fast-check";
import { type Claim, nextMove } from "./assignment.ts";

const claimsOf = (...members: (string | undefined)[]): Claim[] => members.map((member, partition) => ({ partition, member }));

describe("a group member's next move", () => {
  for (const [title, members, claims, me, move] of [
    [
      "alone, a takes all four",
      ["a"],
      claimsOf(undefined, undefined, undefined, undefined),
      "a",
      { release: [], take: [0, 1, 2, 3] },
    ],
    ["with b come, a gives up 2 and 3 of four", ["a", "b"], claimsOf("a", "a", "a", "a"), "a", { release: [2, 3], take: [] }],
    ["b takes what a gave up", ["a", "b"], claimsOf("a", "a", undefined, undefined), "b", { release: [], take: [2, 3] }],
    ["of three partitions the longer member has two", ["a", "b"], claimsOf("a", "a", "a"), "a", { release: [2], take: [] }],
    ["what a dead member had is free", ["b"], claimsOf("a", "b"), "b", { release: [], take: [0] }],
    ["a third member of two partitions gets none", ["a", "b", "c"], claimsOf("a", "b"), "c", { release: [], take: [] }],
    ["who is no member gives up all", ["a"], claimsOf("b", "a"), "b", { release: [0], take: [] }],
  ] as const) {
    it(title, () => assert.deepEqual(nextMove(members, claims, me), move));
  }

  it("leads, in any order of moves and from any claims, to every partition read and shares that differ by at most one", () => {
    const names = ["a", "b", "c", "d", "e"];
    const any = fc.record({
      members: fc.uniqueArray(fc.constantFrom(...names), { minLength: 1 }),
      owners: fc.array(fc.option(fc.constantFrom(...names), { nil: undefined }), { minLength: 1, maxLength: 12 }),
      order: fc.array(fc.nat(), { minLength: 40, maxLength: 40 }),
    });
    fc.assert(
      fc.property(any, ({ members, owners, order }) => {
        let claims = claimsOf(...owners);
        const turn = (me: string) => {
          const { release, take } = nextMove(members, claims, me);
          claims = claims.map(({ partition, member }) => {
            return { partition, member: release.includes(partition) ? undefined : take.includes(partition) ? me : member };
          });
        };
        for (const n of order) turn(members[n % members.length] ?? "a");
        // Two rounds: those who have too much give up, those who have too little take.
        for (const me of [...members, ...members]) turn(me);
        const counts = members.map((me) => claims.filter(({ member }) => member === me).length);
        assert.equal(
          counts.reduce((sum, count) => sum + count, 0),
          claims.length,
        );
        assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, String(counts));
      }),
    );
  });
});
