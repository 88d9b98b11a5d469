import assert from "node:assert/strict";
import fc from "fast-check";
import { addSamples, emptySums, failedChecks, findingsOf, type Limits } from "./analysis.ts";
import type { Findings } from "./sensor-test.ts";

const limits: Limits = { min: -100, max: 100, driftTolerance: 1, noiseTolerance: 0.5, maxRun: 100 };

function analyse(samples: Iterable<number>, rate = 100, held: Limits = limits): Findings {
  const sums = emptySums();
  addSamples(sums, Float64Array.from(samples), held);
  return findingsOf(sums, held, rate);
}

const many = (length: number, value: (index: number) => number) => Array.from({ length }, (_, index) => value(index));

/** A difference that rounding explains. */
function near(actual: number, expected: number, what: string): void {
  assert.ok(
    Math.abs(actual - expected) <= 1e-9 * Math.max(1, Math.abs(expected)),
    `${what}: expected ${expected}, got ${actual}`,
  );
}

describe("range", () => {
  it("-100 and 100 are possible between -100 and 100, both included", () => {
    const { range } = analyse([-100, 0, 100]).analysis;
    assert.deepEqual(range, {
      ...{ outcome: "passed", min: -100, max: 100, lowerLimit: -100, upperLimit: 100 },
      ...{ outsideCount: 0, missingCount: 0, firstBadIndex: undefined },
    });
  });

  it("0, 100.5, NaN, -101, Infinity: two outside, two missing, the first bad one at index 1", () => {
    const { range } = analyse([0, 100.5, Number.NaN, -101, Number.POSITIVE_INFINITY]).analysis;
    assert.deepEqual(
      [range.outcome, range.min, range.max, range.outsideCount, range.missingCount, range.firstBadIndex],
      ["failed", -101, 100.5, 2, 2, 1],
    );
  });

  it("nothing but NaN fails with 0 to 0, and the verdict is FAIL", () => {
    const { analysis, verdict } = analyse([Number.NaN, Number.NaN]);
    assert.deepEqual([analysis.range.outcome, analysis.range.min, analysis.range.max, verdict], ["failed", 0, 0, "fail"]);
  });
});

describe("drift", () => {
  it("0, 0.01, 0.02, ... 0.99 at 100 Hz drifts by 0.99 at 1 per second, r^2 = 1", () => {
    const { drift } = analyse(many(100, (index) => index / 100)).analysis;
    near(drift.drift, 0.99, "drift");
    near(drift.slopePerSecond, 1, "slope");
    near(drift.rSquared, 1, "r^2");
    assert.equal(drift.outcome, "passed");
  });

  it("a fall by 1.5 fails a limit of 1", () => {
    const { drift } = analyse(many(101, (index) => 5 - 0.015 * index)).analysis;
    near(drift.drift, -1.5, "drift");
    assert.equal(drift.outcome, "failed");
  });

  it("1, 2, 1.3, 3.75, 2.25: slope 0.425, as worked out by hand", () => {
    // Mean 2.06, sum of (i - 2)(y - mean) = 4.25, sum of (i - 2)^2 = 10.
    near(analyse([1, 2, 1.3, 3.75, 2.25], 1).analysis.drift.slopePerSecond, 0.425, "slope");
  });

  it("missing samples count in time: 0, NaN, NaN, 3 drifts by 3, at 1 per sample", () => {
    const { drift } = analyse([0, Number.NaN, Number.NaN, 3], 1).analysis;
    near(drift.drift, 3, "drift");
    near(drift.slopePerSecond, 1, "slope");
  });

  it("keeps 1e9 apart from 1e9 + 1e-3: sums of squares would not", () => {
    const { drift, noise } = analyse(
      many(1000, (index) => 1e9 + (index % 2) / 1000),
      100,
      { ...limits, max: 2e9 },
    ).analysis;
    assert.ok(Math.abs(noise.noise - 0.0005) < 1e-6, `${noise.noise}`);
    assert.ok(Math.abs(drift.drift) < 1e-5, `${drift.drift}`);
  });
});

describe("stuck", () => {
  it("1, 2, 2, 2, 3, 3, 3: three twos from index 1, the first of two runs", () => {
    const { stuck } = analyse([1, 2, 2, 2, 3, 3, 3]).analysis;
    assert.deepEqual([stuck.longestRun, stuck.value, stuck.startIndex, stuck.outcome], [3, 2, 1, "too-few-samples"]);
  });

  it("100 equal samples in a row pass a limit of 100, 101 fail", () => {
    const stuckFor = (length: number) => analyse(many(200, (index) => (index < length ? 7 : index))).analysis.stuck;
    assert.deepEqual([stuckFor(100).outcome, stuckFor(101).outcome, stuckFor(101).longestRun], ["passed", "failed", 101]);
  });

  it("16 samples that are all equal fail below the limit, too", () => {
    assert.equal(analyse(many(16, () => 20)).analysis.stuck.outcome, "failed");
  });

  it("a missing sample neither ends a run nor lengthens it: 5, NaN, 5, 6", () => {
    assert.equal(analyse([5, Number.NaN, 5, 6]).analysis.stuck.longestRun, 2);
  });
});

describe("noise", () => {
  it("+0.3, -0.3, -0.3, +0.3, ... about a steep line is sqrt(n / (n - 2)) * 0.3, whatever the line", () => {
    const pattern = [0.3, -0.3, -0.3, 0.3];
    const { noise } = analyse(many(1000, (index) => 0.05 * index + (pattern[index % 4] ?? 0))).analysis;
    near(noise.noise, 0.3 * Math.sqrt(1000 / 998), "noise");
    assert.equal(noise.outcome, "passed");
  });

  it("the same with 0.6 fails a limit of 0.5; of mean 3 it is 13.97 dB below the signal", () => {
    const pattern = [0.6, -0.6, -0.6, 0.6];
    const { noise } = analyse(many(1000, (index) => 3 + (pattern[index % 4] ?? 0))).analysis;
    assert.equal(noise.outcome, "failed");
    near(noise.signalToNoiseDb ?? 0, 20 * Math.log10(3 / (0.6 * Math.sqrt(1000 / 998))), "signal to noise");
  });

  it("a constant has none, and no ratio to it", () => {
    const { noise } = analyse(many(100, () => 3)).analysis;
    assert.deepEqual([noise.noise, noise.signalToNoiseDb], [0, undefined]);
  });

  it("standard deviation and mean of 2, 4, 4, 4, 5, 5, 7, 9 are sqrt(32 / 7) and 5", () => {
    const { mean, standardDeviation } = analyse([2, 4, 4, 4, 5, 5, 7, 9]).analysis;
    near(mean, 5, "mean");
    near(standardDeviation, Math.sqrt(32 / 7), "standard deviation");
  });
});

describe("spectrum", () => {
  /** Even about the middle of every window when `bin` is even, so that no line is taken away from it. */
  const tone = (bin: number, amplitude: number, length: number) =>
    many(length, (index) => 10 + amplitude * Math.cos((2 * Math.PI * bin * (index - 511.5)) / 1024));

  it("a cosine of amplitude 2 on bin 128 of 1,024 at 1,000 Hz: 125 Hz, rms sqrt 2, one window in 512 samples", () => {
    const { spectrum } = analyse(tone(128, 2, 10 * 1024), 1000).analysis;
    near(spectrum.frequencyHz, 125, "frequency");
    near(spectrum.rms, Math.SQRT2, "rms");
    assert.deepEqual([spectrum.windowSize, spectrum.windows, spectrum.resolutionHz], [1024, 19, 1000 / 1024]);
    assert.deepEqual([spectrum.outcome, spectrum.prominenceDb], ["failed", 200]);
  });

  it("its density is amplitude^2 / 2 over 1.5 bins at the peak, and a quarter of that to both sides", () => {
    const { curves } = analyse(tone(128, 2, 4096), 1000);
    const peak = 4 / 2 / (1.5 * (1000 / 1024));
    near(curves.density[128] ?? 0, peak, "peak");
    near(curves.density[127] ?? 0, peak / 4, "below");
    near(curves.density[129] ?? 0, peak / 4, "above");
    near(curves.density[131] ?? 0, 0, "elsewhere");
  });

  for (const [rate, frequency] of [
    [1000, 50],
    [1000, 123.456],
    [3200, 1234.5],
    [64, 7.77],
  ] as const) {
    it(`finds ${frequency} Hz at ${rate} Hz between the bins, within a hundredth of one, and its rms within 1 %`, () => {
      const { spectrum } = analyse(
        many(8192, (index) => Math.sin((2 * Math.PI * frequency * index) / rate)),
        rate,
      ).analysis;
      assert.ok(Math.abs(spectrum.frequencyHz - frequency) < 0.01 * spectrum.resolutionHz, `${spectrum.frequencyHz}`);
      assert.ok(Math.abs(spectrum.rms / Math.SQRT1_2 - 1) < 0.01, `${spectrum.rms}`);
    });
  }

  it("a line alone has no tone, however steep", () => {
    const { spectrum } = analyse(many(5000, (index) => index / 100)).analysis;
    assert.deepEqual([spectrum.frequencyHz, spectrum.rms, spectrum.outcome], [0, 0, "passed"]);
  });

  it("the density of white noise of variance 1/12 sums to it (Parseval)", () => {
    // A linear congruential generator (Numerical Recipes), so that the samples are the same every time.
    let state = 1;
    const noise = many(200_000, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state / 2 ** 32;
    });
    const { curves, analysis } = analyse(noise, 500);
    const total = curves.density.reduce((sum, value) => sum + value, 0) * analysis.spectrum.resolutionHz;
    assert.ok(Math.abs(total * 12 - 1) < 0.01, `${total * 12}`);
    assert.deepEqual([analysis.spectrum.outcome, analysis.noise.outcome], ["passed", "passed"]);
    assert.ok(analysis.spectrum.prominenceDb < 3, `${analysis.spectrum.prominenceDb}`);
  });

  for (const [samples, size, windows] of [
    [15, 0, 0],
    [16, 16, 1],
    [31, 16, 2],
    [32, 32, 1],
    [1023, 512, 2],
    [1024, 1024, 1],
    [1536, 1024, 2],
  ] as const) {
    it(`${samples} samples make ${windows} windows of ${size}`, () => {
      const { spectrum } = analyse(many(samples, (index) => index % 3)).analysis;
      assert.deepEqual([spectrum.windowSize, spectrum.windows], [size, windows]);
    });
  }
});

describe("verdict", () => {
  const calm = (index: number) => 20 + 0.2 * Math.sin(index * index);

  it("PASS when all checks pass", () => {
    const { verdict, analysis } = analyse(many(5000, calm));
    assert.deepEqual([verdict, failedChecks(analysis)], ["pass", []]);
  });

  it("FAIL, with the names of the checks, when one fails", () => {
    const { verdict, analysis } = analyse(many(5000, (index) => calm(index) + index / 1000));
    assert.deepEqual([verdict, failedChecks(analysis)], ["fail", ["drift"]]);
  });

  it("INCONCLUSIVE below 16 samples that are possible, FAIL below 16 that are not", () => {
    assert.equal(analyse(many(15, calm)).verdict, "inconclusive");
    assert.equal(analyse([...many(14, calm), 101]).verdict, "fail");
  });
});

describe("analysis of a stream", () => {
  const sample = fc.oneof(
    { weight: 20, arbitrary: fc.double({ min: -150, max: 150, noNaN: true }) },
    { weight: 5, arbitrary: fc.constantFrom(0, 1) },
    { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY) },
  );

  it("does not depend by a bit on how samples are cut into chunks", () => {
    fc.assert(
      fc.property(
        fc.array(sample, { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 200 }),
        fc.array(fc.nat(700)),
        (base, times, cuts) => {
          const samples = Float64Array.from(Array.from({ length: times }, () => base).flat());
          const sums = emptySums();
          let at = 0;
          for (const cut of cuts) {
            addSamples(sums, samples.slice(at, at + cut), limits);
            at += cut;
          }
          addSamples(sums, samples.slice(at), limits);
          assert.deepEqual(findingsOf(sums, limits, 100), analyse(samples));
        },
      ),
      { numRuns: 200 },
    );
  });

  it("keeps the least and greatest sample of every stretch: 5,000 samples in 625 stretches of 8", () => {
    const samples = many(5000, (index) => Math.sin(index) * index);
    const { bounds, stretch } = analyse(samples).curves;
    assert.deepEqual([stretch, bounds.length], [8, 1250]);
    for (let at = 0; at < 625; at++) {
      const some = samples.slice(at * 8, at * 8 + 8);
      assert.deepEqual([bounds[2 * at], bounds[2 * at + 1]], [Math.min(...some), Math.max(...some)]);
    }
  });
});
