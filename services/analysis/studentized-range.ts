/**
 * The studentized range: the range of k means over the estimate of their standard error, which Tukey's comparisons ask for. Pure.
 *
 * P(Q > q) = integral over s of f(s) * H(q * s), where s^2 * df is chi-squared with df degrees of freedom, and
 * H(w) = k * integral over z of phi(z) * (Phi(z)^(k-1) - (Phi(z) - Phi(z-w))^(k-1)) is the probability of a range of at least w of k standard
 * normal values. Both integrals are sums over panels of 16 Gaussian nodes: the tail itself is summed, so small ones keep their digits.
 */
import normalCdf from "@stdlib/stats-base-dists-normal-cdf";

/** The probability of a studentized range of at least `q` of `k` means with `df` degrees of freedom. */
export function rangeProbability(q: number, k: number, df: number): number {
  if (q <= 0) return 1;
  const width = 1 / Math.sqrt(2 * df);
  // Beyond, either the density of s or the tail is below 1e-20 of the rest.
  const end = Math.min(1 + 10 * width + 5 * width * width, Math.max(1.2, 26 / q));
  const start = Math.max(0, 1 - 12 * width);
  const panels = Math.ceil((end - start) / Math.min(2 * width, 2 / q));
  const logScale = logDensityScale(df);
  const step = (end - start) / panels;
  let sum = 0;
  for (let panel = 0; panel < panels; panel++) {
    for (const { at, weight } of nodes) {
      const s = start + (panel + at) * step;
      const density = Math.exp(logScale + (df - 1) * Math.log(s) - (df * s * s) / 2);
      if (density > 1e-40) sum += weight * step * density * normalRangeTail(q * s, k);
    }
  }
  return Math.min(1, sum);
}

/** The value that a studentized range exceeds with probability `p`. */
export function rangeQuantile(p: number, k: number, df: number): number {
  let low = 0;
  let high = 4;
  while (rangeProbability(high, k, df) > p) {
    low = high;
    high *= 2;
  }
  // Regula falsi on the logarithm, which is nearly straight, after Anderson and Bjorck; it always keeps the root between its bounds.
  let below = low === 0 ? -Math.log(p) : Math.log(rangeProbability(low, k, df) / p);
  let above = Math.log(rangeProbability(high, k, df) / p);
  for (let step = 0; step < 60 && high - low > 1e-14 * high; step++) {
    const middle = (low * above - high * below) / (above - below);
    const value = Math.log(rangeProbability(middle, k, df) / p);
    if (value === 0 || middle <= low || middle >= high) return middle;
    if (Math.sign(value) === Math.sign(above)) {
      const keep = 1 - value / above;
      below *= keep > 0 ? keep : 0.5;
      [high, above] = [middle, value];
    } else {
      const keep = 1 - value / below;
      above *= keep > 0 ? keep : 0.5;
      [low, below] = [middle, value];
    }
    if (Math.abs(value) < 1e-14) return middle;
  }
  return (low + high) / 2;
}

/** log of 2 * (df / 2)^(df / 2) / gamma(df / 2): what the density of s has before its powers. */
function logDensityScale(df: number): number {
  const half = df / 2;
  return Math.LN2 + half * Math.log(half) - logGamma(half);
}

/** log(gamma(x)): Stirling's series, after x was shifted up. */
function logGamma(x: number): number {
  let at = x;
  let shift = 0;
  for (; at < 15; at++) shift -= Math.log(at);
  const r = 1 / (at * at);
  const series = (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r / 1188)))) / at;
  return shift + (at - 0.5) * Math.log(at) - at + Math.log(2 * Math.PI) / 2 + series;
}

/** The probability of a range of at least `w` of `k` standard normal values. */
function normalRangeTail(w: number, k: number): number {
  let sum = 0;
  for (const { z, share, below } of points) {
    const gap = normalCdf(z - w, 0, 1);
    // a^m - (a - b)^m without its loss of digits when b is small.
    const power = below ** (k - 1);
    sum += share * (gap >= below ? power : -power * Math.expm1((k - 1) * Math.log1p(-gap / below)));
  }
  return Math.min(1, k * sum);
}

/** Gauss and Legendre's 16 nodes on 0 to 1. */
const nodes = gaussLegendre(16);

/** Where the inner integral is evaluated, with what does not depend on w. */
const points = Array.from({ length: 11 }, (_, panel) =>
  nodes.map(({ at, weight }) => {
    const z = -9 + 2 * (panel + at);
    return { z, share: (2 * weight * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI), below: normalCdf(z, 0, 1) };
  }),
).flat();

/** The nodes are the roots of Legendre's polynomial, found by Newton's steps. */
function gaussLegendre(n: number): { at: number; weight: number }[] {
  return Array.from({ length: n }, (_, i) => {
    let x = Math.cos((Math.PI * (i + 0.75)) / (n + 0.5));
    let slope = 1;
    for (let step = 0; step < 10; step++) {
      let [previous, value] = [1, x];
      for (let degree = 2; degree <= n; degree++) {
        [previous, value] = [value, ((2 * degree - 1) * x * value - (degree - 1) * previous) / degree];
      }
      slope = (n * (x * value - previous)) / (x * x - 1);
      x -= value / slope;
    }
    return { at: (1 - x) / 2, weight: 1 / ((1 - x * x) * slope * slope) };
  });
}
