/**
 * Exponential smoothing by Holt and Winters, and its forecast. Pure.
 *
 *     level(t)  = alpha * (x(t) - season(t-p)) + (1 - alpha) * (level(t-1) + slope(t-1))
 *     slope(t)  = beta * (level(t) - level(t-1)) + (1 - beta) * slope(t-1)
 *     season(t) = gamma * (x(t) - level(t)) + (1 - gamma) * season(t-p)
 *
 * with quotients in place of the differences from a season that is multiplicative. The start is R's: level and slope of the line through
 * the trend of the first two seasons, and their season; without a season the first two values.
 */
import { normalQuantile } from "./distributions.ts";
import { leastSquares } from "./least-squares.ts";
import { minimum } from "./minimum.ts";
import { varianceOf } from "./moments.ts";
import { tooFew, wrongField } from "./refusal.ts";
import { around, type Interval } from "./results.ts";
import { decompose, type Seasonal } from "./season.ts";

/** What a series is taken to consist of. */
export type Model = "exponential" | "holt" | "holt_winters";

/** What to forecast. */
export interface ForecastOptions {
  readonly model: Model;
  readonly frequency: number;
  readonly seasonal: Seasonal;
  readonly horizon: number;
  readonly alpha: number | undefined;
  readonly beta: number | undefined;
  readonly gamma: number | undefined;
  readonly confidence: number;
}

/** The answer. */
export interface Forecast {
  model: Model;
  alpha: number;
  beta?: number;
  gamma?: number;
  sumOfSquaredErrors: number;
  level: number;
  slope?: number;
  season: number[];
  points: { step: number; value: number; interval: Interval }[];
}

interface Parameters {
  readonly alpha: number;
  readonly beta: number;
  readonly gamma: number;
}

interface Start {
  readonly level: number;
  readonly slope: number;
  /** Zeros or ones without a season. */
  readonly season: Float64Array;
  /** The number of the first value that is forecast. */
  readonly from: number;
  readonly multiplicative: boolean;
}

/** Smooths a series, with the parameters that fit best unless they are given, and goes on with it. */
export function forecastOf(values: Float64Array, options: ForecastOptions): Forecast {
  const { model, horizon } = options;
  const start = startOf(values, options);
  // One for all trials: thousands of them would be a gigabyte.
  const errors = new Float64Array(values.length - start.from);
  const given = [options.alpha, model === "exponential" ? 0 : options.beta, model === "holt_winters" ? options.gamma : 0];
  const free = given.flatMap((value, at) => (value === undefined ? [at] : []));
  const whole = (some: readonly number[]): Parameters => {
    const all = given.map((value, at) => value ?? (some[free.indexOf(at)] as number));
    const [alpha = 0, beta = 0, gamma = 0] = all;
    return { alpha, beta, gamma };
  };
  const best = free.length === 0 ? [] : minimum((some) => smooth(values, start, whole(some), errors).sumOfSquares, free.length);
  const parameters = whole(best);
  const end = smooth(values, start, parameters, errors);
  const trend = model !== "exponential";
  const season = model === "holt_winters" ? Array.from(end.season) : [];
  return {
    model,
    alpha: parameters.alpha,
    ...(trend ? { beta: parameters.beta } : {}),
    ...(season.length > 0 ? { gamma: parameters.gamma } : {}),
    sumOfSquaredErrors: end.sumOfSquares,
    level: end.level,
    ...(trend ? { slope: end.slope } : {}),
    season,
    points: pointsOf(end, parameters, { start, trend, horizon, confidence: options.confidence }),
  };
}

function startOf(values: Float64Array, { model, frequency, seasonal }: ForecastOptions): Start {
  const [first = 0, second = 0] = values;
  const season = new Float64Array([0]);
  if (model === "exponential") return { level: first, slope: 0, season, from: 1, multiplicative: false };
  if (model === "holt") return { level: second, slope: second - first, season, from: 2, multiplicative: false };
  if (frequency < 2) throw wrongField("frequency", "expected 2 or more for holt_winters");
  if (values.length < 2 * frequency + 1) throw tooFew("holt_winters", 2 * frequency + 1, values.length);
  const { trend, figure } = decompose(values.subarray(0, 2 * frequency), frequency, seasonal);
  const index = Float64Array.from(trend, (_, at) => at + 1);
  const [level = 0, slope = 0] = leastSquares(
    [new Float64Array(trend.length).fill(1), index],
    Float64Array.from(trend),
  ).coefficients;
  const multiplicative = seasonal === "multiplicative";
  return { level, slope: Number.isNaN(slope) ? 0 : slope, season: Float64Array.from(figure), from: frequency, multiplicative };
}

interface Smoothed {
  readonly level: number;
  readonly slope: number;
  /** From the value after the last on. */
  readonly season: Float64Array;
  readonly sumOfSquares: number;
  readonly errors: Float64Array;
}

/** The errors go into `errors`. */
function smooth(values: Float64Array, start: Start, { alpha, beta, gamma }: Parameters, errors: Float64Array): Smoothed {
  const { from, multiplicative } = start;
  let { level, slope } = start;
  const season = start.season.slice();
  const period = season.length;
  let sumOfSquares = 0;
  for (let t = from; t < values.length; t++) {
    const value = values[t] as number;
    const place = (t - from) % period;
    const its = season[place] as number;
    const next = level + slope;
    const error = value - (multiplicative ? next * its : next + its);
    errors[t - from] = error;
    sumOfSquares += error * error;
    const before = level;
    level = alpha * (multiplicative ? value / its : value - its) + (1 - alpha) * next;
    slope = beta * (level - before) + (1 - beta) * slope;
    season[place] = gamma * (multiplicative ? value / level : value - level) + (1 - gamma) * its;
  }
  const turn = errors.length % period;
  const ahead = Float64Array.from(season, (_, at) => season[(turn + at) % period] as number);
  return { level, slope, season: ahead, sumOfSquares, errors };
}

interface Ahead {
  readonly start: Start;
  readonly trend: boolean;
  readonly horizon: number;
  readonly confidence: number;
}

/**
 * The variance h steps ahead is that of the errors times the sum over j = 0 to h-1 of psi(j)^2, with psi(0) = 1 and else
 * psi(j) = alpha * (1 + j * beta) + gamma * (1 - alpha) where j is whole seasons; a multiplicative season scales each by
 * season(h) / season(h-j) (Yar and Chatfield, 1990).
 */
function pointsOf(
  { level, slope, season, errors }: Smoothed,
  { alpha, beta, gamma }: Parameters,
  ahead: Ahead,
): Forecast["points"] {
  const { start, trend, horizon, confidence } = ahead;
  const period = season.length;
  const variance = varianceOf(errors);
  const quantile = normalQuantile((1 + confidence) / 2);
  const psi = (j: number) => (j === 0 ? 1 : alpha * (1 + j * beta) + (j % period === 0 ? gamma * (1 - alpha) : 0));
  const seasonAt = (step: number) => season[(step - 1) % period] as number;
  let additive = 0;
  return Array.from({ length: horizon }, (_, at) => {
    const step = at + 1;
    const line = level + (trend ? step * slope : 0);
    const value = start.multiplicative ? line * seasonAt(step) : line + seasonAt(step);
    additive += psi(at) ** 2;
    let sum = additive;
    if (start.multiplicative) {
      sum = 0;
      for (let j = 0; j < step; j++) sum += ((psi(j) * seasonAt(step)) / seasonAt(step - j)) ** 2;
    }
    const reach = quantile * Math.sqrt(variance * sum);
    return { step, value, interval: Number.isFinite(reach) ? around(value, reach) : {} };
  });
}
