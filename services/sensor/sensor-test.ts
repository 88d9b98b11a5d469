/** The domain's nouns: a test of a sensor, its analysis and its curves. Times are milliseconds since the epoch. */
import type { Peak } from "./spectrum.ts";

/** How far a test has come: at work or waiting for samples, with a verdict, or without one for good. */
export type Status = "processing" | "completed" | "failed";

/** Where a test's samples come from: stored with it, from a stream that is open, or from one that is yet to come. */
export type Source = "stored" | "upload" | "awaited";

/** What the sensor is found to be. */
export type Verdict = "pass" | "fail" | "inconclusive";

/** What a check found. */
export type Outcome = "passed" | "failed" | "too-few-samples";

/** The checks by name, in the order of the contract. */
export const checkNames = ["range", "drift", "stuck", "noise", "spectrum"] as const;

/** The five checks; the contract says what each figure is (proto/sensor/v1/test.proto). */
export interface Analysis {
  readonly range: {
    readonly outcome: Outcome;
    readonly min: number;
    readonly max: number;
    readonly lowerLimit: number;
    readonly upperLimit: number;
    readonly outsideCount: number;
    readonly missingCount: number;
    readonly firstBadIndex: number | undefined;
  };
  readonly drift: {
    readonly outcome: Outcome;
    readonly drift: number;
    readonly limit: number;
    readonly slopePerSecond: number;
    readonly rSquared: number;
  };
  readonly stuck: {
    readonly outcome: Outcome;
    readonly longestRun: number;
    readonly limit: number;
    readonly value: number;
    readonly startIndex: number;
  };
  readonly noise: {
    readonly outcome: Outcome;
    readonly noise: number;
    readonly limit: number;
    readonly signalToNoiseDb: number | undefined;
  };
  readonly spectrum: Peak & {
    readonly outcome: Outcome;
    readonly limit: number;
    readonly windowSize: number;
    readonly windows: number;
    readonly resolutionHz: number;
  };
  readonly mean: number;
  readonly standardDeviation: number;
}

/** What a plot is drawn from. */
export interface Curves {
  /** Least and greatest sample of each stretch, alternating (see envelope.ts). */
  readonly bounds: Float64Array;
  /** Samples in a stretch. */
  readonly stretch: number;
  /** The power spectral density, from 0 Hz on in steps of spectrum.resolutionHz; empty when there were too few samples. */
  readonly density: Float64Array;
}

/** What the samples of a test come to. */
export interface Findings {
  readonly sampleCount: number;
  readonly verdict: Verdict;
  readonly analysis: Analysis;
  readonly curves: Curves;
}

/** A test as it is stored. */
export interface SensorTest {
  readonly id: string;
  readonly userId: string;
  readonly sensorType: string;
  readonly sensorId: string;
  readonly sampleRateHz: number;
  readonly status: Status;
  /** Empty unless status is failed. */
  readonly failureReason: string;
  readonly verdict: Verdict | undefined;
  readonly analysis: Analysis | undefined;
  readonly sampleCount: number;
  /** Whether the token of the call that made it was verified by its signature alone. */
  readonly degraded: boolean;
  readonly createTime: number;
  readonly completeTime: number | undefined;
  readonly uploadDeadline: number | undefined;
}

/** What a test is about, before it has an id. */
export interface Subject {
  readonly userId: string;
  readonly sensorType: string;
  readonly sensorId: string;
  readonly sampleRateHz: number;
}
