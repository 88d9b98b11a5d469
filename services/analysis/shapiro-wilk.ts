/** The test of Shapiro and Wilk for a normal distribution, by Royston: Applied Statistics 44 (1995), algorithm AS R94. Pure. */
import { normalProbability, normalQuantile } from "./distributions.ts";
import { centralSum, meanOf } from "./moments.ts";
import type { TestResult } from "./results.ts";

/** The test of 3 to 5,000 values that differ; undefined of others. */
export function shapiroWilk(values: Float64Array): TestResult | undefined {
  const n = values.length;
  if (n < 3 || n > 5000) return undefined;
  const sorted = values.toSorted();
  const range = (sorted[n - 1] as number) - (sorted[0] as number);
  if (!(range > 0)) return undefined;
  const half = weights(n);
  // W is the squared correlation of the values with the weights.
  const mean = meanOf(sorted);
  let product = 0;
  let norm = 0;
  for (let i = 0; i < half.length; i++) {
    const weight = half[i] as number;
    product += weight * (((sorted[n - 1 - i] as number) - (sorted[i] as number)) / range);
    norm += 2 * weight * weight;
  }
  const spread = Math.sqrt(norm * (centralSum(sorted, mean, 2) / range / range));
  // 1 - W as a product keeps its digits when W is next to 1.
  const rest = ((spread - product) * (spread + product)) / (spread * spread);
  return { name: "W", statistic: 1 - rest, degreesOfFreedom: [], pValue: probability(n, rest) };
}

/** The weights of the upper half of the order statistics, largest first; the lower half's are their negatives. */
function weights(n: number): Float64Array {
  const half = new Float64Array(Math.floor(n / 2));
  if (n === 3) return half.fill(Math.SQRT1_2);
  const scores = half.map((_, i) => -normalQuantile((i + 1 - 0.375) / (n + 0.25)));
  const squares = 2 * scores.reduce((sum, score) => sum + score * score, 0);
  const root = Math.sqrt(squares);
  const [m1 = 0, m2 = 0] = scores;
  const first = m1 / root + polynomial([0, 0.221157, -0.147981, -2.07119, 4.434685, -2.706056], 1 / Math.sqrt(n));
  if (n <= 5) {
    const factor = Math.sqrt((squares - 2 * m1 * m1) / (1 - 2 * first * first));
    return scores.map((score, i) => (i === 0 ? first : score / factor));
  }
  const second = m2 / root + polynomial([0, 0.042981, -0.293762, -1.752461, 5.682633, -3.582633], 1 / Math.sqrt(n));
  const factor = Math.sqrt((squares - 2 * m1 * m1 - 2 * m2 * m2) / (1 - 2 * first * first - 2 * second * second));
  return scores.map((score, i) => (i === 0 ? first : i === 1 ? second : score / factor));
}

/** The upper tail of log(1 - W), which is made normal by n. */
function probability(n: number, rest: number): number {
  if (n === 3) return Math.max(0, (6 / Math.PI) * (Math.asin(Math.sqrt(1 - rest)) - Math.PI / 3));
  const y = Math.log(rest);
  const log = Math.log(n);
  if (n > 11) {
    const mean = polynomial([-1.5861, -0.31082, -0.083751, 0.0038915], log);
    return normalProbability((y - mean) / Math.exp(polynomial([-0.4803, -0.082676, 0.0030302], log)), "greater");
  }
  const limit = polynomial([-2.273, 0.459], n);
  if (y >= limit) return 1e-99;
  const mean = polynomial([0.544, -0.39978, 0.025054, -6.714e-4], n);
  const deviation = Math.exp(polynomial([1.3822, -0.77857, 0.062767, -0.0020322], n));
  return normalProbability((-Math.log(limit - y) - mean) / deviation, "greater");
}

function polynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduceRight((sum, coefficient) => sum * x + coefficient, 0);
}
