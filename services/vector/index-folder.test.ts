import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Query } from "./collection-index.ts";
import { IndexFolder } from "./index-folder.ts";
import type { Row } from "./row.ts";
import { rowWords } from "./text-index.ts";
import { freshFolder, normalFrom, randomFrom } from "./vector.fixture.ts";

const dimensions = 16;
const shape = { dimensions, metric: "cosine" } as const;
const plain: Omit<Query, "vector"> = {
  ...{ mode: "vector", text: "", topK: 10, condition: undefined, textWeight: 0.5, effort: 400, exact: false },
};

/** Rows of random vectors with keys from `first`, the same every time; `version` makes others. */
function rowsOf(first: number, count: number, version = 0): Row[] {
  return Array.from({ length: count }, (_, at): Row => {
    const key = first + at;
    const normal = normalFrom(randomFrom(key * 7919 + version));
    const vector = Float32Array.from({ length: dimensions }, normal);
    const metadata = JSON.stringify({ key, even: key % 2 === 0 });
    return { key, removed: false, vector, words: rowWords(`row number${key}`), metadata };
  });
}

const queries = Array.from({ length: 20 }, (_, at) =>
  Float32Array.from({ length: dimensions }, normalFrom(randomFrom(at + 1e6))),
);

/** What each query finds, by comparing with all. */
function exactKeys(folder: IndexFolder): number[][] {
  return queries.map((vector) => folder.index.search({ ...plain, vector, exact: true }).map(({ key }) => key));
}

function recall(folder: IndexFolder, o: Partial<Query> = {}): number {
  let found = 0;
  let wanted = 0;
  for (const vector of queries) {
    const right = new Set(folder.index.search({ ...plain, ...o, vector, exact: true }).map(({ key }) => key));
    const keys = folder.index.search({ ...plain, ...o, vector }).map(({ key }) => key);
    found += keys.filter((key) => right.has(key)).length;
    wanted += right.size;
  }
  return found / wanted;
}

function settle(folder: IndexFolder): void {
  while (folder.busy) folder.step();
}

describe("vector: an index in its folder", function () {
  this.timeout(60_000);
  let home: { readonly path: string } & AsyncDisposable;
  let path: string;
  const open = () => new IndexFolder(path, shape);
  beforeEach(async () => {
    home = await freshFolder();
    path = join(home.path, "one");
  });
  afterEach(() => home[Symbol.asyncDispose]());

  it("opened again it finds what it found, without a graph to make anew", () => {
    const folder = open();
    folder.apply(rowsOf(1, 6000), { change: 3, key: 6000 });
    folder.apply([{ key: 5, removed: true }, ...rowsOf(10, 5, 1)], { change: 4, key: 14 });
    settle(folder);
    folder.save();
    const before = exactKeys(folder);
    folder.close();
    const again = open();
    assert.deepEqual([again.damage, again.position, again.index.rows], [undefined, { change: 4, key: 14 }, 5999]);
    assert.deepEqual([again.index.pending, exactKeys(again)], [0, before]);
    again.close();
  });

  it("rows that the graph has not yet are found all the same", () => {
    const folder = open();
    folder.apply(rowsOf(1, 6000), { change: 1, key: 6000 });
    settle(folder);
    folder.apply(rowsOf(6001, 3000), { change: 2, key: 9000 });
    assert.equal(folder.index.pending, 3000);
    assert.ok(recall(folder) > 0.99, String(recall(folder)));
    settle(folder);
    assert.ok(recall(folder) > 0.99, String(recall(folder)));
    folder.close();
  });

  const damages: [string, (log: string) => void][] = [
    ["cut in the last block", (log) => truncateSync(log, statSync(log).size - 10)],
    ["one byte of the last block changed", (log) => change(log, statSync(log).size - 100)],
    ["bytes of a block that was being written", (log) => writeFileSync(log, Buffer.alloc(50, 7), { flag: "a" })],
  ];
  for (const [what, damage] of damages) {
    it(`rows.log ${what}: what is before it is there, and what comes after is taken in again`, () => {
      const folder = open();
      folder.apply(rowsOf(1, 100), { change: 1, key: 100 });
      folder.apply(rowsOf(101, 100), { change: 2, key: 200 });
      const before = exactKeys(folder);
      folder.close();
      damage(join(path, "rows.log"));
      const again = open();
      assert.match(again.damage ?? "", /^rows\.log is damaged at byte \d+$/);
      if (again.position.change === 1) again.apply(rowsOf(101, 100), { change: 2, key: 200 });
      assert.deepEqual([exactKeys(again), again.position], [before, { change: 2, key: 200 }]);
      again.close();
      const third = open();
      assert.deepEqual([third.damage, exactKeys(third)], [undefined, before]);
      third.close();
    });
  }

  const graphDamages: [string, (graph: string) => void][] = [
    ["missing", (graph) => rmSync(graph)],
    ["with one byte changed", (graph) => change(graph, 5000)],
    ["cut", (graph) => truncateSync(graph, 4000)],
    ["of another time than its note", (graph) => writeFileSync(`${graph}.json`, '{"slots": 9999999, "bytes": 1, "crc": 1}')],
  ];
  for (const [what, damage] of graphDamages) {
    it(`a graph ${what} is made anew, and nothing is missed meanwhile`, () => {
      const folder = open();
      folder.apply(rowsOf(1, 5000), { change: 1, key: 5000 });
      settle(folder);
      folder.save();
      const before = exactKeys(folder);
      folder.close();
      damage(join(path, "graph"));
      const again = open();
      assert.match(again.damage ?? "", /^graph cannot be read/);
      assert.deepEqual([again.index.pending, again.index.rows, exactKeys(again), recall(again)], [5000, 5000, before, 1]);
      settle(again);
      assert.ok(recall(again) > 0.99);
      again.close();
    });
  }

  it("words and graph of more rows than the log has are dropped, and words are found as before", () => {
    const folder = open();
    folder.apply(rowsOf(1, 100), { change: 1, key: 100 });
    const bytes = statSync(join(path, "rows.log")).size;
    folder.apply(rowsOf(101, 5000), { change: 2, key: 5100 });
    settle(folder);
    folder.save();
    const find = (from: IndexFolder, text: string) =>
      from.index.search({ ...plain, mode: "text", vector: undefined, text }).map(({ key }) => key);
    folder.close();
    const again = open();
    assert.deepEqual([again.damage, find(again, "number5000"), find(again, "number50")], [undefined, [5000], [50]]);
    again.close();
    truncateSync(join(path, "rows.log"), bytes);
    const cut = open();
    assert.deepEqual([cut.index.rows, find(cut, "number5000"), find(cut, "number50")], [100, [], [50]]);
    cut.apply(rowsOf(9001, 6000), { change: 2, key: 15_000 });
    cut.close();
    const grown = open();
    assert.deepEqual([grown.damage, grown.index.graphSlots, find(grown, "number9100")], [undefined, 0, [9100]]);
    grown.close();
  });

  it("files that know of later changes than the database are begun anew", () => {
    const folder = open();
    folder.apply(rowsOf(1, 10), { change: 9, key: 10 });
    folder.close();
    const again = new IndexFolder(path, shape, 8);
    assert.deepEqual([again.index.rows, again.position.change], [0, 0]);
    assert.equal(again.damage, "rows.log knows of changes that the database does not have");
    again.close();
  });

  it("rows that are replaced again and again do not fill it: it is made anew without the dead, and changes meanwhile are in it", () => {
    const folder = open();
    for (let version = 0; version < 8; version++) folder.apply(rowsOf(1, 2000, version), { change: version + 1, key: 2000 });
    assert.equal(folder.index.slots, 16_000);
    // One step only, so that the next change comes in the middle.
    folder.step();
    folder.apply([{ key: 7, removed: true }, ...rowsOf(8, 1, 99)], { change: 20, key: 8 });
    settle(folder);
    assert.deepEqual([folder.index.rows, folder.position.change], [1999, 20]);
    assert.ok(folder.index.slots < 9000, String(folder.index.slots));
    const before = exactKeys(folder);
    assert.equal(existsSync(`${path}.next`), false);
    folder.close();
    const again = open();
    assert.deepEqual([again.damage, again.index.rows, again.position.change, exactKeys(again)], [undefined, 1999, 20, before]);
    again.close();
  });

  for (const [what, value, least] of [
    ["all but 10 of 25,000 rows, which is searched by the graph", { kind: "greater", path: ["key"], value: 10 }, 0.95],
    ["0.1 % of them, which are compared with", { kind: "at-most", path: ["key"], value: 30 }, 1],
  ] as const) {
    it(`a filter that passes ${what}, misses less than ${Math.round((1 - least) * 100)} %`, () => {
      const folder = open();
      folder.apply(rowsOf(1, 25_000), { change: 1, key: 25_000 });
      settle(folder);
      assert.ok(recall(folder, { condition: value }) >= least, String(recall(folder, { condition: value })));
      folder.close();
    });
  }
});

function change(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  writeFileSync(file, bytes);
}
