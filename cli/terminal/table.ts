import { stripVTControlCharacters } from "node:util";

/**
 * Lines of a table: columns as wide as their widest cell, two blanks between them. Colours do not count for the width.
 *
 * @param right the columns, from 0, that hold numbers and are set to the right.
 */
export function tableLines(rows: readonly (readonly string[])[], right: readonly number[] = []): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, visible(cell));
    });
  }
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const blanks = " ".repeat((widths[column] ?? 0) - visible(cell));
        return right.includes(column) ? blanks + cell : cell + blanks;
      })
      .join("  ")
      .trimEnd(),
  );
}

/** The text cut to `width` columns, with an ellipsis where something was cut. Text with colours is not cut in the middle of one. */
export function cut(text: string, width: number): string {
  if (visible(text) <= width) return text;
  return `${stripVTControlCharacters(text).slice(0, Math.max(0, width - 1))}…`;
}

function visible(text: string): number {
  return stripVTControlCharacters(text).length;
}
