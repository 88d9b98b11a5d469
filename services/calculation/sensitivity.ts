/** How far the inputs of a model move its outcome. Runs in a worker thread. */
import { compile } from "./compiled-model.ts";
import { type ModelText, readModel } from "./model.ts";
import { Refusal } from "./refusal.ts";

/** A model, and how far its inputs go. */
export interface SensitivityQuestion {
  readonly expression: string;
  readonly constants: ModelText["constants"];
  readonly inputs: readonly { readonly name: string; readonly base: number; readonly low: number; readonly high: number }[];
  readonly table: TableQuestion | undefined;
}

/** Two inputs that vary together. */
export interface TableQuestion {
  readonly rowName: string;
  readonly rowValues: readonly number[];
  readonly columnName: string;
  readonly columnValues: readonly number[];
}

/** What one input does. */
export interface Bar {
  readonly name: string;
  readonly low: number;
  readonly high: number;
  readonly outcomeAtLow: number;
  readonly outcomeAtHigh: number;
  readonly swing: number;
  readonly share: number;
}

/** What all do. */
export interface Sensitivity {
  readonly baseOutcome: number;
  /** The greatest swing first, NaN last; the order of the inputs among equals. */
  readonly bars: readonly Bar[];
  readonly rows: readonly { readonly rowValue: number; readonly outcomes: readonly number[] }[];
}

/** @throws Refusal of the field that is wrong. */
export async function sensitivityOf({ expression, constants, inputs, table }: SensitivityQuestion): Promise<Sensitivity> {
  const names = inputs.map(({ name }) => name);
  const model = compile(await readModel({ expression, inputs: names, constants }));
  const base = Float64Array.from(inputs, (input) => input.base);
  const at = (...changes: readonly (readonly [place: number, value: number])[]) => {
    const values = base.slice();
    for (const [place, value] of changes) values[place] = value;
    return model(values);
  };
  const swings = inputs.map(({ name, low, high }, place) => {
    const [outcomeAtLow, outcomeAtHigh] = [at([place, low]), at([place, high])];
    return { name, low, high, outcomeAtLow, outcomeAtHigh, swing: Math.abs(outcomeAtHigh - outcomeAtLow) };
  });
  const squares = swings.reduce((sum, { swing }) => sum + (Number.isNaN(swing) ? 0 : swing ** 2), 0);
  const bars = swings.map((bar) => ({ ...bar, share: squares === 0 ? 0 : bar.swing ** 2 / squares }));
  return {
    baseOutcome: at(),
    bars: bars.toSorted((a, b) => orderOf(b) - orderOf(a) || 0),
    rows: table === undefined ? [] : rowsOf(table, names, at),
  };
}

type At = (...changes: readonly (readonly [place: number, value: number])[]) => number;

function rowsOf({ rowName, rowValues, columnName, columnValues }: TableQuestion, names: readonly string[], at: At) {
  const [row, column] = [names.indexOf(rowName), names.indexOf(columnName)];
  if (row === -1) throw new Refusal("table.row_name", "expected the name of an input");
  if (column === -1) throw new Refusal("table.column_name", "expected the name of an input");
  if (row === column) throw new Refusal("table.column_name", "expected another input than that of the rows");
  return rowValues.map((rowValue) => ({
    rowValue,
    outcomes: columnValues.map((value) => at([row, rowValue], [column, value])),
  }));
}

function orderOf({ swing }: { readonly swing: number }): number {
  return Number.isNaN(swing) ? -1 : Math.min(swing, Number.MAX_VALUE);
}
