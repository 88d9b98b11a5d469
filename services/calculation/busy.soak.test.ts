import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { CalculationService } from "#gen/calculation/v1/calculation_pb.ts";
import { NumberMode } from "#gen/calculation/v1/evaluate_pb.ts";
import type { Figures } from "#mesh/measured.fixture.ts";
import { startProcess, stopProcess } from "#mesh/process.fixture.ts";
import { startMesh, type TestMesh } from "#mesh/testing.ts";

const long = process.env.HEDDLE_SOAK === "1";
// A short run has some hundred readings of the delay, of which the few that the machine's other work causes would decide.
const { seconds, maxDelayMs, cancels } = long
  ? { seconds: 30, maxDelayMs: 20, cancels: 30 }
  : { seconds: 3, maxDelayMs: 250, cancels: 2 };

/** As many threads as the service takes when nobody says. */
const threads = Math.max(1, availableParallelism() - 1);

/** A minute's work of decimals, which nothing but the end of its thread stops. */
const endless = {
  expression: "a = reshape(1:10000, [100, 100]); m = a .* a + identity(100); inv(m * m * m)",
  numberMode: NumberMode.DECIMAL,
};
const simulation = {
  expression: "npv(rate, [-cost, gain, gain * growth, gain * growth^2])",
  inputs: [
    { name: "gain", distribution: { case: "normal", value: { mean: 400, standardDeviation: 80 } } as const },
    { name: "growth", distribution: { case: "triangular", value: { min: 0.9, mode: 1.1, max: 1.2 } } as const },
  ],
  constants: { rate: 0.08, cost: 1000 },
  iterations: 1_000_000,
};

describe(`calculation: all ${threads} threads busy for ${seconds} s`, function () {
  this.timeout(300_000);
  let mesh: TestMesh;
  let child: ChildProcess;
  let client: Client<typeof CalculationService>;
  before(async () => {
    mesh = await startMesh([]);
    client = mesh.client(CalculationService);
    const module = new URL("./service.ts", import.meta.url);
    const ask = () => client.evaluate({ expression: "1" });
    await stopProcess(await startProcess({ mesh, module, ask, inARow: 30 }));
    const env = { CALCULATION_TIME_LIMIT: "60s" };
    child = await startProcess({
      mesh,
      module,
      env,
      ask,
      inARow: 30,
      loaded: new URL("../../mesh/measured.fixture.ts", import.meta.url),
    });
  });
  after(async () => {
    await stopProcess(child);
    await mesh[Symbol.asyncDispose]();
  });

  it(`its event loop is late by less than ${maxDelayMs} ms at the 99th percentile, and small calls are still answered`, async () => {
    // What first calls load is not what this measures.
    await client.runMonteCarlo({ ...simulation, iterations: 10_000 });
    await ask(child, "begin");
    const leaving = new AbortController();
    const end = performance.now() + seconds * 1000;
    let iterations = 0;
    const simulating = Array.from({ length: threads + 1 }, async () => {
      for (let before = 0; ; before = 0) {
        for await (const { completedIterations } of client.streamMonteCarlo(simulation, { signal: leaving.signal })) {
          iterations += Number(completedIterations) - before;
          before = Number(completedIterations);
        }
      }
    });
    const ended = Promise.allSettled(simulating);
    const latencies: number[] = [];
    while (performance.now() < end) {
      const from = performance.now();
      await client.calculateReturnOnInvestment({ initialCost: "1000", gains: ["500", "500", "500"], discountRate: 0.1 });
      latencies.push(performance.now() - from);
      await pause(20);
    }
    const figures = (await ask(child, "end")) as Figures;
    leaving.abort();
    for (const one of await ended) {
      const code = one.status === "rejected" ? ConnectError.from(one.reason).code : undefined;
      assert.equal(code, Code.Canceled, JSON.stringify(one));
    }
    assert.ok(iterations > 0);
    const sorted = latencies.toSorted((a, b) => a - b);
    const [p50, p99] = [0.5, 0.99].map((part) => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(1));
    console.log(
      `      ${Math.round(iterations / seconds).toLocaleString("en")} iterations/s on ${threads} threads of ${threads + 1} simulations`,
    );
    console.log(
      `      event loop delay: p99 ${figures.delayP99Ms.toFixed(1)} ms (bar of 30 s: 20 ms), max ${figures.delayMaxMs.toFixed(1)} ms`,
    );
    console.log(`      ${latencies.length} small calls beside them: p50 ${p50} ms, p99 ${p99} ms`);
    console.log(`      memory: ${Math.round(figures.maxPss / 2 ** 20)} MB at most (PSS)`);
    assert.ok(figures.delayP99Ms < maxDelayMs, `expected less than ${maxDelayMs} ms, got ${figures.delayP99Ms} ms`);
  });

  it(`${cancels} calls whose client leaves: their threads are gone within 100 ms, and others are answered`, async () => {
    const goneAfter: number[] = [];
    for (let call = 0; call < cancels; call++) {
      const leaving = new AbortController();
      const before = threadTimes(child);
      const working = client.evaluate(endless, { signal: leaving.signal, timeoutMs: 60_000 }).catch(() => undefined);
      // Until the thread has loaded all and is at the inverse itself.
      const thread = await threadAtWork(child, before);
      const left = performance.now();
      leaving.abort();
      while (threadTimes(child).has(thread) && performance.now() < left + 10_000) await pause(2);
      goneAfter.push(performance.now() - left);
      await working;
      const answer = await client.evaluate({ expression: "1 + 1" });
      assert.equal(answer.text, "2");
    }
    console.log(`      their threads were gone after ${goneAfter.map((ms) => ms.toFixed(0)).join(", ")} ms (bar: 100 ms)`);
    assert.ok(Math.max(...goneAfter) <= (long ? 100 : 500), `${goneAfter}`);
  });
});

/** The thread that has worked for half a second since `before`. */
async function threadAtWork(child: ChildProcess, before: ReadonlyMap<string, number>): Promise<string> {
  for (const end = performance.now() + 20_000; performance.now() < end; await pause(20)) {
    const [thread] = [...threadTimes(child)].find(([id, ms]) => ms - (before.get(id) ?? 0) >= 500) ?? [];
    if (thread !== undefined) return thread;
  }
  throw new Error("no thread worked for half a second");
}

/** The processor time of each thread of a process so far, in milliseconds. */
function threadTimes({ pid }: ChildProcess): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    try {
      const fields = readFileSync(`/proc/${pid}/task/${id}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
      times.set(id, (Number(fields[11]) + Number(fields[12])) * 10);
    } catch {
      // It ended while they were read.
    }
  }
  return times;
}

async function ask(child: ChildProcess, what: "begin" | "end"): Promise<unknown> {
  const answer = once(child, "message");
  child.send(what);
  return (await answer)[0];
}
