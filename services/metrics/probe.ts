/** One instance: how it answered last, and what its counters then showed. */
import { emptyReading, type ReadingLimits, readExposition, TooLargeError } from "./exposition.ts";
import { type FetchLimits, fetchText, SlowError } from "./fetch-text.ts";
import { type GrowthSink, type Known, tellGrowth } from "./growth.ts";
import { FormatError } from "./sample-key.ts";
import type { Target } from "./target.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** How an instance answered last. */
export type ProbeState = "pending" | "up" | "down" | "slow" | "malformed" | "too-large";

/** The last good answer. */
export interface LastAnswer {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly vocabulary: Vocabulary;
  readonly known: Known;
  /** By Vocabulary.measures. */
  readonly gaugeSums: Float64Array;
  readonly gaugeMaxima: Float64Array;
  readonly samples: number;
}

/** What a probe needs of its service and of the collector. */
export interface ProbeParts {
  readonly clock: () => number;
  readonly fetch: FetchLimits;
  readonly reading: ReadingLimits;
  /** Since when instances are followed, in milliseconds since the epoch: what began later counts from 0. */
  readonly since: number;
}

/** What is read: one text at a time, since reading does not wait for anything. */
const shared = emptyReading();

/** How recently, in milliseconds, a process must have begun for all that it counted to count. */
const youthMs = 120_000;

/** Follows one instance. */
export class Probe {
  readonly target: Target;
  state: ProbeState = "pending";
  /** What is wrong, in a sentence; "": nothing. */
  problem = "";
  /** Seconds that the last answer took. */
  tookSeconds = 0;
  failures = 0;
  last: LastAnswer | undefined;

  constructor(target: Target, last: LastAnswer | undefined) {
    this.target = target;
    this.last = last;
  }

  /** Asks once, and tells `sink` what changed. Never throws. True when all went well. */
  async ask(parts: ProbeParts, vocabulary: () => Vocabulary, sink: GrowthSink, signal: AbortSignal): Promise<boolean> {
    const began = performance.now();
    try {
      const { host, port } = this.target;
      if (host === undefined || port === undefined) throw new Error("it names no admin port");
      const text = await fetchText(host, port, parts.fetch, signal);
      // Asked for only now: the answer may have taken longer than a vocabulary lived.
      this.#read(text, vocabulary(), parts, sink);
      this.state = "up";
      this.problem = "";
      this.failures = 0;
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      this.state = stateOf(error);
      this.problem = error instanceof Error ? sentenceOf(error) : String(error);
      this.failures++;
      return false;
    } finally {
      this.tookSeconds = (performance.now() - began) / 1000;
    }
  }

  #read(text: string, vocabulary: Vocabulary, { clock, reading, since }: ProbeParts, sink: GrowthSink): void {
    const at = clock();
    const before = this.last?.vocabulary === vocabulary ? this.last : undefined;
    // The first text is all new.
    const maxNew = before === undefined ? 2 * reading.maxSamples : reading.maxNew;
    readExposition(text, vocabulary, { ...reading, maxNew }, shared);
    const { startTime, samples } = shared;
    const startMs = (startTime ?? 0) * 1000;
    const whole = this.last === undefined && startMs > since && at - startMs < youthMs;
    tellGrowth(vocabulary, before?.known, shared, whole, sink);
    const values = copyInto(before?.known.values, shared.values.subarray(0, vocabulary.size));
    const gauges = vocabulary.measures.length;
    const gaugeSums = copyInto(before?.gaugeSums, shared.gaugeSums.subarray(0, gauges));
    const gaugeMaxima = copyInto(before?.gaugeMaxima, shared.gaugeMaxima.subarray(0, gauges));
    this.last = { at, vocabulary, known: { values, startTime }, gaugeSums, gaugeMaxima, samples };
  }
}

/** A copy, in the place of the one before where it fits. */
function copyInto(before: Float64Array | undefined, now: Float64Array): Float64Array {
  if (before?.length !== now.length) return now.slice();
  before.set(now);
  return before;
}

function stateOf(error: unknown): ProbeState {
  if (error instanceof SlowError) return "slow";
  if (error instanceof FormatError) return "malformed";
  return error instanceof TooLargeError ? "too-large" : "down";
}

/** Node gives some connections' errors no message, but a code. */
function sentenceOf(error: Error & { readonly code?: unknown }): string {
  return (error.message || String(error.code ?? error.name)).slice(0, 500);
}
