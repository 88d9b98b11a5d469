/** The SQL of the steps that need all rows. PostgreSQL keeps within its work_mem and spills to its disk. Pure. */
import { type Column, quoted, rowColumn, sqlTypeOf } from "./column.ts";
import type { Combine, Measure } from "./job.ts";

/** A query of the rows that `step` makes of table `from`, whose columns are `input`, with their numbers from 1. */
export function combineSql(from: string, step: Combine, input: readonly Column[], output: readonly Column[]): string {
  return step.kind === "deduplicate" ? deduplicated(from, step, input) : aggregated(from, step, output);
}

function deduplicated(from: string, step: Extract<Combine, { kind: "deduplicate" }>, input: readonly Column[]): string {
  const all = input.map(({ name }) => quoted(name)).join(", ");
  const keys = step.columns.length === 0 ? all : step.columns.map(quoted).join(", ");
  const order = step.keepLast ? "DESC" : "ASC";
  return `SELECT row_number() OVER (ORDER BY ${rowColumn}) AS ${rowColumn}, ${all}
    FROM (SELECT DISTINCT ON (${keys}) * FROM ${from} ORDER BY ${keys}, ${rowColumn} ${order}) kept`;
}

function aggregated(from: string, step: Extract<Combine, { kind: "aggregate" }>, output: readonly Column[]): string {
  const groups = step.groupBy.map(quoted);
  const measures = step.measures.map((measure, place) => {
    const column = output[step.groupBy.length + place];
    const type = column === undefined ? "text" : sqlTypeOf[column.type];
    return `(${measured(measure)})::${type} AS ${quoted(measure.name)}`;
  });
  const order = groups.length === 0 ? "" : `ORDER BY ${groups.join(", ")}`;
  const by = groups.length === 0 ? "" : `GROUP BY ${groups.join(", ")}`;
  const made = [...groups, ...measures].join(", ");
  const names = output.map(({ name }) => quoted(name)).join(", ");
  return `SELECT row_number() OVER (${order}) AS ${rowColumn}, ${names} FROM (SELECT ${made} FROM ${from} ${by}) grouped`;
}

function measured({ fn, column }: Measure): string {
  const name = column === undefined ? "*" : quoted(column);
  switch (fn) {
    case "count":
      return `count(${name})`;
    case "count-distinct":
      return `count(DISTINCT ${name})`;
    case "sum":
      return `sum(${name})`;
    case "average":
      return `avg(${name})`;
    case "min":
      return `min(${name})`;
    case "max":
      return `max(${name})`;
    case "stddev":
      return `stddev_samp(${name}::double precision)`;
    case "median":
      return `percentile_cont(0.5) WITHIN GROUP (ORDER BY ${name}::double precision)`;
  }
}
