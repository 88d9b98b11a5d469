/** Tukey's honest significant differences: each two levels of a factor, adjusted for all. Pure. */
import type { Factor } from "./frame.ts";
import { meanOf } from "./moments.ts";
import { Refusal, wrongField } from "./refusal.ts";
import { around, type Interval } from "./results.ts";
import { rangeProbability, rangeQuantile } from "./studentized-range.ts";

/** Two levels of a factor. */
export interface Comparison {
  term: string;
  first: string;
  second: string;
  difference: number;
  interval: Interval;
  pValue: number;
}

const maxLevels = 30;

/** The residuals' mean square and its degrees of freedom. */
interface Residual {
  readonly meanSquare: number;
  readonly df: number;
  readonly confidence: number;
}

/**
 * Compares each two levels of each factor; those of different sizes after Kramer.
 *
 * @throws Refusal for two factors that are not balanced: their means would not be comparable.
 */
export function tukeyComparisons(factors: readonly Factor[], y: Float64Array, residual: Residual): Comparison[] {
  const [first, second] = factors;
  if (first !== undefined && second !== undefined && !isBalanced(first, second)) {
    throw new Refusal({
      kind: "data",
      reason: "NOT_BALANCED",
      message: `tukey: expected as many values of each pair of levels of ${first.name} and ${second.name}`,
    });
  }
  return factors.flatMap((factor) => comparisonsOf(factor, y, residual));
}

function isBalanced(first: Factor, second: Factor): boolean {
  const counts = new Int32Array(first.levels.length * second.levels.length);
  for (const [row, code] of first.codes.entries()) {
    const cell = code * second.levels.length + (second.codes[row] as number);
    counts[cell] = (counts[cell] as number) + 1;
  }
  return counts.every((count) => count === counts[0]);
}

function comparisonsOf({ name, codes, levels }: Factor, y: Float64Array, { meanSquare, df, confidence }: Residual): Comparison[] {
  const k = levels.length;
  if (k > maxLevels) throw wrongField("tukey", `expected at most ${maxLevels} levels to compare, got ${k} of ${name}`);
  const groups = levels.map((_, code) => y.filter((_, row) => codes[row] === code));
  const means = groups.map(meanOf);
  const critical = rangeQuantile(1 - confidence, k, df);
  const found: Comparison[] = [];
  for (let low = 0; low < k; low++) {
    for (let high = low + 1; high < k; high++) {
      const difference = (means[high] as number) - (means[low] as number);
      const sizes = 1 / (groups[high]?.length ?? 0) + 1 / (groups[low]?.length ?? 0);
      const error = Math.sqrt((meanSquare / 2) * sizes);
      found.push({
        term: name,
        first: levels[high] ?? "",
        second: levels[low] ?? "",
        difference,
        interval: around(difference, critical * error),
        pValue: rangeProbability(Math.abs(difference) / error, k, df),
      });
    }
  }
  return found;
}
