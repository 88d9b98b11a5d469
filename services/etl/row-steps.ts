/** The steps that are done to each row for itself. Runs in the worker threads. */
import { type Cell, CellError, cast } from "./cell.ts";
import { compile } from "./expression.ts";
import type { RowStep } from "./job.ts";

/** What becomes of a row: the row behind the steps, or undefined when a filter left it out. @throws CellError to reject it. */
export type RowFunction = (row: Cell[]) => Cell[] | undefined;

/** All steps as one function. Rows are changed in place. @throws CellError when an expression does not compile. */
export function rowFunction(steps: readonly RowStep[]): RowFunction {
  const functions = steps.map(one);
  return (row) => {
    let current: Cell[] | undefined = row;
    for (const step of functions) {
      current = step(current);
      if (current === undefined) return undefined;
    }
    return current;
  };
}

function one(step: RowStep): RowFunction {
  switch (step.kind) {
    case "pick": {
      const { places } = step;
      return (row) => places.map((place) => row[place] ?? null);
    }
    case "cast": {
      const { place, name, from, to } = step;
      return (row) => {
        row[place] = naming(name, () => cast(to, from, row[place] ?? null));
        return row;
      };
    }
    case "filter": {
      const { evaluate } = compile(step.expression, step.columns);
      return (row) => {
        const kept = naming(`steps[${step.step}].filter`, () => evaluate(row));
        if (typeof kept !== "boolean") throw new CellError(`steps[${step.step}].filter: expected true or false, got something else`);
        return kept ? row : undefined;
      };
    }
    case "derive": {
      const { cell } = compile(step.expression, step.columns);
      const { place, name, type } = step;
      return (row) => {
        row[place] = naming(name, () => cell(row, type));
        return row;
      };
    }
  }
}

function naming<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof CellError ? new CellError(`${name}: ${error.message}`) : error;
  }
}
