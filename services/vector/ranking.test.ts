import assert from "node:assert/strict";
import fc from "fast-check";
import { type Condition, type Metadata, predicateOf } from "./filter.ts";
import { fuse } from "./fusion.ts";
import { rowWords, TextIndex } from "./text-index.ts";
import { Top } from "./top.ts";

describe("vector: the best of many", () => {
  it("keeps what sorting all would put first, for any scores", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 })), fc.integer({ min: 0, max: 10 }), (scores, size) => {
        const top = new Top(size);
        for (const [slot, score] of scores.entries()) top.offer(slot, score);
        const all = scores.map((score, slot) => ({ slot, score })).sort((a, b) => b.score - a.score || a.slot - b.slot);
        assert.deepEqual(top.sorted(), all.slice(0, size));
      }),
    );
  });
});

describe("vector: BM25", () => {
  const texts = ["the cat sat", "the dog sat on the cat", "birds"];
  const indexOf = (some: readonly string[]) => {
    const index = new TextIndex();
    for (const [slot, text] of some.entries()) index.add(slot, rowWords(text));
    return index;
  };
  const scores = (index: TextIndex, query: string, passes = (_: number) => true) => {
    const top = new Top(10);
    index.search(query, passes, top, []);
    return top.sorted();
  };

  it("is what the formula says: k1 1.2, b 0.75, ln(1 + (N - n + 0.5) / (n + 0.5))", () => {
    const rarity = Math.log(1 + (3 - 2 + 0.5) / (2 + 0.5));
    const part = (length: number) => (rarity * 2.2) / (1 + 1.2 * (0.25 + (0.75 * length) / (10 / 3)));
    const found = scores(indexOf(texts), "cats");
    assert.deepEqual(
      found.map(({ slot }) => slot),
      [0, 1],
    );
    for (const { slot, score } of found) assert.ok(Math.abs(score - part(slot === 0 ? 3 : 6)) < 1e-6);
  });

  it("passes over the dead and what the filter leaves out, and tells the scores of the slots it is asked about", () => {
    const index = indexOf(texts);
    assert.deepEqual(
      scores(index, "cat", (slot) => slot !== 0).map(({ slot }) => slot),
      [1],
    );
    const asked = index.search("cat", () => true, new Top(1), [1, 2]);
    assert.deepEqual([...asked.keys()], [1]);
    index.remove(0);
    assert.deepEqual(
      scores(index, "cat").map(({ slot }) => slot),
      [1],
    );
    assert.deepEqual(scores(index, "nothing"), []);
  });
});

describe("vector: fusion", () => {
  const similarity = new Map([
    [1, 0.9],
    [2, 0.5],
    [3, 0.1],
  ]);
  const textScores = new Map([
    [2, 8],
    [3, 2],
  ]);
  const rows: [number, [number, number][]][] = [
    [
      0,
      [
        [1, 1],
        [2, 0.5],
        [3, 0],
      ],
    ],
    [
      0.5,
      [
        [2, 0.75],
        [1, 0.5],
        [3, 0.125],
      ],
    ],
    [
      1,
      [
        [2, 1],
        [3, 0.25],
        [1, 0],
      ],
    ],
  ];
  for (const [textWeight, expected] of rows) {
    it(`text_weight ${textWeight}: ${JSON.stringify(expected)}`, () => {
      const found = fuse({ mode: "hybrid", topK: 3, textWeight, similarity, textScores });
      assert.deepEqual(
        found.map(({ slot, score }) => [slot, Number(score.toFixed(6))]),
        expected,
      );
    });
  }
});

describe("vector: conditions", () => {
  const metadata: Metadata = { lang: "en", year: 2020, tags: ["a", 1], none: null, author: { name: "Ada" }, "a.b": 1, ok: true };
  const rows: [Condition, boolean][] = [
    [{ kind: "equal", path: ["none"], value: null }, true],
    [{ kind: "equal", path: ["missing"], value: null }, false],
    [{ kind: "exists", path: ["none"] }, true],
    [{ kind: "equal", path: ["author", "name"], value: "Ada" }, true],
    [{ kind: "equal", path: ["a", "b"], value: 1 }, true],
    [{ kind: "equal", path: ["tags"], value: 1 }, true],
    [{ kind: "in", path: ["tags"], values: ["x", "a"] }, true],
    [{ kind: "equal", path: ["year"], value: "2020" }, false],
    [{ kind: "greater", path: ["lang"], value: "de" }, true],
    [{ kind: "less", path: ["ok"], value: 2 }, false],
    [{ kind: "exists", path: ["constructor"] }, false],
    [{ kind: "equal", path: ["tags", "0"], value: "a" }, false],
    [{ kind: "all", conditions: [] }, true],
    [{ kind: "not", condition: { kind: "any", conditions: [] } }, true],
  ];
  for (const [condition, expected] of rows) {
    it(`${JSON.stringify(condition)} is ${expected}`, () => assert.equal(predicateOf(condition)(metadata), expected));
  }
});
