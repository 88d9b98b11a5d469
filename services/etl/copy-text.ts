/** Rows in the text format of PostgreSQL's COPY: https://www.postgresql.org/docs/current/sql-copy.html. Pure. */
import type { Cell } from "./cell.ts";

/** One row as a line; `number` goes in front of its cells. */
export function copyLine(number: number, row: readonly Cell[]): string {
  let line = String(number);
  for (const cell of row) line += cell === null ? "\t\\N" : `\t${special.test(cell) ? cell.replace(specials, escapeOf) : cell}`;
  return `${line}\n`;
}

const special = /[\\\n\r\t]/;
const specials = /[\\\n\r\t]/g;
const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escapeOf(character: string): string {
  return escapes[character] ?? character;
}
