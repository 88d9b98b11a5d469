/**
 * A model: an expression over real numbers, made into a tree of plain data that any thread can run. It is read by mathjs's parser, so that
 * it means what it means in Evaluate, but run by closures of our own, which take a hundredth of the time.
 */
import { loadMath } from "./math.ts";
import { arityOf, type FunctionName, listFunctions } from "./model-functions.ts";
import { Refusal } from "./refusal.ts";
import { maxNodes, type Node, parse } from "./sandbox.ts";

/** A tree: a number, the place of an input, a function with its arguments. */
export type Tree =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "input"; readonly place: number }
  | { readonly kind: "choice"; readonly condition: Tree; readonly yes: Tree; readonly no: Tree }
  | { readonly kind: "call"; readonly name: FunctionName; readonly args: readonly Tree[]; readonly list: readonly Tree[] };

/** A model's expression, the names of its inputs in order of their places, and the names that stand for a number. */
export interface ModelText {
  readonly expression: string;
  readonly inputs: readonly string[];
  readonly constants: ReadonlyMap<string, number>;
}

/** Reads a model. @throws Refusal of `expression`, `inputs` or `constants`. */
export async function readModel({ expression, inputs, constants }: ModelText): Promise<Tree> {
  const places = new Map<string, number>();
  inputs.forEach((name, place) => {
    if (places.has(name)) throw new Refusal("inputs", `${name} stands there twice`);
    if (constants.has(name)) throw new Refusal("constants", `${name} is an input, too`);
    places.set(name, place);
  });
  const root = parse(await loadMath("double"), expression);
  let nodes = 0;

  const tree = (node: Node | undefined): Tree => {
    if (node === undefined) throw new Refusal("expression", "expected a value");
    if (++nodes > maxNodes) throw new Refusal("expression", `expected at most ${maxNodes} operators, names and numbers`);
    switch (node.type) {
      case "ParenthesisNode":
        return tree(node.content);
      case "ConstantNode":
        return numberOf(node.value);
      case "SymbolNode":
        return named(node.name ?? "");
      case "ConditionalNode":
        return { kind: "choice", condition: tree(node.condition), yes: tree(node.trueExpr), no: tree(node.falseExpr) };
      case "RelationalNode":
        return chain(node);
      case "OperatorNode":
        return call(operators.get(String(node.fn)), node.op ?? "", node.args ?? []);
      case "FunctionNode":
        return call(functionOf(node), node.name ?? "", node.args ?? []);
      default:
        throw new Refusal("expression", `a model has no ${node.type.replace(/Node$/, "").toLowerCase()}; expected real numbers`);
    }
  };

  const named = (name: string): Tree => {
    const place = places.get(name);
    if (place !== undefined) return { kind: "input", place };
    const value = constants.get(name) ?? known.get(name);
    if (value === undefined)
      throw new Refusal("expression", `there is no ${JSON.stringify(name)} among the inputs and constants`);
    return { kind: "number", value };
  };

  /** A function over numbers; of those over a list the list is the last argument, or all of them are. */
  const call = (name: FunctionName | undefined, written: string, given: readonly Node[]): Tree => {
    if (name === undefined) throw new Refusal("expression", `a model has no ${JSON.stringify(written)}`);
    const [least, most] = arityOf(name);
    if (given.length < least || given.length > most) {
      throw new Refusal(
        "expression",
        `expected ${least === most ? least : `${least} or more`} arguments of ${written}, got ${given.length}`,
      );
    }
    if (!listFunctions.has(name)) return { kind: "call", name, args: given.map(tree), list: [] };
    const last = given.at(-1);
    if (last?.type === "ArrayNode") {
      return { kind: "call", name, args: given.slice(0, -1).map(tree), list: (last.items ?? []).map(tree) };
    }
    if (least > 1 || name === "irr") throw new Refusal("expression", `expected a list [...] as last argument of ${written}`);
    return { kind: "call", name, args: [], list: given.map(tree) };
  };

  /** `a < b < c` is `a < b and b < c`. */
  const chain = ({ conditionals = [], params = [] }: Node): Tree =>
    conditionals
      .map((name, at) => call(operators.get(name), name, params.slice(at, at + 2)))
      .reduce((all, one) => ({ kind: "call", name: "and", args: [all, one], list: [] }));

  try {
    return tree(root);
  } catch (error) {
    if (error instanceof RangeError) throw new Refusal("expression", "nested too deeply");
    throw error;
  }
}

const known: ReadonlyMap<string, number> = new Map([
  ["pi", Math.PI],
  ["e", Math.E],
  ["tau", 2 * Math.PI],
  ["true", 1],
  ["false", 0],
]);

const operators: ReadonlyMap<string, FunctionName> = new Map(
  Object.entries({
    add: "add",
    subtract: "subtract",
    multiply: "multiply",
    divide: "divide",
    pow: "pow",
    mod: "mod",
    unaryMinus: "minus",
    unaryPlus: "plus",
    and: "and",
    or: "or",
    not: "not",
    equal: "equal",
    unequal: "unequal",
    larger: "larger",
    largerEq: "largerEq",
    smaller: "smaller",
    smallerEq: "smallerEq",
  } as const),
);

function functionOf({ fn }: Node): FunctionName | undefined {
  const name = typeof fn === "object" && fn.type === "SymbolNode" ? (fn.name ?? "") : "";
  return arityOf(name as FunctionName, true) === undefined ? undefined : (name as FunctionName);
}

function numberOf(value: unknown): Tree {
  if (typeof value === "number") return { kind: "number", value };
  if (typeof value === "boolean") return { kind: "number", value: value ? 1 : 0 };
  throw new Refusal("expression", "expected numbers, found a text");
}
