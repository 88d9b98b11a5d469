/**
 * All internal rates of return: the zeros of f(s) = sum of amount * e^(-time * s), where s = ln(1 + rate). Pure.
 *
 * The search is complete. Where the amounts change their sign k times in order of time, f has at most k zeros (Descartes' rule for
 * exponential sums: Jameson, "Counting zeros of generalised polynomials", 2006). Multiplied by e^(tau * s), with tau between the times of
 * a change of sign, and differentiated, f becomes a sum of the same kind with one change less: amount * (tau - time). Its zeros,
 * found in the same way, cut the range into stretches on which e^(tau * s) f is monotone, so each has one zero or none, which the signs at
 * its ends tell.
 */

/** An amount at a time, in periods. */
export interface Flow {
  readonly time: number;
  readonly amount: number;
}

/** The rates at which flows are worth nothing now. */
export interface RatesOfReturn {
  /** `all`: every rate, since every amount is 0. */
  readonly status: "none" | "unique" | "several" | "all";
  /** Ascending. Touching: the value does not change its sign there. */
  readonly roots: readonly { readonly rate: number; readonly touching: boolean }[];
  readonly minRate: number;
  readonly maxRate: number;
  readonly signChanges: number;
}

/** Where rates are looked for, both ends included. */
export interface RateRange {
  readonly minRate: number;
  readonly maxRate: number;
}

/** Where they are looked for when nobody says. */
export const defaultRange: RateRange = { minRate: -0.999999, maxRate: 1e6 };

/** More than this no series of payments has that anybody asks for; the search takes their square. */
export const maxSignChanges = 500;

/** All rates between two, both included. At most `maxSignChanges` changes of sign. */
export function ratesOfReturn(flows: readonly Flow[], { minRate, maxRate } = defaultRange): RatesOfReturn {
  const sum = sumOf(flows);
  const signChanges = changesOf(sum.factors);
  const told = { minRate, maxRate, signChanges };
  if (sum.factors.length === 0) return { status: "all", roots: [], ...told };
  const zeros = zerosOf(sum, Math.log1p(minRate), Math.log1p(maxRate));
  const roots = zeros.map(({ at, touching }) => ({ rate: clamp(settled(Math.expm1(at)), minRate, maxRate), touching }));
  return { status: roots.length === 0 ? "none" : roots.length === 1 ? "unique" : "several", roots, ...told };
}

/** How often the sign changes in order of time. */
export function signChangesOf(flows: readonly Flow[]): number {
  return changesOf(sumOf(flows).factors);
}

/** An exponential sum; times ascend, no factor is 0. */
interface Sum {
  readonly times: Float64Array;
  readonly factors: Float64Array;
}

interface Zero {
  readonly at: number;
  readonly touching: boolean;
}

function sumOf(flows: readonly Flow[]): Sum {
  const byTime = new Map<number, number>();
  for (const { time, amount } of flows) byTime.set(time, (byTime.get(time) ?? 0) + amount);
  const kept = [...byTime].filter(([, amount]) => amount !== 0).sort(([a], [b]) => a - b);
  return { times: Float64Array.from(kept, ([time]) => time), factors: Float64Array.from(kept, ([, amount]) => amount) };
}

function changesOf(factors: Float64Array): number {
  let changes = 0;
  for (let at = 1; at < factors.length; at++) if (differ(factors, at)) changes++;
  return changes;
}

function differ(factors: Float64Array, at: number): boolean {
  return (factors[at - 1] as number) < 0 !== (factors[at] as number) < 0;
}

/** From the derivative without any change of sign, which has no zero, back to the sum itself. */
function zerosOf(sum: Sum, from: number, to: number): Zero[] {
  const levels: Sum[] = [sum];
  for (let top = sum; changesOf(top.factors) > 0; levels.push(top)) top = derivativeOf(top);
  let zeros: Zero[] = [];
  // The last has no change of sign, and so no zero.
  for (let level = levels.length - 2; level >= 0; level--) {
    zeros = between(levels[level] as Sum, [from, ...zeros.map(({ at }) => at), to]);
  }
  return zeros;
}

/** The factors of the derivative about the middle one of its changes of sign, kept near 1. */
function derivativeOf({ times, factors }: Sum): Sum {
  const changes: number[] = [];
  for (let at = 1; at < factors.length; at++) if (differ(factors, at)) changes.push(at);
  const at = changes[changes.length >> 1] as number;
  const tau = ((times[at - 1] as number) + (times[at] as number)) / 2;
  const next = factors.map((factor, index) => factor * (tau - (times[index] as number)));
  const greatest = next.reduce((most, factor) => Math.max(most, Math.abs(factor)), 0);
  // What falls below the least double beside the greatest could only matter at rates beyond any range.
  return { times, factors: next.map((factor) => Math.sign(factor) * Math.max(Math.abs(factor) / greatest, 1e-300)) };
}

/** The zeros on stretches on which the sum is monotone, but for a positive factor. */
function between(sum: Sum, points: readonly number[]): Zero[] {
  const signs = points.map((point) => signAt(sum, point));
  const zeros: Zero[] = [];
  for (let index = 0; index < points.length; index++) {
    const at = points[index] as number;
    const sign = signs[index] as number;
    const before = signs[index - 1] ?? 0;
    if (before * sign < 0) zeros.push({ at: bisect(sum, points[index - 1] as number, at, before), touching: false });
    // Of neighbours that are all 0 as far as double precision tells, the first stands for all.
    if (sign === 0 && (index === 0 || before !== 0)) {
      const after = signs.slice(index).find((one) => one !== 0) ?? 0;
      zeros.push({ at, touching: before !== 0 && before === after });
    }
  }
  return zeros;
}

function bisect(sum: Sum, from: number, to: number, signFrom: number): number {
  let [low, high] = [from, to];
  for (;;) {
    const middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return middle;
    const value = valueAt(sum, middle).value;
    if (value === 0) return middle;
    if (value < 0 === signFrom < 0) low = middle;
    else high = middle;
  }
}

/** The sign, or 0 where what is left could be rounding alone. */
function signAt(sum: Sum, s: number): number {
  const { value, magnitude } = valueAt(sum, s);
  return Math.abs(value) <= 4 * Number.EPSILON * magnitude ? 0 : Math.sign(value);
}

/** The sum, scaled so that the greatest power is 1, and how much its terms weigh together. Summed as Neumaier does. */
function valueAt({ times, factors }: Sum, s: number): { value: number; magnitude: number } {
  const origin = s < 0 ? (times[times.length - 1] as number) : (times[0] as number);
  let value = 0;
  let lost = 0;
  let magnitude = 0;
  for (let at = 0; at < times.length; at++) {
    const exponent = (origin - (times[at] as number)) * s;
    const term = (factors[at] as number) * Math.exp(exponent);
    const next = value + term;
    lost += Math.abs(value) >= Math.abs(term) ? value - next + term : term - next + value;
    value = next;
    magnitude += Math.abs(term) * (1 - exponent);
  }
  return { value: value + lost, magnitude };
}

/** What is below the rounding of 1 + rate is 0. */
function settled(rate: number): number {
  return Math.abs(rate) < 1e-15 ? 0 : rate;
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
