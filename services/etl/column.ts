/** Columns and the types of their values. */

/** What the values of a column are; each may also be null. */
export type ColumnType = "text" | "integer" | "double" | "decimal" | "boolean" | "timestamp" | "date" | "json";

/** A column. */
export interface Column {
  readonly name: string;
  readonly type: ColumnType;
}

/** The type that PostgreSQL keeps each in. */
export const sqlTypeOf: Readonly<Record<ColumnType, string>> = {
  text: "text",
  integer: "bigint",
  double: "double precision",
  decimal: "numeric",
  boolean: "boolean",
  timestamp: "timestamptz",
  date: "date",
  json: "jsonb",
};

/** The column that every table has beside the user's own: the row's place, from 1. */
export const rowColumn = "heddle_row";

/** How many columns there may be. */
export const maxColumns = 500;

/** An identifier as SQL takes it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** What is wrong with the name of a column, or undefined. */
export function badName(name: string): string | undefined {
  const bytes = Buffer.byteLength(name);
  if (bytes === 0 || bytes > 63) return `expected a name of 1 to 63 bytes, got ${JSON.stringify(name.slice(0, 70))}`;
  if (name.includes("\0") || !name.isWellFormed()) return "expected a name without U+0000 and lone surrogates";
  return name === rowColumn ? `${rowColumn} is the name of a column of ours` : undefined;
}

/** What is wrong with columns as a whole, or undefined. */
export function badColumns(columns: readonly Column[]): string | undefined {
  if (columns.length === 0) return "expected columns, got none";
  if (columns.length > maxColumns) return `expected at most ${maxColumns} columns, got ${columns.length}`;
  const seen = new Set<string>();
  for (const { name } of columns) {
    const bad = badName(name);
    if (bad !== undefined) return bad;
    if (seen.has(name)) return `column ${JSON.stringify(name)} is there twice`;
    seen.add(name);
  }
  return undefined;
}
