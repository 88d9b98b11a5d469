/**
 * The line through the samples, for the drift and noise checks: mean, variance and least squares in one pass. Pure.
 *
 * Welford's recurrences, also for the covariance with the index (Chan, Golub, LeVeque: "Algorithms for computing the sample variance",
 * 1983): sums about running means, which do not cancel as sums of squares do. Each sample is taken in alone, so how samples are cut into
 * chunks does not change a bit of the result.
 */

/** What is kept of the samples so far. x is the index of a sample, y its value; missing samples count in the index alone. */
export interface Trend {
  /** The index of the next sample. */
  next: number;
  /** How many samples were numbers. */
  n: number;
  first: number;
  last: number;
  meanX: number;
  meanY: number;
  /** Sum of (x - mean x)^2. */
  xx: number;
  /** Sum of (y - mean y)^2. */
  yy: number;
  /** Sum of (x - mean x) * (y - mean y). */
  xy: number;
}

/** What the samples come to. */
export interface Line {
  readonly n: number;
  readonly mean: number;
  /** sqrt(yy / (n - 1)); 0 below two samples. */
  readonly standardDeviation: number;
  /** Per sample: xy / xx. */
  readonly slope: number;
  /** From the first sample to the last: slope * (last - first). */
  readonly drift: number;
  /** xy^2 / (xx * yy), 0 to 1; 0 when all samples are equal. */
  readonly rSquared: number;
  /** sqrt((yy - xy^2 / xx) / (n - 2)); 0 below three samples. */
  readonly residual: number;
}

/** No samples yet. */
export function emptyTrend(): Trend {
  return { next: 0, n: 0, first: 0, last: 0, meanX: 0, meanY: 0, xx: 0, yy: 0, xy: 0 };
}

/** Takes in the next samples. */
export function addToTrend(trend: Trend, samples: Float64Array): void {
  let { n, first, last, meanX, meanY, xx, yy, xy } = trend;
  const { next } = trend;
  for (let at = 0; at < samples.length; at++) {
    const y = samples[at] as number;
    if (!Number.isFinite(y)) continue;
    const x = next + at;
    if (n === 0) first = x;
    last = x;
    n++;
    const dx = x - meanX;
    const dy = y - meanY;
    meanX += dx / n;
    meanY += dy / n;
    const fromMean = y - meanY;
    xx += dx * (x - meanX);
    yy += dy * fromMean;
    xy += dx * fromMean;
  }
  Object.assign(trend, { next: next + samples.length, n, first, last, meanX, meanY, xx, yy, xy });
}

/** The line through all that was taken in. */
export function lineOf({ n, first, last, meanY, xx, yy, xy }: Trend): Line {
  const slope = xx === 0 ? 0 : xy / xx;
  // Rounding may leave a little less than nothing.
  const unexplained = Math.max(0, yy - slope * xy);
  return {
    n,
    mean: meanY,
    standardDeviation: n < 2 ? 0 : Math.sqrt(yy / (n - 1)),
    slope,
    drift: slope * (last - first),
    rSquared: yy === 0 ? 0 : Math.min(1, (slope * xy) / yy),
    residual: n < 3 ? 0 : Math.sqrt(unexplained / (n - 2)),
  };
}
