/** The stuck-at check: the longest run of equal samples. Pure; missing samples neither end a run nor lengthen it. */

/** What the check keeps of the samples so far. */
export interface Runs {
  /** The index of the next sample. */
  next: number;
  /** The run that the last sample belongs to. */
  value: number;
  start: number;
  length: number;
  /** The longest run; the first of several. */
  longestValue: number;
  longestStart: number;
  longest: number;
}

/** No samples yet. */
export function emptyRuns(): Runs {
  return { next: 0, value: Number.NaN, start: 0, length: 0, longestValue: 0, longestStart: 0, longest: 0 };
}

/** Takes in the next samples. */
export function addToRuns(runs: Runs, samples: Float64Array): void {
  let { value, start, length, longestValue, longestStart, longest } = runs;
  for (let at = 0; at < samples.length; at++) {
    const sample = samples[at] as number;
    if (!Number.isFinite(sample)) continue;
    if (sample === value) length++;
    else {
      value = sample;
      start = runs.next + at;
      length = 1;
    }
    if (length > longest) {
      longest = length;
      longestStart = start;
      longestValue = value;
    }
  }
  Object.assign(runs, { next: runs.next + samples.length, value, start, length, longestValue, longestStart, longest });
}
