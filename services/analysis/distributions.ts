/**
 * Tails and quantiles of the distributions that tests ask for.
 *
 * P-values keep their relative precision however small they are: each is computed as the small tail itself, never as 1 less the large
 * one.
 */
import fCdf from "@stdlib/stats-base-dists-f-cdf";
import normalCdf from "@stdlib/stats-base-dists-normal-cdf";
import normalQuantileOf from "@stdlib/stats-base-dists-normal-quantile";
import tCdf from "@stdlib/stats-base-dists-t-cdf";
import tQuantileOf from "@stdlib/stats-base-dists-t-quantile";

/** What a test asks whether the effect is, if there is one. */
export type Alternative = "two_sided" | "less" | "greater";

/** The p-value of a t statistic with `df` degrees of freedom. */
export function tProbability(t: number, df: number, alternative: Alternative = "two_sided"): number {
  if (alternative === "less") return lowerT(t, df);
  if (alternative === "greater") return lowerT(-t, df);
  return 2 * lowerT(-Math.abs(t), df);
}

function lowerT(t: number, df: number): number {
  if (Number.isFinite(t)) return tCdf(t, df);
  return t < 0 ? 0 : 1;
}

/** The value below which a t statistic lies with probability `p` (0.5 to 1). */
export function tQuantile(p: number, df: number): number {
  let t = tQuantileOf(p, df);
  // The library stops some digits early; Newton's steps on the upper tail bring the rest.
  for (let step = 0; step < 3; step++) t += (tCdf(-t, df) - (1 - p)) / tDensity(t, df);
  return t;
}

/** Up to a constant factor that depends on `df` alone, found by the density at 0 as the slope of the distribution there. */
function tDensity(t: number, df: number): number {
  return densityAtZero(df) * (1 + (t * t) / df) ** (-(df + 1) / 2);
}

/** gamma((df + 1) / 2) / (sqrt(pi * df) * gamma(df / 2)). */
function densityAtZero(df: number): number {
  return Math.exp(logGammaRatio(df / 2)) / Math.sqrt(Math.PI * df);
}

/** log(gamma(x + 1/2) / gamma(x)): shifted up until its asymptotic series holds to the last digits. */
function logGammaRatio(x: number): number {
  let at = x;
  let shift = 0;
  for (; at < 20; at++) shift += Math.log(at / (at + 0.5));
  const r = 1 / (at * at);
  return shift + Math.log(at) / 2 - (1 / (8 * at)) * (1 - r * (1 / 24 - r / 80));
}

/** The probability of an F statistic of at least `f`. */
export function fProbability(f: number, df1: number, df2: number): number {
  if (f === Number.POSITIVE_INFINITY) return 0;
  // 1 / F has the degrees of freedom the other way round, and its lower tail is this upper one.
  return f > 0 ? fCdf(1 / f, df2, df1) : 1;
}

/** The probability of a chi-squared statistic of at least `x`; `df` is a whole number. A finite sum of positive terms. */
export function chiSquaredProbability(x: number, df: number): number {
  if (x <= 0) return 1;
  const half = x / 2;
  const odd = df % 2 === 1;
  // From Q(1/2, x/2) = erfc(sqrt(x/2)) or Q(1, x/2) = exp(-x/2), by Q(a + 1, h) = Q(a, h) + h^a exp(-h) / gamma(a + 1).
  let probability = odd ? 2 * normalCdf(-Math.sqrt(x), 0, 1) : Math.exp(-half);
  let logTerm = odd ? Math.log(half) / 2 - half - Math.log(Math.PI) / 2 + Math.LN2 : Math.log(half) - half;
  for (let a = odd ? 0.5 : 1; a < df / 2; a++) {
    probability += Math.exp(logTerm);
    logTerm += Math.log(half / (a + 1));
  }
  return Math.min(1, probability);
}

/** The p-value of a standard normal statistic. */
export function normalProbability(z: number, alternative: Alternative = "two_sided"): number {
  if (alternative === "less") return normalCdf(z, 0, 1);
  if (alternative === "greater") return normalCdf(-z, 0, 1);
  return 2 * normalCdf(-Math.abs(z), 0, 1);
}

/** The value below which a standard normal one lies with probability `p`. */
export function normalQuantile(p: number): number {
  return normalQuantileOf(p, 0, 1);
}
