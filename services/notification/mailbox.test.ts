import assert from "node:assert/strict";
import { Mailbox } from "./mailbox.ts";

const open = (size = 2) => {
  let closed = 0;
  const box = new Mailbox<number>(
    size,
    () => new Error("too slow"),
    () => void closed++,
  );
  return { box, closed: () => closed };
};

describe("mailbox", () => {
  it("hands out 1, 2 in order, then ends", async () => {
    const { box, closed } = open();
    box.put(1);
    box.put(2);
    box.end();
    assert.deepEqual(await Array.fromAsync(box), [1, 2]);
    assert.equal(closed(), 1);
  });

  it("wakes a reader that waits", async () => {
    const { box } = open();
    const next = box.next();
    box.put(7);
    assert.deepEqual(await next, { done: false, value: 7 });
  });

  it("fails at the third item in a box of 2 that nobody reads, and forgets what waited", async () => {
    const { box, closed } = open();
    for (const item of [1, 2, 3]) box.put(item);
    assert.equal(closed(), 1);
    await assert.rejects(box.next(), /too slow/);
    assert.deepEqual(await box.next(), { done: true, value: undefined });
  });

  it("ends a reader that waits", async () => {
    const { box } = open();
    const next = box.next();
    box.end();
    assert.deepEqual(await next, { done: true, value: undefined });
  });

  it("fails a reader that waits, once", async () => {
    const { box, closed } = open();
    const next = box.next();
    box.fail(new Error("gone"));
    await assert.rejects(next, /gone/);
    assert.deepEqual(await box.next(), { done: true, value: undefined });
    assert.equal(closed(), 1);
  });

  it("takes nothing after return(), which also frees a reader that waits", async () => {
    const { box, closed } = open();
    const next = box.next();
    await box.return();
    box.put(1);
    assert.deepEqual(await next, { done: true, value: undefined });
    assert.deepEqual(await box.next(), { done: true, value: undefined });
    assert.equal(closed(), 1);
  });
});
