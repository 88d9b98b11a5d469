/** Columns from values that come one by one. Pure. */
import type { Column, Frame } from "./frame.ts";
import { wrongField } from "./refusal.ts";

/** What an analysis takes at most. */
export const limits = { rows: 200_000, columns: 500, values: 1_000_000 } as const;

/** Collects the values of a column, numbers or texts. */
export class ColumnBuilder {
  readonly #name: string;
  #numbers: Float64Array;
  #length = 0;
  /** Each text's code; undefined while there are none. */
  #codes: Map<string, number> | undefined;
  #hasNumbers = false;

  /** @param rows how many values there will be; more may come */
  constructor(name: string, rows = 64) {
    this.#name = name;
    this.#numbers = new Float64Array(rows);
  }

  /** A value that is missing. */
  addMissing(): void {
    this.#put(Number.NaN);
  }

  /**
   * A number; NaN is missing.
   *
   * @throws Refusal naming `field` when it is infinite, or texts came before.
   */
  addNumber(value: number, field: () => string): void {
    if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) {
      throw wrongField(field(), `expected a finite number, got ${value}`);
    }
    if (!Number.isNaN(value)) {
      if (this.#codes !== undefined)
        throw wrongField(field(), `expected a text, as before in ${this.#name}, got the number ${value}`);
      this.#hasNumbers = true;
    }
    this.#put(value);
  }

  /** @throws Refusal naming `field` when numbers came before. */
  addText(text: string, field: () => string): void {
    if (this.#hasNumbers) {
      throw wrongField(
        field(),
        `expected a number, as before in ${this.#name}, got the text ${JSON.stringify(text.slice(0, 50))}`,
      );
    }
    this.#codes ??= new Map();
    let code = this.#codes.get(text);
    if (code === undefined) {
      code = this.#codes.size;
      this.#codes.set(text, code);
    }
    this.#put(code);
  }

  /** The column; one of which every value is missing is of numbers. */
  build(): Column {
    const values = this.#numbers.length === this.#length ? this.#numbers : this.#numbers.slice(0, this.#length);
    if (this.#codes === undefined) return { kind: "numbers", name: this.#name, values };
    const codes = Int32Array.from(values, (code) => (Number.isNaN(code) ? -1 : code));
    return { kind: "texts", name: this.#name, codes, levels: [...this.#codes.keys()] };
  }

  #put(value: number): void {
    if (this.#length === this.#numbers.length) {
      const larger = new Float64Array(2 * this.#length + 1);
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    this.#numbers[this.#length++] = value;
  }
}

/**
 * Columns of one length, with different names.
 *
 * @throws Refusal naming `field` when they are not, or pass a limit.
 */
export function frameFrom(columns: readonly Column[], field: string): Frame {
  const lengths = columns.map((column) => (column.kind === "numbers" ? column.values.length : column.codes.length));
  const [rowCount = 0] = lengths;
  const other = lengths.findIndex((length) => length !== rowCount);
  if (other !== -1) {
    const name = JSON.stringify(columns[other]?.name);
    throw wrongField(
      field,
      `expected columns of one length, got ${rowCount} values of the first and ${lengths[other]} of ${name}`,
    );
  }
  const seen = new Set<string>();
  for (const { name } of columns) {
    if (seen.has(name)) throw wrongField(field, `expected columns of different names, got ${JSON.stringify(name)} twice`);
    seen.add(name);
  }
  checkSize(columns.length, rowCount, field);
  return { rowCount, columns };
}

/** @throws Refusal naming `field` and the limit that is passed. */
export function checkSize(columns: number, rows: number, field: string): void {
  const found = { columns, rows, values: columns * rows };
  for (const [what, most] of Object.entries(limits)) {
    const got = found[what as keyof typeof limits];
    if (got > most) throw wrongField(field, `expected at most ${most} ${what}, got ${got}`);
  }
}
