/**
 * Samples in, findings out: the five checks over one pass. Pure, and bounded: some 30 KB whatever the number of samples. How samples
 * are cut into chunks does not change a bit of the result.
 */
import { addToEnvelope, type Envelope, emptyEnvelope } from "./envelope.ts";
import { addToRange, emptyRange, type RangeSum } from "./range.ts";
import { type Analysis, checkNames, type Findings, type Outcome, type Verdict } from "./sensor-test.ts";
import type { SensorType } from "./sensor-types.ts";
import { addToWelch, emptyWelch, minSamples, peakOf, spectrumOf, type Welch } from "./spectrum.ts";
import { addToRuns, emptyRuns, type Runs } from "./stuck.ts";
import { addToTrend, emptyTrend, lineOf, type Trend } from "./trend.ts";

/** All that is kept of the samples so far. Plain data, so that it can be handed from thread to thread. */
export interface Sums {
  readonly range: RangeSum;
  readonly trend: Trend;
  readonly runs: Runs;
  readonly welch: Welch;
  readonly envelope: Envelope;
}

/** What the checks hold samples to. */
export type Limits = Pick<SensorType, "min" | "max" | "driftTolerance" | "noiseTolerance" | "maxRun">;

/** In decibels over the median: among the 511 bins of one window of noise alone, the greatest is as high once in 2,000 times. */
const prominentDb = 13;

/** No samples yet. */
export function emptySums(): Sums {
  return { range: emptyRange(), trend: emptyTrend(), runs: emptyRuns(), welch: emptyWelch(), envelope: emptyEnvelope() };
}

/** Takes in the next samples. */
export function addSamples(sums: Sums, samples: Float64Array, { min, max }: Limits): void {
  addToRange(sums.range, samples, min, max);
  addToTrend(sums.trend, samples);
  addToRuns(sums.runs, samples);
  addToWelch(sums.welch, samples);
  addToEnvelope(sums.envelope, samples);
}

/** What all that was taken in comes to. `rate` is in samples per second. */
export function findingsOf(sums: Sums, limits: Limits, rate: number): Findings {
  const { range, trend, runs, welch, envelope } = sums;
  const line = lineOf(trend);
  const spectrum = spectrumOf(welch, rate);
  const some = line.n > 0;
  const enough = line.n >= minSamples;
  const judged = (good: boolean): Outcome => (enough ? outcomeOf(good) : "too-few-samples");
  const peak =
    spectrum === undefined
      ? { frequencyHz: 0, rms: 0, prominenceDb: 0 }
      : peakOf(spectrum, Math.max(Math.abs(range.min), Math.abs(range.max)));
  const tone = peak.prominenceDb > prominentDb && peak.rms > limits.noiseTolerance;
  const analysis: Analysis = {
    range: {
      outcome: outcomeOf(some && range.firstBad < 0),
      min: some ? range.min : 0,
      max: some ? range.max : 0,
      lowerLimit: limits.min,
      upperLimit: limits.max,
      outsideCount: range.outside,
      missingCount: range.missing,
      firstBadIndex: range.firstBad < 0 ? undefined : range.firstBad,
    },
    drift: {
      outcome: judged(Math.abs(line.drift) <= limits.driftTolerance),
      drift: line.drift,
      limit: limits.driftTolerance,
      slopePerSecond: line.slope * rate,
      rSquared: line.rSquared,
    },
    stuck: {
      outcome: judged(runs.longest <= limits.maxRun && runs.longest < line.n),
      longestRun: runs.longest,
      limit: limits.maxRun,
      value: runs.longestValue,
      startIndex: runs.longestStart,
    },
    noise: {
      outcome: judged(line.residual <= limits.noiseTolerance),
      noise: line.residual,
      limit: limits.noiseTolerance,
      signalToNoiseDb: line.residual === 0 || line.mean === 0 ? undefined : 20 * Math.log10(Math.abs(line.mean) / line.residual),
    },
    spectrum: {
      outcome: judged(!tone),
      ...peak,
      limit: limits.noiseTolerance,
      windowSize: spectrum?.windowSize ?? 0,
      windows: spectrum?.windows ?? 0,
      resolutionHz: spectrum?.resolutionHz ?? 0,
    },
    mean: line.mean,
    standardDeviation: line.standardDeviation,
  };
  return {
    sampleCount: range.count,
    verdict: verdictOf(analysis),
    analysis,
    curves: {
      bounds: envelope.bounds.slice(0, 2 * envelope.used),
      stretch: envelope.size,
      density: spectrum?.density ?? new Float64Array(0),
    },
  };
}

/** The checks that failed, by name. */
export function failedChecks(analysis: Analysis): string[] {
  return checkNames.filter((name) => analysis[name].outcome === "failed");
}

function verdictOf(analysis: Analysis): Verdict {
  if (failedChecks(analysis).length > 0) return "fail";
  return checkNames.every((name) => analysis[name].outcome === "passed") ? "pass" : "inconclusive";
}

function outcomeOf(good: boolean): Outcome {
  return good ? "passed" : "failed";
}
