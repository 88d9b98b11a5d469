import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { mapStream } from "./stream.ts";

/** A source that writes down what becomes of it. */
async function* source(events: string[], failAt?: number): AsyncGenerator<number> {
  try {
    for (let n = 1; n <= 3; n++) {
      if (n === failAt) throw new Error(`no ${n}`);
      yield n;
    }
    events.push("ended");
  } finally {
    events.push("cleaned");
  }
}

function recorded(events: string[], failAt?: number): AsyncIterable<number> {
  return mapStream(source(events, failAt), {
    each: (n) => n * 10,
    done: () => void events.push("done"),
    failed: (error) => void events.push(`failed: ${(error as Error).message}`),
  });
}

describe("mapStream", () => {
  it("1 2 3 becomes 10 20 30, and done is called once after the source", async () => {
    const events: string[] = [];
    assert.deepEqual(await Array.fromAsync(recorded(events)), [10, 20, 30]);
    assert.deepEqual(events, ["ended", "cleaned", "done"]);
  });

  it("a reader that stops after the first item ends the source", async () => {
    const events: string[] = [];
    for await (const n of recorded(events)) {
      assert.equal(n, 10);
      break;
    }
    assert.deepEqual(events, ["done", "cleaned"]);
  });

  it("an error of the source is seen once and thrown on", async () => {
    const events: string[] = [];
    await assert.rejects(Array.fromAsync(recorded(events, 2)), { message: "no 2" });
    assert.deepEqual(events, ["cleaned", "failed: no 2"]);
  });

  it("an error of a step ends the source", async () => {
    const events: string[] = [];
    const stream = mapStream(source(events), {
      each() {
        throw new Error("bad item");
      },
    });
    await assert.rejects(Array.fromAsync(stream), { message: "bad item" });
    assert.deepEqual(events, ["cleaned"]);
  });

  it("an abort while the source is stuck is thrown at once, and the source is ended when it wakes up", async () => {
    const stuck = Promise.withResolvers<number>();
    const cleaned = Promise.withResolvers<void>();
    const abort = Promise.withResolvers<never>();
    async function* waiting() {
      try {
        yield await stuck.promise;
      } finally {
        cleaned.resolve();
      }
    }
    const around = <R>(step: () => Promise<R>, kind: string) =>
      kind === "next" ? Promise.race([step(), abort.promise]) : step();
    const next = mapStream(waiting(), { around })[Symbol.asyncIterator]().next();
    abort.reject(new Error("aborted"));
    await assert.rejects(next, { message: "aborted" });
    stuck.resolve(1);
    await cleaned.promise;
  });

  it("every step runs inside what around sets, the cleaning up as well", async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    async function* looking() {
      try {
        seen.push(storage.getStore());
        yield 1;
        seen.push(storage.getStore());
        yield 2;
      } finally {
        seen.push(storage.getStore());
      }
    }
    const stream = mapStream(looking(), { around: (step) => storage.run("inside", step) });
    let count = 0;
    for await (const _ of stream) if (++count === 2) break;
    assert.deepEqual([seen, storage.getStore()], [["inside", "inside", "inside"], undefined]);
  });
});
