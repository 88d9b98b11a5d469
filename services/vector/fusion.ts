/** Two rankings into one. Pure. */

/** What decides about a search. */
export type Mode = "vector" | "text" | "hybrid";

/** Two rankings by slot; greater is better in both. Each slot has both scores, where it has any. */
export interface Rankings {
  readonly mode: Mode;
  readonly topK: number;
  /** How much the text's scores count, from 0 to 1. */
  readonly textWeight: number;
  readonly similarity: ReadonlyMap<number, number>;
  readonly textScores: ReadonlyMap<number, number>;
}

/** The best slots, best first: by the one score that counts, or, in a hybrid search, by the weighted sum of both, each scaled to 0..1. */
export function fuse({ mode, topK, textWeight, similarity, textScores }: Rankings): { slot: number; score: number }[] {
  const scores = mode === "vector" ? similarity : mode === "text" ? textScores : weighted(similarity, textScores, textWeight);
  return Array.from(scores, ([slot, score]) => ({ slot, score }))
    .sort((a, b) => b.score - a.score || a.slot - b.slot)
    .slice(0, topK);
}

function weighted(
  similarity: ReadonlyMap<number, number>,
  textScores: ReadonlyMap<number, number>,
  textWeight: number,
): Map<number, number> {
  const near = scaled(similarity);
  const most = Math.max(...textScores.values(), Number.MIN_VALUE);
  const sum = new Map<number, number>();
  for (const [slot, value] of near) sum.set(slot, (1 - textWeight) * value + (textWeight * (textScores.get(slot) ?? 0)) / most);
  return sum;
}

/** Similarities have no zero of their own, so the least of the candidates is 0 and the greatest 1. */
function scaled(scores: ReadonlyMap<number, number>): Map<number, number> {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const score of scores.values()) [least, most] = [Math.min(least, score), Math.max(most, score)];
  const range = most - least || 1;
  return new Map(Array.from(scores, ([slot, score]) => [slot, (score - least) / range]));
}
