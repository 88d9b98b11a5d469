/** An expression's value: parsed, held against the sandbox's lists, and worked out. Runs in a worker thread. */
import type { MathJsInstance } from "mathjs";
import { elements, maxElements } from "./guards.ts";
import { loadMath, type NumberMode } from "./math.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import { Refusal } from "./refusal.ts";
import { checkNodes, constants, isUnit, type Node, parse } from "./sandbox.ts";

/** What a variable may be: lists nest. */
export type Variable = number | boolean | string | readonly Variable[];

/** An expression and what its names stand for. */
export interface Question {
  readonly expression: string;
  readonly variables: ReadonlyMap<string, Variable>;
  readonly mode: NumberMode;
  /** The unit that the result is to be in; empty: the one that it has. */
  readonly unit: string;
}

/** The value. @throws Refusal of the field that is wrong. */
export async function evaluate({ expression, variables, mode, unit }: Question): Promise<Outcome> {
  const math = await loadMath(mode);
  const scope = new Map<string, unknown>();
  let total = 0;
  for (const [name, variable] of variables) {
    if (!/^[A-Za-z][A-Za-z0-9_]{0,49}$/.test(name) || constants.has(name)) {
      throw new Refusal(`variables.${name.slice(0, 60)}`, "expected a name of letters, digits and _ that is no constant");
    }
    const value = variableValue(math, mode, variable, `variables.${name}`);
    total += elements(value);
    if (total > maxElements) throw new Refusal("variables", `expected at most ${maxElements} numbers`);
    scope.set(name, value);
  }
  const root = parse(math, expression);
  checkNodes(math, root, new Set(scope.keys()));
  const value = last(compute(() => unitsNamed(math, root, scope).compile().evaluate(scope), "expression"));
  if (elements(value) > maxElements) throw new Refusal("expression", `the result has more than ${maxElements} numbers`);
  return outcomeOf(math, unit === "" ? value : converted(math, value, unit));
}

interface Runnable {
  compile(): { evaluate(scope: Map<string, unknown>): unknown };
}

/** Where a function has the name of a unit (`min`), a name that is not called is the unit, unless a variable has it. */
function unitsNamed(math: MathJsInstance, root: Node, scope: Map<string, unknown>): Runnable {
  const functions = math as unknown as Readonly<Record<string, unknown>>;
  const { SymbolNode, Unit } = math as unknown as {
    SymbolNode: new (name: string) => Node;
    Unit: new (value: null, unit: string) => unknown;
  };
  const known = new Set(scope.keys());
  const transformable = root as unknown as { transform(change: (node: Node, path: string) => Node): Runnable };
  return transformable.transform((node, path) => {
    const { type, name = "" } = node;
    const isClash = type === "SymbolNode" && path !== "fn" && typeof functions[name] === "function" && isUnit(math, name);
    if (!isClash || known.has(name)) return node;
    scope.set(`unit ${name}`, new Unit(null, name));
    return new SymbolNode(`unit ${name}`);
  });
}

function variableValue(math: MathJsInstance, mode: NumberMode, variable: Variable, field: string): unknown {
  if (typeof variable === "boolean") return variable;
  if (typeof variable === "number") return mode === "decimal" ? math.bignumber(String(variable)) : variable;
  if (typeof variable === "string") return quantityOf(math, mode, variable, field);
  const list = variable.map((item) => variableValue(math, mode, item, field));
  return compute(() => math.matrix(list as never), field);
}

function quantityOf(math: MathJsInstance, mode: NumberMode, text: string, field: string): unknown {
  const found = /^\s*([+-]?\d{1,60}(?:\.\d{1,60})?(?:[eE][+-]?\d{1,3})?)\s*([A-Za-z][A-Za-z0-9 /*^()-]{0,60})?$/.exec(text);
  if (found === null)
    throw new Refusal(field, `expected a number or a quantity such as "5 km", got ${JSON.stringify(text.slice(0, 60))}`);
  const [, digits = "", unit] = found;
  const number = mode === "decimal" ? math.bignumber(digits) : Number(digits);
  return unit === undefined ? number : compute(() => math.unit(number as number, unit.trim()), field);
}

function converted(math: MathJsInstance, value: unknown, unit: string): unknown {
  if (math.typeOf(value) !== "Unit") throw new Refusal("unit", "the result has no unit");
  const wanted = compute(() => math.unit(unit), "unit");
  return compute(() => math.to(value as never, wanted as never), "unit");
}

/** Of several expressions the last. */
function last(value: unknown): unknown {
  if (value === null || typeof value !== "object" || !("isResultSet" in value)) return value;
  const { entries } = value as unknown as { entries: readonly unknown[] };
  if (entries.length === 0) throw new Refusal("expression", "expected a last part without ; whose value is the result");
  return entries.at(-1);
}

/** What the library throws of an expression is its writer's mistake. */
function compute<T>(work: () => T, field: string): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Refusal) throw error;
    if (error instanceof RangeError && /call stack/.test(error.message)) throw new Refusal(field, "nested too deeply");
    throw new Refusal(field, error instanceof Error ? error.message.slice(0, 500) : String(error));
  }
}
