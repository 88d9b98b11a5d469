import assert from "node:assert/strict";
import { ChangeIndex } from "./change-index.ts";

/** Whether `promise` settles before the event loop has turned twice. */
async function settles(promise: Promise<void>): Promise<boolean> {
  let settled = false;
  promise.then(() => {
    settled = true;
  });
  await new Promise((turned) => setImmediate(turned));
  return settled;
}

describe("the change index", () => {
  const never = new AbortController().signal;

  it("starts above the index of the run before: after 41 every topic has 42", () => {
    const index = new ChangeIndex(41);
    assert.deepEqual([index.current, index.of("a")], [42, 42]);
  });

  it("gives a change's number to its topics alone", () => {
    const index = new ChangeIndex(0);
    assert.equal(index.mark("a", "b"), 2);
    assert.deepEqual([index.of("a"), index.of("b"), index.of("c")], [2, 2, 1]);
  });

  it("wakes those who wait for the changed topic, and no others", async () => {
    const index = new ChangeIndex(0);
    const other = new AbortController();
    const a = index.wait("a", 1, 60_000, never);
    const b = index.wait("b", 1, 60_000, other.signal);
    index.mark("a");
    assert.deepEqual([await settles(a), await settles(b)], [true, false]);
    other.abort();
    await b;
  });

  it("does not wait when the topic is ahead, when the index is yet to come, or when the client is gone", async () => {
    const index = new ChangeIndex(0);
    index.mark("a");
    await index.wait("a", 1, 60_000, never);
    await index.wait("a", 3, 60_000, never);
    await index.wait("a", 2, 60_000, AbortSignal.abort());
  });

  it("ends a wait after its time", async () => {
    await new ChangeIndex(0).wait("a", 1, 5, never);
  });

  it("forgets topics beyond 10,000 by waking all, and no index goes backwards", async () => {
    const index = new ChangeIndex(0);
    const waiting = index.wait("quiet", 1, 60_000, never);
    for (let count = 0; count < 10_002; count += 1) index.mark(`kv:${count}`);
    assert.equal(await settles(waiting), true);
    assert.equal(index.of("quiet") > 1 && index.of("kv:5") >= 7, true);
  });
});
