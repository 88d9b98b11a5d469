/** The functions of a model, over real numbers: what has no real value is NaN. True is 1; all but 0 and NaN counts as true. */
import { ratesOfReturn } from "./rate-of-return.ts";

/** Over numbers one by one. */
const scalars = {
  add: (a: number, b: number) => a + b,
  subtract: (a: number, b: number) => a - b,
  multiply: (a: number, b: number) => a * b,
  divide: (a: number, b: number) => a / b,
  pow: (a: number, b: number) => a ** b,
  /** Takes the divisor's sign, and by 0 leaves the number, as in mathjs. */
  mod: (a: number, b: number) => (b === 0 ? a : a - b * Math.floor(a / b)),
  minus: (a: number) => -a,
  plus: (a: number) => a,
  and: (a: number, b: number) => truth(isTrue(a) && isTrue(b)),
  or: (a: number, b: number) => truth(isTrue(a) || isTrue(b)),
  not: (a: number) => truth(!isTrue(a)),
  equal: (a: number, b: number) => truth(a === b),
  unequal: (a: number, b: number) => truth(a !== b),
  larger: (a: number, b: number) => truth(a > b),
  largerEq: (a: number, b: number) => truth(a >= b),
  smaller: (a: number, b: number) => truth(a < b),
  smallerEq: (a: number, b: number) => truth(a <= b),
  abs: Math.abs,
  sqrt: Math.sqrt,
  cbrt: Math.cbrt,
  exp: Math.exp,
  log: (a: number, base?: number) => (base === undefined ? Math.log(a) : Math.log(a) / Math.log(base)),
  log2: Math.log2,
  log10: Math.log10,
  /** Half goes away from 0. */
  round: (a: number, digits = 0) => (Math.sign(a) * Math.floor(Math.abs(a) * 10 ** digits + 0.5)) / 10 ** digits,
  floor: Math.floor,
  ceil: Math.ceil,
  fix: Math.trunc,
  sign: Math.sign,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  atan2: Math.atan2,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
};

/** Over a list, and over numbers before it. */
const lists = {
  min: (list: readonly number[]) => list.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY),
  max: (list: readonly number[]) => list.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY),
  sum: (list: readonly number[]) => list.reduce((sum, value) => sum + value, 0),
  mean: (list: readonly number[]) => list.reduce((sum, value) => sum + value, 0) / list.length,
  /** The first amount is now. */
  npv: (list: readonly number[], rate = 0) => list.reduceRight((worth, amount) => worth / (1 + rate) + amount, 0),
  /** NaN unless there is exactly one. */
  irr: (list: readonly number[]) => (list.every(Number.isFinite) && list.length <= 200 ? onlyRate(list) : Number.NaN),
};

/** The name of a function of a model. */
export type FunctionName = keyof typeof scalars | keyof typeof lists;

/** The names of those over a list. */
export const listFunctions: ReadonlySet<string> = new Set(Object.keys(lists));

/** Of those that take several numbers of arguments, or whose own code does not say. */
const arities: ReadonlyMap<string, readonly [least: number, most: number]> = new Map([
  ["log", [1, 2]],
  ["round", [1, 2]],
  ["npv", [2, 2]],
  ["irr", [1, 1]],
  ["min", [1, 1000]],
  ["max", [1, 1000]],
  ["sum", [1, 1000]],
  ["mean", [1, 1000]],
]);

/** How many arguments a function takes, at least and at most. */
export function arityOf(name: FunctionName): readonly [number, number];
export function arityOf(name: string, maybe: true): readonly [number, number] | undefined;
export function arityOf(name: string): readonly [number, number] | undefined {
  const several = arities.get(name);
  if (several !== undefined || !Object.hasOwn(scalars, name)) return several;
  const { length } = scalars[name as keyof typeof scalars];
  return [length, length];
}

/** A function over numbers; undefined for one over a list. */
export function scalarOf(name: FunctionName): ((a: number, b?: number) => number) | undefined {
  return Object.hasOwn(scalars, name) ? (scalars[name as keyof typeof scalars] as (a: number, b?: number) => number) : undefined;
}

/** A function over a list. */
export function listFunctionOf(name: FunctionName): (list: readonly number[], first?: number) => number {
  return lists[name as keyof typeof lists];
}

/** Whether a number counts as true. */
export function isTrue(value: number): boolean {
  return value !== 0 && !Number.isNaN(value);
}

function truth(value: boolean): number {
  return value ? 1 : 0;
}

function onlyRate(amounts: readonly number[]): number {
  const { status, roots } = ratesOfReturn(amounts.map((amount, time) => ({ time, amount })));
  return status === "unique" ? (roots[0]?.rate ?? Number.NaN) : Number.NaN;
}
