import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { reasonOf } from "#mesh/errors.ts";
import { assertOpen, complete, confidenceUsed, drop, isOpen, rankAll, type Strategy, start } from "./strategy.ts";

const strategy: Strategy = {
  ...{
    id: "a",
    userId: "ann",
    modelId: "m",
    hypothesisId: "h",
    title: "T",
    description: "",
    effect: 0.5,
    confidence: 0.8,
    reach: 0.5,
  },
  ...{ effortDays: 10, state: "proposed", reason: "", achievedEffect: undefined, createTime: 0, updateTime: 0 },
};
const ground = (realisedShare?: number) => () => ({ fullGain: 100_000, realisedShare });

function refusalOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof ConnectError, String(error));
    return reasonOf(error) ?? Code[error.code];
  }
  return undefined;
}

describe("strategy", () => {
  it("0.5 of 100,000 at 0.8 over half of the field in 10 days is 2,000 a day, 20,000 in all", () => {
    const [ranked] = rankAll([strategy], ground());
    assert.deepEqual(ranked, { strategy, rank: 1, score: 2000, confidenceUsed: 0.8, expectedGain: 20_000 });
  });

  for (const [share, used] of [
    [undefined, 0.8],
    [0.4, 0.6],
    [0, 0.4],
    [-3, 0.4],
    [1, 0.9],
    [7, 0.9],
  ] as const) {
    it(`stated at 0.8, with ${share} realised, is used at ${used}`, () => {
      assert.ok(Math.abs(confidenceUsed(0.8, share) - used) < 1e-12);
    });
  }

  it("is ranked by score, then by age; what is completed or dropped stands behind, without a rank", () => {
    const all = [
      { ...strategy, id: "d", state: "dropped" as const, effect: 9 },
      { ...strategy, id: "c" },
      { ...strategy, id: "e", effect: 0.9, state: "running" as const },
      { ...strategy, id: "b" },
      { ...strategy, id: "a", state: "completed" as const },
    ];
    const ranked = rankAll(all, ground()).map(({ strategy: { id }, rank }) => `${id}${rank}`);
    assert.deepEqual(ranked, ["e1", "b2", "c3", "a0", "d0"]);
  });

  it("is worth nothing where its hypothesis is in the approved version no more", () => {
    const [ranked] = rankAll([strategy], () => ({ fullGain: 0, realisedShare: undefined }));
    assert.deepEqual([ranked?.rank, ranked?.score], [1, 0]);
  });

  it("ranks are 1 to n over the open ones, scores never rise, and the order is that of no particular input", () => {
    const one = fc.record({
      effect: fc.constantFrom(0.1, 0.5, 2),
      effortDays: fc.constantFrom(1, 10),
      state: fc.constantFrom("proposed" as const, "running" as const, "completed" as const, "dropped" as const),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 12 }), (parts) => {
        const all = parts.map((part, at) => ({ ...strategy, ...part, id: String(at).padStart(2, "0") }));
        const ranked = rankAll(all, ground(0.5));
        const open = ranked.filter(({ strategy: it }) => isOpen(it));
        assert.deepEqual(
          open.map(({ rank }) => rank),
          open.map((_, at) => at + 1),
        );
        assert.deepEqual(ranked.slice(0, open.length), open);
        for (const [at, { score }] of open.entries()) assert.ok(score <= (open[at - 1]?.score ?? Number.POSITIVE_INFINITY));
        assert.deepEqual(rankAll(all.toReversed(), ground(0.5)), ranked);
      }),
    );
  });

  it("keeps, whatever is tried: steps only along the arrows, a repeat is the same, what has ended stays so", () => {
    const arrows = new Set(["proposed>running", "running>completed", "proposed>dropped", "running>dropped"]);
    const kinds = fc.constantFrom("start" as const, "complete" as const, "drop" as const, "edit" as const);
    fc.assert(
      fc.property(fc.array(kinds, { maxLength: 20 }), (steps) => {
        let now = strategy;
        for (const [at, kind] of steps.entries()) {
          const take = (from: Strategy): Strategy => {
            if (kind === "start") return start(from, at);
            if (kind === "complete") return complete(from, 0.3, at);
            if (kind === "drop") return drop(from, "no", at);
            assertOpen(from);
            return from;
          };
          let after = now;
          const refusal = refusalOf(() => {
            after = take(now);
          });
          if (refusal !== undefined) {
            assert.match(refusal, /^STRATEGY_(NOT_PROPOSED|NOT_RUNNING|CLOSED)$/);
            continue;
          }
          if (after.state !== now.state) assert.ok(arrows.has(`${now.state}>${after.state}`), `${now.state}>${after.state}`);
          assert.equal(take(after), after, `${kind} twice`);
          now = after;
        }
      }),
    );
  });
});
