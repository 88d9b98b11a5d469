/** The distributions of random inputs, drawn from uniform numbers. Pure but for the generator. */
import type { Uniforms } from "./philox.ts";
import { Refusal } from "./refusal.ts";

/** How an input is distributed. */
export type Distribution =
  | {
      readonly kind: "normal";
      readonly mean: number;
      readonly standardDeviation: number;
      readonly min: number | undefined;
      readonly max: number | undefined;
    }
  | { readonly kind: "logNormal"; readonly mu: number; readonly sigma: number }
  | { readonly kind: "uniform"; readonly min: number; readonly max: number }
  | { readonly kind: "triangular"; readonly min: number; readonly mode: number; readonly max: number }
  | { readonly kind: "pert"; readonly min: number; readonly mode: number; readonly max: number; readonly lambda: number }
  | { readonly kind: "exponential"; readonly mean: number }
  | { readonly kind: "bernoulli"; readonly probability: number }
  | { readonly kind: "discrete"; readonly values: readonly number[]; readonly weights: readonly number[] };

/** @throws Refusal of `field` when the parameters make no distribution. */
export function checkDistribution(distribution: Distribution, field: string): void {
  const refuse = (description: string): never => {
    throw new Refusal(`${field}.${snake(distribution.kind)}`, description);
  };
  switch (distribution.kind) {
    case "normal": {
      const { mean, standardDeviation, min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = distribution;
      if (min > max) refuse("expected min to be at most max");
      if (min > mean + 3 * standardDeviation || max < mean - 3 * standardDeviation) {
        refuse("expected min to be at most 3 standard deviations above the mean, and max at most as many below");
      }
      if (standardDeviation > 0 && max - min < standardDeviation / 1000) refuse("expected the bounds to be farther apart");
      break;
    }
    case "uniform":
      if (distribution.min > distribution.max) refuse("expected min to be at most max");
      break;
    case "triangular":
    case "pert": {
      const { min, mode, max } = distribution;
      if (!(min <= mode && mode <= max)) refuse("expected min, mode and max in this order");
      break;
    }
    case "discrete": {
      const { values, weights } = distribution;
      if (weights.length > 0 && weights.length !== values.length) refuse("expected a weight for each value, or none");
      if (weights.length > 0 && !(weights.reduce((sum, weight) => sum + weight, 0) > 0)) refuse("expected a weight above 0");
      break;
    }
    default:
  }
}

/** Draws values of a distribution. */
export function sampler(distribution: Distribution, uniforms: Uniforms): () => number {
  switch (distribution.kind) {
    case "normal": {
      const { mean, standardDeviation, min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = distribution;
      const normal = normals(uniforms);
      return () => {
        for (;;) {
          const value = mean + standardDeviation * normal();
          if (value >= min && value <= max) return value;
        }
      };
    }
    case "logNormal": {
      const normal = normals(uniforms);
      return () => Math.exp(distribution.mu + distribution.sigma * normal());
    }
    case "uniform": {
      const { min, max } = distribution;
      return () => between(min, max, uniforms());
    }
    case "triangular":
      return triangular(distribution, uniforms);
    case "pert":
      return pert(distribution, uniforms);
    case "exponential":
      return () => -distribution.mean * Math.log1p(-uniforms());
    case "bernoulli":
      return () => (uniforms() < distribution.probability ? 1 : 0);
    case "discrete":
      return discrete(distribution, uniforms);
  }
}

/** Standard normal numbers, two at a time (Box and Muller). */
function normals(uniforms: Uniforms): () => number {
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log1p(-uniforms()));
    const angle = 2 * Math.PI * uniforms();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}

/** By the inverse of its distribution function. */
function triangular({ min, mode, max }: { min: number; mode: number; max: number }, uniforms: Uniforms): () => number {
  const width = max - min;
  const left = width === 0 ? 0 : (mode - min) / width;
  return () => {
    const u = uniforms();
    return u < left ? min + Math.sqrt(u * width * (mode - min)) : max - Math.sqrt((1 - u) * width * (max - mode));
  };
}

/** A beta distribution from min to max, as a ratio of gamma numbers. */
function pert(
  { min, mode, max, lambda }: { min: number; mode: number; max: number; lambda: number },
  uniforms: Uniforms,
): () => number {
  if (min === max) return () => min;
  const weight = lambda || 4;
  const normal = normals(uniforms);
  const [alpha, beta] = [1 + (weight * (mode - min)) / (max - min), 1 + (weight * (max - mode)) / (max - min)];
  return () => {
    const a = gamma(alpha, normal, uniforms);
    return between(min, max, a / (a + gamma(beta, normal, uniforms)));
  };
}

/** For shapes of at least 1 (Marsaglia and Tsang, "A simple method for generating gamma variables", 2000). */
function gamma(shape: number, normal: () => number, uniforms: Uniforms): number {
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log1p(-uniforms()) < 0.5 * x * x + d * (1 - v + Math.log(v))) return d * v;
  }
}

function discrete({ values, weights }: { values: readonly number[]; weights: readonly number[] }, uniforms: Uniforms) {
  let sum = 0;
  const ends = values.map((_, at) => {
    sum += weights.length === 0 ? 1 : (weights[at] ?? 0);
    return sum;
  });
  return () => {
    const wanted = uniforms() * sum;
    const at = ends.findIndex((end) => wanted < end);
    return values[at === -1 ? values.length - 1 : at] as number;
  };
}

/** Without overflow of the difference. */
function between(min: number, max: number, part: number): number {
  return min * (1 - part) + max * part;
}

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
