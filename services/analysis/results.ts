/** What several analyses have in common in their answers; the words are the contract's (results.proto). */

/** A confidence interval; an absent bound is infinite. */
export interface Interval {
  lower?: number;
  upper?: number;
}

/** What a test found. */
export interface TestResult {
  name: string;
  statistic: number;
  degreesOfFreedom: number[];
  pValue: number;
}

/** A quantile. */
export interface Quantile {
  probability: number;
  value: number;
}

/** What was missing. */
export interface Missing {
  rule: string;
  rowCount: number;
  usedRowCount: number;
  columns: { name: string; count: number }[];
}

/** `center` with `reach` on both sides. */
export function around(center: number, reach: number): Interval {
  return { lower: center - reach, upper: center + reach };
}

/** `{ [name]: value }`, or nothing when the value is not a finite number. */
export function finite<K extends string>(name: K, value: number): { [P in K]?: number } {
  return Number.isFinite(value) ? ({ [name]: value } as { [P in K]?: number }) : {};
}
