/** From the steps that were asked for to the stages that are worked on: what each makes of the columns is settled here. */
import type { ConnectError } from "@connectrpc/connect";
import { invalidArgument } from "#mesh/errors.ts";
import { badColumns, type Column, type ColumnType } from "./column.ts";
import { type Combine, JobError, type Measure, type PlacedColumn, type RowStep, type Stage } from "./job.ts";

/** A step as it was asked for. */
export type AskedStep =
  | { readonly kind: "select"; readonly columns: readonly string[] }
  | { readonly kind: "rename"; readonly names: Readonly<Record<string, string>> }
  | { readonly kind: "cast"; readonly types: Readonly<Record<string, ColumnType>> }
  | { readonly kind: "filter"; readonly expression: string }
  | { readonly kind: "derive"; readonly column: string; readonly expression: string; readonly type: ColumnType | undefined }
  | Combine;

/** Compiles an expression over columns and answers its type, if that can be told. @throws JobError */
export type TypeOf = (expression: string, columns: readonly PlacedColumn[]) => Promise<ColumnType | undefined>;

/**
 * The stages that `steps` come to, over rows of `columns`. There is at least one.
 *
 * @throws INVALID_ARGUMENT naming the step that cannot be done.
 */
export async function planStages(columns: readonly Column[], steps: readonly AskedStep[], typeOf: TypeOf): Promise<Stage[]> {
  const stages: Stage[] = [];
  let input = columns;
  let current = columns;
  let rows: RowStep[] = [];
  for (const [index, step] of steps.entries()) {
    if (step.kind === "deduplicate" || step.kind === "aggregate") {
      const output = combined(step, current, index);
      stages.push({ rows, input, staged: current, combine: step, output });
      [input, current, rows] = [output, output, []];
      continue;
    }
    const { columns: next, rows: more } = await rowSteps(step, current, index, typeOf);
    const bad = badColumns(next);
    if (bad !== undefined) throw wrong(index, step.kind, bad);
    rows.push(...more);
    current = next;
  }
  if (rows.length > 0 || stages.length === 0) stages.push({ rows, input, staged: current, combine: undefined, output: current });
  return stages;
}

/** The error for a step. */
function wrong(index: number, field: string, description: string): ConnectError {
  return invalidArgument([{ field: `steps[${index}].${field}`, description }]);
}

interface Done {
  readonly columns: readonly Column[];
  readonly rows: readonly RowStep[];
}

async function rowSteps(
  step: Exclude<AskedStep, Combine>,
  columns: readonly Column[],
  index: number,
  typeOf: TypeOf,
): Promise<Done> {
  switch (step.kind) {
    case "select": {
      const places = step.columns.map((name) => placeOf(columns, name, index, "select.columns"));
      return { columns: places.map((place) => at(columns, place)), rows: [{ kind: "pick", places }] };
    }
    case "rename": {
      for (const name of Object.keys(step.names)) placeOf(columns, name, index, "rename.names");
      const renamed = columns.map((column) => {
        return Object.hasOwn(step.names, column.name) ? { ...column, name: step.names[column.name] ?? "" } : column;
      });
      return { columns: renamed, rows: [] };
    }
    case "cast":
      return cast(step.types, columns, index);
    case "filter": {
      const type = await compiled(step, columns, index, typeOf);
      if (type !== undefined && type !== "boolean") throw wrong(index, "filter.expression", `expected true or false, got a ${type}`);
      return { columns, rows: [{ kind: "filter", expression: step.expression, columns: named(step.expression, columns), step: index }] };
    }
    case "derive":
      return derive(step, columns, index, typeOf);
  }
}

function cast(types: Readonly<Record<string, ColumnType>>, columns: readonly Column[], index: number): Done {
  const next = [...columns];
  const rows: RowStep[] = [];
  for (const [name, to] of Object.entries(types)) {
    const place = placeOf(columns, name, index, "cast.types");
    const { type: from } = at(columns, place);
    if (!castable(from, to)) throw wrong(index, `cast.types[${JSON.stringify(name)}]`, `a ${from} cannot become a ${to}`);
    next[place] = { name, type: to };
    if (from !== to) rows.push({ kind: "cast", place, name, from, to });
  }
  return { columns: next, rows };
}

/** Whether any value of a type can become one of another. */
function castable(from: ColumnType, to: ColumnType): boolean {
  if (from === to || from === "text" || from === "json" || to === "text" || to === "json") return true;
  return casts[from]?.includes(to) ?? false;
}

const casts: Partial<Record<ColumnType, readonly ColumnType[]>> = {
  integer: ["double", "decimal", "boolean"],
  double: ["integer", "decimal"],
  decimal: ["integer", "double"],
  boolean: ["integer"],
  timestamp: ["date"],
  date: ["timestamp"],
};

async function derive(
  step: Extract<AskedStep, { kind: "derive" }>,
  columns: readonly Column[],
  index: number,
  typeOf: TypeOf,
): Promise<Done> {
  const { column: name, expression } = step;
  const found = await compiled(step, columns, index, typeOf);
  const type = step.type ?? found;
  if (type === undefined) throw wrong(index, "derive.type", "expected a type, since the expression does not tell it");
  const before = columns.findIndex((column) => column.name === name);
  const place = before === -1 ? columns.length : before;
  const next = [...columns];
  next[place] = { name, type };
  return { columns: next, rows: [{ kind: "derive", expression, columns: named(expression, columns), place, type, name, step: index }] };
}

async function compiled(
  { kind, expression }: { readonly kind: string; readonly expression: string },
  columns: readonly Column[],
  index: number,
  typeOf: TypeOf,
): Promise<ColumnType | undefined> {
  try {
    return await typeOf(expression, placed(columns));
  } catch (error) {
    if (error instanceof JobError) throw wrong(index, `${kind}.expression`, error.message);
    throw error;
  }
}

function placed(columns: readonly Column[]): PlacedColumn[] {
  return columns.map((column, place) => ({ ...column, place }));
}

/** The columns that an expression may name: a plan with all columns in each of its steps would be large. */
function named(expression: string, columns: readonly Column[]): PlacedColumn[] {
  const whole = /\brow\b/.test(expression);
  return placed(columns).filter(({ name }) => whole || expression.includes(name));
}

/** The columns behind a step that needs all rows. */
function combined(step: Combine, columns: readonly Column[], index: number): readonly Column[] {
  if (step.kind === "deduplicate") {
    for (const name of step.columns) placeOf(columns, name, index, "deduplicate.columns");
    return columns;
  }
  const groups = step.groupBy.map((name) => at(columns, placeOf(columns, name, index, "aggregate.group_by")));
  const measures = step.measures.map((measure, place): Column => {
    return { name: measure.name, type: measured(measure, columns, index, place) };
  });
  const output = [...groups, ...measures];
  const bad = badColumns(output);
  if (bad !== undefined) throw wrong(index, "aggregate", bad);
  return output;
}

function measured({ fn, column }: Measure, columns: readonly Column[], index: number, place: number): ColumnType {
  const field = `aggregate.measures[${place}].column`;
  if (column === undefined) {
    if (fn === "count") return "integer";
    throw wrong(index, field, "expected the column to measure, got none");
  }
  const { type } = at(columns, placeOf(columns, column, index, field));
  if (fn === "count" || fn === "count-distinct") return "integer";
  if (fn === "min" || fn === "max") {
    if (type === "boolean" || type === "json") throw wrong(index, field, `a ${type} has no least and no greatest value`);
    return type;
  }
  if (type !== "integer" && type !== "double" && type !== "decimal") throw wrong(index, field, `expected numbers, got a ${type}`);
  if (fn === "stddev" || fn === "median") return "double";
  return type === "double" ? "double" : "decimal";
}

function placeOf(columns: readonly Column[], name: string, index: number, field: string): number {
  const place = columns.findIndex((column) => column.name === name);
  if (place !== -1) return place;
  const names = columns.map((column) => column.name).slice(0, 30);
  throw wrong(index, field, `there is no column ${JSON.stringify(name)} here; there are ${names.join(", ")}`);
}

function at(columns: readonly Column[], place: number): Column {
  const column = columns[place];
  if (column === undefined) throw new Error(`no column ${place}`);
  return column;
}
