/** What a service did in a stretch of time: collected call by call, and closed into plain data. */
import type { Histogram } from "./histogram.ts";

/** Calls of one method with one layout of buckets. */
export interface CallRow {
  readonly method: string;
  readonly bounds: readonly number[];
  /** Buckets with anything in them, by their place. */
  readonly buckets: readonly (readonly [place: number, count: number])[];
  /** Seconds, of all calls together. */
  readonly sum: number;
  readonly outcomes: readonly (readonly [outcome: string, calls: number])[];
}

/** A counter or gauge of a service. */
export interface MeasureRow {
  readonly name: string;
  readonly kind: "counter" | "gauge";
  /** Of a counter what it grew by, of a gauge the sum of all series. */
  readonly value: number;
  /** Of a gauge the greatest of a single series. */
  readonly max: number | undefined;
}

/** What one service did in a window. */
export interface ServiceWindow {
  readonly service: string;
  /** For how much of the window it was collected, in seconds. */
  readonly seconds: number;
  /** How many instances answered. */
  readonly up: number;
  readonly calls: readonly CallRow[];
  readonly measures: readonly MeasureRow[];
}

/** What all services did. */
export interface Window {
  /** Milliseconds since the epoch. */
  readonly start: number;
  readonly end: number;
  readonly services: readonly ServiceWindow[];
}

/** How many ways to end a method may have; more count as `OTHER`. */
const maxOutcomes = 50;

interface Cell {
  readonly method: string;
  readonly bounds: readonly number[];
  readonly buckets: Float64Array;
  sum: number;
  readonly outcomes: Map<string, number>;
}

/** Adds up the calls of one service. */
export class CallTally {
  readonly #methods = new Map<string, Cell[]>();

  /** Adds calls that ended in one way. */
  add(method: string, outcome: string, bounds: readonly number[], buckets: ArrayLike<number>, sum: number): void {
    const cell = this.#cellOf(method, bounds);
    let calls = 0;
    for (let at = 0; at < buckets.length; at++) {
      const here = buckets[at] ?? 0;
      if (here === 0) continue;
      calls += here;
      cell.buckets[at] = (cell.buckets[at] ?? 0) + here;
    }
    cell.sum += sum;
    addOutcome(cell.outcomes, outcome, calls);
  }

  /** Adds what was added up elsewhere. */
  addRow({ method, bounds, buckets, sum, outcomes }: CallRow): void {
    const cell = this.#cellOf(method, bounds);
    for (const [place, count] of buckets) cell.buckets[place] = (cell.buckets[place] ?? 0) + count;
    cell.sum += sum;
    for (const [outcome, calls] of outcomes) addOutcome(cell.outcomes, outcome, calls);
  }

  /** What was added, by method. */
  rows(): CallRow[] {
    return [...this.#methods.values()].flat().map(({ method, bounds, buckets, sum, outcomes }) => ({
      method,
      bounds,
      buckets: [...buckets].flatMap((count, place) => (count === 0 ? [] : [[place, count] as const])),
      sum,
      outcomes: [...outcomes],
    }));
  }

  #cellOf(method: string, bounds: readonly number[]): Cell {
    const cells = this.#methods.get(method) ?? [];
    const known = cells.find((cell) => sameBounds(cell.bounds, bounds));
    if (known !== undefined) return known;
    const cell = { method, bounds, buckets: new Float64Array(bounds.length + 1), sum: 0, outcomes: new Map<string, number>() };
    cells.push(cell);
    this.#methods.set(method, cells);
    return cell;
  }
}

/** A row's buckets, with those in which there is nothing. */
export function histogramOf({ bounds, buckets }: CallRow): Histogram {
  const all = new Float64Array(bounds.length + 1);
  for (const [place, count] of buckets) all[place] = count;
  return { bounds, buckets: all };
}

function addOutcome(outcomes: Map<string, number>, outcome: string, calls: number): void {
  const key = outcomes.has(outcome) || outcomes.size < maxOutcomes ? outcome : "OTHER";
  outcomes.set(key, (outcomes.get(key) ?? 0) + calls);
}

function sameBounds(a: readonly number[], b: readonly number[]): boolean {
  return a === b || (a.length === b.length && a.every((bound, at) => bound === b[at]));
}
