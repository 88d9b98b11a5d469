/**
 * The signal as a plot shows it: the least and greatest sample of each of at most 1,024 stretches of equal length. Pure.
 *
 * The length is a power of two. When the stretches are used up, each two become one, so that any number of samples fits, and what
 * samples come to does not depend on how they were cut into chunks.
 */

/** How many stretches there are at most; even. */
export const maxStretches = 1024;

/** What is kept of the samples so far. */
export interface Envelope {
  /** Least and greatest of each stretch, one after the other; Infinity and -Infinity where all samples are missing. */
  bounds: Float64Array;
  /** How many stretches have begun. */
  used: number;
  /** Samples in a stretch. */
  size: number;
  /** Samples in the stretch that began last, missing ones included. */
  filled: number;
}

/** No samples yet. */
export function emptyEnvelope(): Envelope {
  // As if a stretch were full: the first sample begins one.
  return { bounds: new Float64Array(2 * maxStretches), used: 0, size: 1, filled: 1 };
}

/** Takes in the next samples. */
export function addToEnvelope(envelope: Envelope, samples: Float64Array): void {
  const { bounds } = envelope;
  for (let at = 0; at < samples.length; ) {
    if (envelope.filled === envelope.size) beginStretch(envelope);
    const end = Math.min(samples.length, at + envelope.size - envelope.filled);
    envelope.filled += end - at;
    const place = 2 * (envelope.used - 1);
    let min = bounds[place] as number;
    let max = bounds[place + 1] as number;
    for (; at < end; at++) {
      const value = samples[at] as number;
      if (!Number.isFinite(value)) continue;
      if (value < min) min = value;
      if (value > max) max = value;
    }
    bounds[place] = min;
    bounds[place + 1] = max;
  }
}

function beginStretch(envelope: Envelope): void {
  const { bounds } = envelope;
  if (envelope.used === maxStretches) {
    for (let to = 0; to < maxStretches / 2; to++) {
      bounds[2 * to] = Math.min(bounds[4 * to] as number, bounds[4 * to + 2] as number);
      bounds[2 * to + 1] = Math.max(bounds[4 * to + 1] as number, bounds[4 * to + 3] as number);
    }
    envelope.used = maxStretches / 2;
    envelope.size *= 2;
  }
  bounds[2 * envelope.used] = Number.POSITIVE_INFINITY;
  bounds[2 * envelope.used + 1] = Number.NEGATIVE_INFINITY;
  envelope.used++;
  envelope.filled = 0;
}
