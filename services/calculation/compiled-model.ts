/** A model that runs: its tree as nested closures. Nothing of an expression's text becomes code. */
import type { Tree } from "./model.ts";
import { isTrue, listFunctionOf, scalarOf } from "./model-functions.ts";

/** The outcome for the values of the inputs, in order of their places. */
export type Model = (inputs: Float64Array) => number;

/** Makes a tree run. */
export function compile(tree: Tree): Model {
  switch (tree.kind) {
    case "number": {
      const { value } = tree;
      return () => value;
    }
    case "input": {
      const { place } = tree;
      return (inputs) => inputs[place] as number;
    }
    case "choice": {
      const [condition, yes, no] = [compile(tree.condition), compile(tree.yes), compile(tree.no)];
      return (inputs) => (isTrue(condition(inputs)) ? yes(inputs) : no(inputs));
    }
    case "call":
      return compileCall(tree);
  }
}

function compileCall({ name, args, list }: Tree & { readonly kind: "call" }): Model {
  const [a, b] = args.map(compile);
  const special = inlined(name, a, b);
  if (special !== undefined) return special;
  const scalar = scalarOf(name);
  if (scalar !== undefined && a !== undefined) {
    return b === undefined ? (inputs) => scalar(a(inputs)) : (inputs) => scalar(a(inputs), b(inputs));
  }
  const overList = listFunctionOf(name);
  const items = list.map(compile);
  return (inputs) => {
    const values = items.map((item) => item(inputs));
    return a === undefined ? overList(values) : overList(values, a(inputs));
  };
}

/** The commonest without a call between. */
function inlined(name: string, a: Model | undefined, b: Model | undefined): Model | undefined {
  if (a === undefined || b === undefined) return undefined;
  switch (name) {
    case "add":
      return (inputs) => a(inputs) + b(inputs);
    case "subtract":
      return (inputs) => a(inputs) - b(inputs);
    case "multiply":
      return (inputs) => a(inputs) * b(inputs);
    case "divide":
      return (inputs) => a(inputs) / b(inputs);
    default:
      return undefined;
  }
}
