/** Scores of several gateways as Markdown: by chapter, by source, and rule by rule where one of the peers differs. */
import { type Score, totalOf } from "./report.ts";
import type { Outcome } from "./runner.ts";
import type { Chapter } from "./vector.ts";

/** Writes the report; the first gateway is our own. */
export function markdownReport(chapters: readonly Chapter[], gateways: ReadonlyMap<string, readonly Outcome[]>): string {
  return [...byChapter(chapters, gateways), ...bySource(gateways), ...pending(gateways), ...differences(chapters, gateways)].join(
    "\n",
  );
}

function byChapter(chapters: readonly Chapter[], gateways: ReadonlyMap<string, readonly Outcome[]>): string[] {
  const rows = chapters.map(({ chapter, about, vectors }) => {
    const scores = [...gateways.values()].map((all) => percent(totalOf(all.filter((one) => one.chapter === chapter))));
    return row([`[${chapter}](vectors/${chapter}.json)`, about, String(vectors.length), ...scores]);
  });
  const totals = [...gateways.values()].map((all) => `**${percent(totalOf(all))}**`);
  const count = chapters.reduce((sum, { vectors }) => sum + vectors.length, 0);
  return [
    "## Scores by chapter",
    "",
    ...head(["chapter", "about", "vectors", ...gateways.keys()]),
    ...rows,
    row(["**all**", "", `**${count}**`, ...totals]),
    "",
  ];
}

function bySource(gateways: ReadonlyMap<string, readonly Outcome[]>): string[] {
  const sourceOf = ({ vector }: Outcome) => vector.source.split(":")[0] ?? "";
  const sources = [...new Set([...gateways.values()].flat().map(sourceOf))].sort();
  const rows = sources.map((source) => {
    const scores = [...gateways.values()].map((all) => totalOf(all.filter((one) => sourceOf(one) === source)));
    return row([source, String(scores[0]?.total ?? 0), ...scores.map(percent)]);
  });
  return ["## Scores by the source of the rule", "", ...head(["source", "vectors", ...gateways.keys()]), ...rows, ""];
}

function pending(gateways: ReadonlyMap<string, readonly Outcome[]>): string[] {
  const reasons = new Map<string, Score>();
  for (const { vector, differences } of [...gateways.values()][0] ?? []) {
    if (vector.pending === undefined) continue;
    const { passed, total } = reasons.get(vector.pending) ?? { passed: 0, total: 0 };
    reasons.set(vector.pending, { passed: passed + (differences.length === 0 ? 1 : 0), total: total + 1 });
  }
  if (reasons.size === 0) return [];
  return ["## What Heddle does not pass yet", "", ...[...reasons].map(([reason, { total }]) => `- ${reason}: ${total}`), ""];
}

function differences(chapters: readonly Chapter[], gateways: ReadonlyMap<string, readonly Outcome[]>): string[] {
  const [, ...others] = [...gateways];
  return [
    "## Where Heddle differs from its peers, rule by rule",
    "",
    "Of each rule that a peer does not hold in every vector: how many vectors it passes, and what it does in the first that it",
    "does not. Heddle differs on purpose: the rule is why.",
    "",
    ...chapters.flatMap(({ chapter, vectors }) => {
      const rules = [...new Set(vectors.map(({ rule }) => rule))];
      const rows = rules.flatMap((rule) => {
        const of = others.map(([, all]) => all.filter((one) => one.chapter === chapter && one.vector.rule === rule));
        if (of.every((outcomes) => outcomes.every((one) => one.differences.length === 0))) return [];
        const source = vectors.find((vector) => vector.rule === rule)?.source ?? "";
        return [row([`${rule} (${source})`, ...of.map(verdict)])];
      });
      return rows.length === 0 ? [] : [`### ${chapter}`, "", ...head(["rule", ...others.map(([name]) => name)]), ...rows, ""];
    }),
  ];
}

function verdict(outcomes: readonly Outcome[]): string {
  const { passed, total } = totalOf(outcomes);
  const failed = outcomes.find(({ differences }) => differences.length > 0);
  if (failed === undefined) return "all";
  return `${passed} of ${total}: \`${cut(failed.vector.name, 60)}\` ${cut(failed.differences[0] ?? "", 110)}`;
}

function percent({ passed, total }: Score): string {
  return total === 0 ? "" : passed === total ? `${passed} (100 %)` : `${passed} (${Math.floor((100 * passed) / total)} %)`;
}

function cut(text: string, length: number): string {
  const line = text.replaceAll(/\s+/g, " ").replaceAll("`", "'");
  return line.length > length ? `${line.slice(0, length - 3)}...` : line;
}

function head(names: readonly string[]): string[] {
  return [row(names), row(names.map(() => "---"))];
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("<", "&lt;")).join(" | ")} |`;
}
