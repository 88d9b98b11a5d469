/** Bounds on what functions of mathjs build, so that a bomb is refused by name before it takes a thread's memory or time. */
import type { MathJsInstance } from "mathjs";
import { Refusal } from "./refusal.ts";

/** How many numbers a matrix may have. */
export const maxElements = 10_000;

/** Up to where products of a run of integers are worked out. */
const maxFactor = 5000;

type Loose = (...args: readonly unknown[]) => unknown;

/** Puts the bounds into an instance, and answers with it. */
export function guard(math: MathJsInstance): MathJsInstance {
  // Those that expressions call: they count from 1 and include the end, where the library's own do not.
  const { mathWithTransform: functions } = math.expression as unknown as { mathWithTransform: Readonly<Record<string, Loose>> };
  const guarded: Record<string, Loose> = {};
  const bounded = (name: string, check: (args: readonly unknown[]) => void) => {
    const original = functions[name] as Loose;
    guarded[name] = (...args) => {
      check(args);
      return original(...args);
    };
  };
  for (const name of ["ones", "zeros", "identity"]) {
    bounded(name, (args) => count(name, product(sizesOf(args), name === "identity")));
  }
  // The library keeps sizes that are decimals as they are, and then finds 100 unequal to 100.
  const reshape = functions.reshape as Loose;
  guarded.reshape = (values, ...sizes) => reshape(values, sizesOf(sizes));
  bounded("range", (args) => {
    const [start = 0, end = 0, step = 1] = args.filter((arg) => typeof arg !== "boolean").map(numberOf);
    count("range", (end - start) / step + 1);
  });
  bounded("diag", ([values]) => count("diag", elements(values) ** 2));
  bounded("kron", ([a, b]) => count("kron", elements(a) * elements(b)));
  bounded("concat", (args) => count("concat", sum(args.map(elements))));
  bounded("multiply", (args) => {
    const [a, b] = args.map(shapeOf);
    if (a !== undefined && b !== undefined) count("multiply", (a[0] ?? 1) * (b[1] ?? 1));
  });
  for (const name of ["factorial", "gamma", "combinations", "permutations"]) {
    bounded(name, (args) => {
      for (const arg of args.flatMap(flat)) {
        if (Math.abs(numberOf(arg)) > maxFactor) throw new Refusal("expression", `${name} goes up to ${maxFactor}`);
      }
    });
  }
  math.import(guarded, { override: true });
  return math;
}

/** How many numbers a value holds. */
export function elements(value: unknown): number {
  const shape = shapeOf(value);
  return shape === undefined ? 1 : product(shape, false);
}

function count(name: string, wanted: number): void {
  if (!(wanted <= maxElements)) {
    throw new Refusal("expression", `${name} would make ${wanted} numbers; a matrix has ${maxElements} at most`);
  }
}

function shapeOf(value: unknown): readonly number[] | undefined {
  if (Array.isArray(value)) return value.length === 0 ? [0] : [value.length, ...(shapeOf(value[0]) ?? [])];
  if (value !== null && typeof value === "object" && "size" in value && typeof value.size === "function") return value.size();
  return undefined;
}

function sizesOf(args: readonly unknown[]): readonly number[] {
  return args
    .flatMap(flat)
    .map(numberOf)
    .filter((size) => !Number.isNaN(size));
}

function flat(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value.flatMap(flat);
  if (value !== null && typeof value === "object" && "valueOf" in value && shapeOf(value) !== undefined) {
    const inside = value.valueOf();
    return inside === value ? [] : flat(inside);
  }
  return [value];
}

function numberOf(value: unknown): number {
  return typeof value === "string" ? Number.NaN : Number(value);
}

function product(sizes: readonly number[], square: boolean): number {
  const all = sizes.reduce((result, size) => result * Math.max(0, size), 1);
  return square && sizes.length === 1 ? all * all : all;
}

function sum(values: readonly number[]): number {
  return values.reduce((result, value) => result + value, 0);
}
