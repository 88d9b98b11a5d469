/** Scores as tables. */
import type { Outcome } from "./runner.ts";

/** How many vectors passed, of how many. */
export interface Score {
  readonly passed: number;
  readonly total: number;
}

/** Scores by chapter, in the order of the outcomes. */
export function scoresOf(outcomes: readonly Outcome[]): Map<string, Score> {
  const scores = new Map<string, Score>();
  for (const { chapter, differences } of outcomes) {
    const { passed, total } = scores.get(chapter) ?? { passed: 0, total: 0 };
    scores.set(chapter, { passed: passed + (differences.length === 0 ? 1 : 0), total: total + 1 });
  }
  return scores;
}

/** The score of all outcomes together. */
export function totalOf(outcomes: readonly Outcome[]): Score {
  return { passed: outcomes.filter(({ differences }) => differences.length === 0).length, total: outcomes.length };
}

/** A table for a terminal, every failure below it, and what is pending no longer. */
export function textReport(outcomes: readonly Outcome[]): string {
  const rows = [...scoresOf(outcomes), ["all", totalOf(outcomes)] as const];
  const table = rows.map(
    ([name, { passed, total }]) => `${name.padEnd(24)} ${String(passed).padStart(4)} of ${String(total).padStart(4)}`,
  );
  const failures = outcomes
    .filter(({ differences }) => differences.length > 0)
    .map(({ vector, chapter, differences }) => {
      const pending = vector.pending === undefined ? "" : ` (pending: ${vector.pending})`;
      return `\n${chapter}: ${vector.name}${pending}\n${differences.map((difference) => `    ${difference}`).join("\n")}`;
    });
  const early = outcomes
    .filter(({ vector, differences }) => vector.pending !== undefined && differences.length === 0)
    .map(({ vector, chapter }) => `\n${chapter}: ${vector.name}\n    passes, and is still marked as pending: ${vector.pending}`);
  return `${table.join("\n")}\n${[...failures, ...early].join("\n")}\n`;
}
