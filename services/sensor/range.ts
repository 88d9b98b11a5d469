/** The range check: is every sample possible? Pure; a sample that is NaN or infinite is missing. */

/** What the check keeps of the samples so far. */
export interface RangeSum {
  /** How many samples there were, missing ones included. */
  count: number;
  missing: number;
  outside: number;
  /** The index of the first sample that is missing or outside; -1 while there is none. */
  firstBad: number;
  min: number;
  max: number;
}

/** No samples yet. */
export function emptyRange(): RangeSum {
  return { count: 0, missing: 0, outside: 0, firstBad: -1, min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY };
}

/** Takes in the next samples, which may lie between `lower` and `upper`, both included. */
export function addToRange(sum: RangeSum, samples: Float64Array, lower: number, upper: number): void {
  let { missing, outside, firstBad, min, max } = sum;
  for (let at = 0; at < samples.length; at++) {
    const value = samples[at] as number;
    // Both comparisons are false for NaN.
    if (value >= lower && value <= upper) {
      if (value < min) min = value;
      if (value > max) max = value;
      continue;
    }
    if (firstBad < 0) firstBad = sum.count + at;
    if (!Number.isFinite(value)) {
      missing++;
      continue;
    }
    outside++;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  Object.assign(sum, { count: sum.count + samples.length, missing, outside, firstBad, min, max });
}
