import assert from "node:assert/strict";
import { Inbox } from "./inbox.ts";

function inboxOf(options: { paused?: boolean; highWater?: number } = {}) {
  const taps: string[] = [];
  const tap = { pause: () => taps.push("pause"), resume: () => taps.push("resume"), close: () => taps.push("close") };
  const inbox = new Inbox<string>(tap as never, { paused: false, highWater: 0, sizeOf: ({ length }) => length, ...options });
  return { inbox, taps };
}

describe("gateway/inbox", () => {
  it("gives items in order, those that came first and those that were waited for, then the end", async () => {
    const { inbox } = inboxOf();
    inbox.push("a");
    inbox.push("b");
    const got = Array.fromAsync(inbox);
    await Promise.resolve();
    inbox.push("c");
    inbox.end();
    inbox.push("d");
    assert.deepEqual(await got, ["a", "b", "c"]);
  });

  it("pauses the source once something waits, and resumes it when somebody waits for more", async () => {
    const { inbox, taps } = inboxOf();
    inbox.push("a");
    inbox.push("b");
    assert.deepEqual(taps, ["pause"]);
    await inbox.next();
    await inbox.next();
    assert.deepEqual(taps, ["pause"]);
    const third = inbox.next();
    assert.deepEqual(taps, ["pause", "resume"]);
    inbox.push("c");
    assert.deepEqual([await third, taps], [{ done: false, value: "c" }, ["pause", "resume"]]);
  });

  it("lets 4 bytes wait below a high water of 5", async () => {
    const { inbox, taps } = inboxOf({ highWater: 5 });
    inbox.push("four");
    assert.deepEqual(taps, []);
    inbox.push("x");
    assert.deepEqual(taps, ["pause"]);
  });

  it("starts a source that stands still with the first question", async () => {
    const { inbox, taps } = inboxOf({ paused: true });
    const first = inbox.next();
    assert.deepEqual(taps, ["resume"]);
    inbox.push("a");
    assert.deepEqual(await first, { done: false, value: "a" });
  });

  it("gives an error at once, in place of what waits", async () => {
    const { inbox } = inboxOf();
    inbox.push("a");
    inbox.end(new Error("gone"));
    await assert.rejects(inbox.next(), /gone/);
    const { inbox: other } = inboxOf();
    const waiting = other.next();
    other.end(new Error("gone"));
    await assert.rejects(waiting, /gone/);
  });

  it("closes the tap when its reader leaves", async () => {
    const { inbox, taps } = inboxOf();
    inbox.push("a");
    for await (const _ of inbox) break;
    assert.deepEqual([taps, await inbox.next()], [["pause", "close"], { done: true, value: undefined }]);
  });
});
