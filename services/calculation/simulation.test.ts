import assert from "node:assert/strict";
import { createLogger } from "#mesh/telemetry/log.ts";
import { checkDistribution, type Distribution, sampler } from "./distribution.ts";
import { simulateAll } from "./monte-carlo.ts";
import { philox, uniformsOf } from "./philox.ts";
import { openPool } from "./pool.ts";
import { Refusal } from "./refusal.ts";
import { nothing, spreadOf, together } from "./spread.ts";
import { type Summary, summarise } from "./statistics.ts";

describe("Philox4x32-10", () => {
  // The known answers of Random123 (tests/kat_vectors).
  for (const [counter, key, expected] of [
    [[0, 0, 0, 0], [0, 0], "6627e8d5 e169c58d bc57ac4c 9b00dbd8"],
    [Array(4).fill(0xffffffff), [0xffffffff, 0xffffffff], "408f276d 41c83b0e a20bc7c6 6d5451fd"],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], "d16cfe09 94fdcceb 5001e420 24126ea1"],
  ] as const) {
    it(`makes ${expected} as Random123 does`, () => {
      const words = Uint32Array.from(counter);
      philox(words, key[0], key[1]);
      assert.equal(Array.from(words, (word) => word.toString(16).padStart(8, "0")).join(" "), expected);
    });
  }

  it("gives other numbers for another block, another seed, and a seed that differs above 32 bits", () => {
    const first = (seed: bigint, block: number) => uniformsOf(seed, block)();
    const all = [first(1n, 0), first(1n, 1), first(2n, 0), first(1n + 2n ** 32n, 0)];
    assert.equal(new Set(all).size, 4);
    assert.equal(first(1n, 1), all[1]);
  });
});

describe("distributions", () => {
  const cases: readonly (readonly [Distribution, mean: number, variance: number])[] = [
    [{ kind: "normal", mean: 10, standardDeviation: 2, min: undefined, max: undefined }, 10, 4],
    // Half a normal distribution: sqrt(2 / pi), 1 - 2 / pi.
    [{ kind: "normal", mean: 0, standardDeviation: 1, min: 0, max: undefined }, Math.sqrt(2 / Math.PI), 1 - 2 / Math.PI],
    [{ kind: "logNormal", mu: 0, sigma: 0.5 }, Math.exp(0.125), (Math.exp(0.25) - 1) * Math.exp(0.25)],
    [{ kind: "uniform", min: -1, max: 3 }, 1, 16 / 12],
    [{ kind: "triangular", min: 0, mode: 3, max: 6 }, 3, 1.5],
    [{ kind: "triangular", min: 0, mode: 0, max: 6 }, 2, 2],
    // Mean (min + 4 mode + max) / 6; variance (mean - min)(max - mean) / 7.
    [{ kind: "pert", min: 0, mode: 1, max: 6, lambda: 0 }, 10 / 6, ((10 / 6) * (26 / 6)) / 7],
    [{ kind: "exponential", mean: 3 }, 3, 9],
    [{ kind: "bernoulli", probability: 0.3 }, 0.3, 0.21],
    [{ kind: "discrete", values: [1, 2, 10], weights: [1, 0, 3] }, 7.75, 0.25 * 6.75 ** 2 + 0.75 * 2.25 ** 2],
    [{ kind: "discrete", values: [1, 2, 3], weights: [] }, 2, 2 / 3],
  ];
  for (const [distribution, mean, variance] of cases) {
    it(`${JSON.stringify(distribution)} has mean ${mean.toFixed(4)} and variance ${variance.toFixed(4)}`, () => {
      const draw = sampler(distribution, uniformsOf(7n, 0));
      const found = spreadOf(Float64Array.from({ length: 200_000 }, draw));
      const error = Math.sqrt(variance / found.count);
      assert.ok(Math.abs(found.mean - mean) < 4 * error, `mean ${found.mean}`);
      assert.ok(Math.abs(found.squares / found.count / variance - 1) < 0.05, `variance ${found.squares / found.count}`);
    });
  }

  it("stays within its bounds: a normal one from 1 to 2, and PERT", () => {
    const normal = sampler({ kind: "normal", mean: 0, standardDeviation: 1, min: 1, max: 2 }, uniformsOf(1n, 0));
    const pert = sampler({ kind: "pert", min: 1, mode: 1, max: 2, lambda: 100 }, uniformsOf(1n, 0));
    for (let at = 0; at < 10_000; at++) for (const value of [normal(), pert()]) assert.ok(value >= 1 && value <= 2, `${value}`);
  });

  for (const distribution of [
    { kind: "uniform", min: 1, max: 0 },
    { kind: "triangular", min: 0, mode: 7, max: 6 },
    { kind: "pert", min: 0, mode: -1, max: 6, lambda: 4 },
    { kind: "normal", mean: 0, standardDeviation: 1, min: 10, max: undefined },
    { kind: "normal", mean: 0, standardDeviation: 1, min: 0, max: 1e-9 },
    { kind: "discrete", values: [1, 2], weights: [1] },
    { kind: "discrete", values: [1, 2], weights: [0, 0] },
  ] as const) {
    it(`refuses ${JSON.stringify(distribution)}`, () => {
      assert.throws(() => checkDistribution(distribution, "inputs[0]"), Refusal);
    });
  }
});

describe("figures of outcomes", () => {
  const wanted = { percentiles: [0, 25, 50, 100], bins: 4, thresholds: [3] };

  it("2, 4, 4, 4, 5, 5, 7, 9 and two that failed", () => {
    const found = summarise(Float64Array.of(2, 4, 4, Number.NaN, 4, 5, 5, 7, Number.POSITIVE_INFINITY, 9), wanted);
    assert.deepEqual([found.count, found.failed, found.mean, found.min, found.max], [10, 2, 5, 2, 9]);
    assert.ok(Math.abs((found.standardDeviation ?? 0) - Math.sqrt(32 / 7)) < 1e-12);
    // m3 / m2^1.5 = 5.25 / 8; m4 / m2^2 - 3 = 44.5 / 16 - 3.
    assert.ok(Math.abs((found.skewness ?? 0) - 5.25 / 8) < 1e-12, `${found.skewness}`);
    assert.ok(Math.abs((found.excessKurtosis ?? 0) - (44.5 / 16 - 3)) < 1e-12, `${found.excessKurtosis}`);
    assert.deepEqual(
      found.percentiles.map(({ value }) => value),
      [2, 4, 4.5, 9],
    );
    assert.deepEqual(
      found.histogram.map(({ from, count }) => [from, count]),
      [
        [2, 1],
        [3.75, 5],
        [5.5, 1],
        [7.25, 1],
      ],
    );
    assert.deepEqual(found.thresholds, [{ threshold: 3, probabilityBelow: 0.125 }]);
  });

  it("of none: nothing but their number; of one: no spread; of equals: one bin", () => {
    const none = summarise(Float64Array.of(Number.NaN), wanted);
    assert.deepEqual([none.count, none.failed, none.mean, none.percentiles, none.histogram], [1, 1, undefined, [], []]);
    const single = summarise(Float64Array.of(3), wanted);
    assert.deepEqual([single.mean, single.standardDeviation, single.skewness], [3, undefined, undefined]);
    assert.deepEqual(summarise(Float64Array.of(3, 3), wanted).histogram, [{ from: 3, to: 3, count: 2 }]);
  });

  it("spreads put together are the spread of all", () => {
    const values = Float64Array.from({ length: 1000 }, (_, at) => 1e6 + Math.sin(at * at));
    const parts = together(together(nothing, spreadOf(values.subarray(0, 300))), spreadOf(values.subarray(300)));
    const all = spreadOf(values);
    assert.equal(parts.count, 1000);
    assert.ok(Math.abs(parts.mean - all.mean) < 1e-9 && Math.abs(parts.squares / all.squares - 1) < 1e-9);
  });
});

describe("Monte Carlo", function () {
  this.timeout(30_000);
  const log = createLogger({ service: "calculation", instance: "test", level: "silent" });
  const question = {
    expression: "price * volume - cost",
    inputs: ["price", "volume"],
    constants: new Map([["cost", 500]]),
    distributions: [
      { kind: "normal", mean: 10, standardDeviation: 1, min: undefined, max: undefined },
      { kind: "pert", min: 50, mode: 90, max: 120, lambda: 4 },
    ],
    iterations: 30_001,
    wanted: { percentiles: [5, 50, 95], bins: 20, thresholds: [0] },
  } as const;

  async function run(threads: number, seed: bigint): Promise<Summary | undefined> {
    await using pool = openPool({ threads, timeLimitMs: 10_000, memoryMib: 128, log });
    const signal = new AbortController().signal;
    let summary: Summary | undefined;
    for await (const progress of simulateAll(pool, { ...question, seed }, { signal, limitMs: 60_000 })) ({ summary } = progress);
    return summary;
  }

  it("the same seed makes the same bits on 1, 2 and 5 threads; another seed does not", async () => {
    const one = await run(1, 99n);
    assert.equal(one?.count, 30_001);
    assert.deepEqual(await run(2, 99n), one);
    assert.deepEqual(await run(5, 99n), one);
    assert.notEqual((await run(1, 100n))?.mean, one?.mean);
  });

  it("a reader who leaves after the first progress ends the work, and one who breaks off gets the reason", async () => {
    await using pool = openPool({ threads: 1, timeLimitMs: 10_000, memoryMib: 128, log });
    const long = { ...question, seed: 1n, iterations: 1_000_000 };
    const never = new AbortController().signal;
    for await (const { completed } of simulateAll(pool, long, { signal: never, limitMs: 60_000 })) {
      assert.ok(completed < 1_000_000);
      break;
    }
    const leaving = new AbortController();
    const reading = Array.fromAsync(simulateAll(pool, long, { signal: leaving.signal, limitMs: 60_000 }));
    setImmediate(() => leaving.abort());
    await assert.rejects(reading, { name: "AbortError" });
    // The one thread is free again at once.
    const free = await pool.run("presentValue", { amounts: [1n], rate: 0n, firstPeriod: 0 });
    assert.equal(free, 1n);
  });

  it("is refused when its parts together take longer than a simulation may", async () => {
    await using pool = openPool({ threads: 1, timeLimitMs: 10_000, memoryMib: 128, log });
    const long = { ...question, seed: 1n, iterations: 1_000_000 };
    const reading = Array.fromAsync(simulateAll(pool, long, { signal: new AbortController().signal, limitMs: 5 }));
    await assert.rejects(reading, /takes longer than one may/);
  });
});
