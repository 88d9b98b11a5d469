import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { createLogger } from "#mesh/telemetry/log.ts";
import { openPool, type Pool } from "./pool.ts";

const log = createLogger({ service: "calculation", instance: "test", level: "silent" });
const module = new URL("./fixtures/spinner.ts", import.meta.url);

/** The jobs of the fixture, which are none of the service's. */
const run = (pool: Pool, job: "spin" | "fill" | "busy", input: object, options?: Parameters<Pool["run"]>[2]) =>
  pool.run(job as never, input as never, options) as Promise<unknown>;

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => "an answer",
    (error: unknown) => Code[ConnectError.from(error).code],
  );

describe("the pool of threads", function () {
  this.timeout(30_000);

  it("stops a job for ever at work within 100 ms of its caller's leaving, and answers the caller at once; another goes on", async () => {
    await using pool = openPool({ threads: 2, timeLimitMs: 20_000, memoryMib: 64, log, module });
    const seen = new SharedArrayBuffer(8);
    const last = new Float64Array(seen);
    const leaving = new AbortController();
    const spinning = run(pool, "spin", { seen }, { signal: leaving.signal });
    spinning.catch(() => undefined);
    const other = run(pool, "busy", { wait: 1500 });
    for (let ms = 0; last[0] === 0 && ms < 10_000; ms += 5) await pause(5);
    const left = performance.timeOrigin + performance.now();
    leaving.abort();
    await assert.rejects(spinning, { name: "AbortError" });
    const answered = performance.timeOrigin + performance.now() - left;
    assert.ok(answered < 50, `answered after ${answered} ms`);
    assert.equal(await other, 1500);
    // The other took 1.5 s, so a job that had gone on would have been seen since.
    const ran = (last[0] ?? 0) - left;
    assert.ok(ran <= 100, `ran on for ${ran} ms`);
    assert.equal(await run(pool, "busy", { wait: 1 }), 1);
  });

  it("RESOURCE_EXHAUSTED after the time limit, and the thread is free again", async () => {
    await using pool = openPool({ threads: 1, timeLimitMs: 1000, memoryMib: 64, log, module });
    assert.equal(await codeOf(run(pool, "spin", {})), "ResourceExhausted");
    assert.equal(await run(pool, "busy", { wait: 1 }), 1);
  });

  it("takes what jobs of a call use from its budget, and refuses when nothing is left", async () => {
    await using pool = openPool({ threads: 1, timeLimitMs: 10_000, memoryMib: 64, log, module });
    await run(pool, "busy", { wait: 1 });
    const budget = { leftMs: 400 };
    await run(pool, "busy", { wait: 50 }, { budget });
    assert.ok(budget.leftMs <= 350, `${budget.leftMs}`);
    assert.equal(await codeOf(run(pool, "spin", {}, { budget })), "ResourceExhausted");
    assert.equal(await codeOf(run(pool, "busy", { wait: 1 }, { budget })), "ResourceExhausted");
  });

  it("RESOURCE_EXHAUSTED for a job that fills its memory; the process and the next job go on", async () => {
    await using pool = openPool({ threads: 1, timeLimitMs: 20_000, memoryMib: 64, log, module });
    assert.equal(await codeOf(run(pool, "fill", {})), "ResourceExhausted");
    assert.equal(await run(pool, "busy", { wait: 1 }), 1);
  });

  it("a job that waits for a thread ends as its caller leaves; those after it come in their order", async () => {
    await using pool = openPool({ threads: 1, timeLimitMs: 20_000, memoryMib: 64, log, module });
    const ended: number[] = [];
    const leaving = new AbortController();
    const first = run(pool, "busy", { wait: 300 }).then(() => ended.push(1));
    const second = run(pool, "busy", { wait: 1 }, { signal: leaving.signal });
    const rest = [3, 4].map((number) => run(pool, "busy", { wait: 1 }).then(() => ended.push(number)));
    leaving.abort();
    await assert.rejects(second, { name: "AbortError" });
    await Promise.all([first, ...rest]);
    assert.deepEqual(ended, [1, 3, 4]);
  });

  it("1,000 may wait, and no more", async () => {
    await using pool = openPool({ threads: 1, timeLimitMs: 20_000, memoryMib: 64, log, module });
    const leaving = new AbortController();
    const all = Array.from({ length: 1001 }, () => codeOf(run(pool, "spin", {}, { signal: leaving.signal })));
    assert.equal(await codeOf(run(pool, "busy", {})), "ResourceExhausted");
    leaving.abort();
    assert.deepEqual(new Set(await Promise.all(all)), new Set(["Canceled"]));
  });
});
