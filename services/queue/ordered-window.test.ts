import assert from "node:assert/strict";
import { array, assert as check, constantFrom, integer, oneof, property, record } from "fast-check";
import { type Entry, OrderedWindow } from "./ordered-window.ts";

describe("ordered window", () => {
  const items = (entries: readonly Entry<string>[]) => entries.map(({ item }) => item);

  it('opens the first of each key, "a1" and "b1" of a1 a2 b1, and "a2" when "a1" is done', () => {
    const window = new OrderedWindow<string>();
    for (const item of ["a1", "a2", "b1"]) window.add(item, item[0] ?? "");
    const [a1, ...rest] = window.take(10, 0);
    assert.deepEqual([a1?.item, items(rest)], ["a1", ["b1"]]);
    assert.deepEqual(window.take(10, 0), []);
    assert.ok(a1 !== undefined);
    window.settle(a1);
    assert.deepEqual(items(window.take(10, 0)), ["a2"]);
  });

  it("opens no more than asked for, those that arrived first", () => {
    const window = new OrderedWindow<string>();
    for (const item of ["a", "b", "c"]) window.add(item, item);
    assert.deepEqual(items(window.take(2, 0)), ["a", "b"]);
  });

  it("opens all of those without a key", () => {
    const window = new OrderedWindow<string>();
    for (const item of ["1", "2"]) window.add(item, "");
    assert.deepEqual(items(window.take(10, 0)), ["1", "2"]);
  });

  it("keeps a key waiting until the time of the one that was given back", () => {
    const window = new OrderedWindow<string>();
    for (const item of ["a1", "a2"]) window.add(item, "a");
    const [a1] = window.take(1, 0);
    assert.ok(a1 !== undefined);
    window.release(a1, 100);
    assert.deepEqual([window.waiting(99), window.take(10, 99)], [{ ready: 1, later: 1 }, []]);
    assert.deepEqual(items(window.take(10, 100)), ["a1"]);
    assert.deepEqual([window.open, window.waiting(100)], [1, { ready: 1, later: 0 }]);
  });

  it("drains what is not open, and settles what is open after that", () => {
    const window = new OrderedWindow<string>();
    for (const item of ["a1", "a2", "b1"]) window.add(item, item[0] ?? "");
    const [a1] = window.take(1, 0);
    assert.ok(a1 !== undefined);
    assert.deepEqual(items(window.drain()).sort(), ["a2", "b1"]);
    window.settle(a1);
    window.settle(a1);
    assert.deepEqual([window.open, window.waiting(0)], [0, { ready: 0, later: 0 }]);
  });

  it("opens each key's messages in order, one at a time, whatever is done with them", () => {
    const step = oneof(
      record({ what: constantFrom("add" as const), key: constantFrom("a", "b", "c") }),
      record({ what: constantFrom("take" as const), max: integer({ min: 1, max: 3 }) }),
      record({ what: constantFrom("settle" as const, "release" as const), index: integer({ min: 0, max: 5 }) }),
    );
    check(
      property(array(step, { maxLength: 60 }), (steps) => {
        const window = new OrderedWindow<{ key: string; n: number }>();
        const added = new Map<string, number>();
        const settled = new Map<string, number>();
        const open: Entry<{ key: string; n: number }>[] = [];
        for (const one of steps) {
          if (one.what === "add") {
            const n = added.get(one.key) ?? 0;
            added.set(one.key, n + 1);
            window.add({ key: one.key, n }, one.key);
          } else if (one.what === "take") {
            for (const entry of window.take(one.max, 0)) {
              assert.equal(entry.item.n, settled.get(entry.item.key) ?? 0);
              assert.ok(open.every(({ item }) => item.key !== entry.item.key));
              open.push(entry);
            }
          } else {
            const [entry] = open.splice(one.index, 1);
            if (entry === undefined) continue;
            if (one.what === "release") window.release(entry, 0);
            else {
              window.settle(entry);
              settled.set(entry.item.key, entry.item.n + 1);
            }
          }
        }
        assert.equal(window.open, open.length);
      }),
    );
  });
});
