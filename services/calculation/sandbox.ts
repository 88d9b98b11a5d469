/**
 * What an expression may be made of. It names what is let in, and refuses all else: there are no functions but these, no properties,
 * no strings, no functions of one's own, and so no way out, whatever the library knows.
 */
import type { MathJsInstance } from "mathjs";
import { Refusal } from "./refusal.ts";

/** A node of a parsed expression, as far as it is looked at. */
export interface Node {
  readonly type: string;
  readonly name?: string;
  readonly value?: unknown;
  readonly fn?: string | Node;
  readonly op?: string;
  readonly object?: Node;
  readonly index?: Node | null;
  readonly args?: readonly Node[];
  readonly items?: readonly Node[];
  readonly content?: Node;
  readonly condition?: Node;
  readonly trueExpr?: Node;
  readonly falseExpr?: Node;
  readonly conditionals?: readonly string[];
  readonly params?: readonly Node[];
  readonly dimensions?: readonly Node[];
  forEach(visit: (child: Node, path: string, parent: Node) => void): void;
}

/** How many nodes an expression has at most. */
export const maxNodes = 1000;

/** A parsed expression. @throws Refusal of `expression` with the parser's words, which name the position. */
export function parse(math: MathJsInstance, expression: string): Node {
  try {
    return math.parse(expression) as unknown as Node;
  } catch (error) {
    if (error instanceof RangeError) throw new Refusal("expression", "nested too deeply");
    throw new Refusal("expression", error instanceof Error ? error.message : String(error));
  }
}

/** Holds every node against the lists. @throws Refusal of `expression`. */
export function checkNodes(math: MathJsInstance, root: Node, variables: ReadonlySet<string>): void {
  const names = new Set(variables);
  let nodes = 0;
  const visit = (node: Node, inIndex: boolean): void => {
    if (++nodes > maxNodes) throw new Refusal("expression", `expected at most ${maxNodes} operators, names and numbers`);
    const within = inIndex || node.type === "IndexNode";
    const refused = mistakeOf(node) ?? (node.type === "SymbolNode" ? nameMistake(math, node, names, within) : undefined);
    if (refused !== undefined) throw new Refusal("expression", refused);
    node.forEach((child, path) => {
      // The name of a function that is called, or of a variable that is set, is no value.
      if (path === "fn" || (node.type === "AssignmentNode" && path === "object")) return;
      visit(child, within);
    });
    if (node.type === "AssignmentNode") names.add(node.object?.name ?? "");
  };
  visit(root, false);
}

/** Names that stand for a value. */
export const constants: ReadonlySet<string> = words("pi tau e phi i Infinity NaN true false LN2 LN10 LOG2E LOG10E SQRT2 SQRT1_2");

const functions = words(`
  abs add cbrt ceil cube divide dotDivide dotMultiply dotPow exp expm1 fix floor gcd hypot lcm log log10 log1p log2 mod multiply norm
  nthRoot pow round sign sqrt square subtract unaryMinus arg conj im re combinations factorial gamma permutations concat count cross
  det diag dot identity inv kron lusolve ones range reshape size trace transpose zeros cumsum mad max mean median min mode prod
  quantileSeq std sum variance acos acosh acot asec asin asinh atan atan2 atanh cos cosh cot csc sec sin sinh tan tanh and not or xor
  equal unequal larger largerEq smaller smallerEq erf isNaN isInteger isPositive isNegative isZero
`);

const operators = words(`
  add subtract multiply divide dotMultiply dotDivide dotPow pow mod unaryMinus unaryPlus factorial transpose ctranspose to and or not
  xor equal unequal larger largerEq smaller smallerEq
`);

const plainNodes = words("ParenthesisNode ConditionalNode RelationalNode ArrayNode RangeNode IndexNode BlockNode SymbolNode");

function mistakeOf(node: Node): string | undefined {
  if (plainNodes.has(node.type)) return undefined;
  switch (node.type) {
    case "ConstantNode":
      return isNumeric(node.value) ? undefined : "expected numbers, found a text; quantities are written without quotes";
    case "OperatorNode":
      return operators.has(String(node.fn)) ? undefined : `the operator ${node.op} is not among those that there are`;
    case "FunctionNode":
      return typeof node.fn === "object" && node.fn.type === "SymbolNode" && functions.has(node.fn.name ?? "")
        ? undefined
        : `there is no function ${JSON.stringify(node.name || "of that kind")}`;
    case "AccessorNode":
      return undefined;
    case "AssignmentNode":
      return node.object?.type === "SymbolNode" && !node.index ? undefined : "only a name can be set, no part of a matrix";
    default:
      return `${node.type.replace(/Node$/, "")} is not allowed in an expression`;
  }
}

function nameMistake(math: MathJsInstance, { name = "" }: Node, names: ReadonlySet<string>, inIndex: boolean) {
  if (names.has(name) || constants.has(name) || (inIndex && name === "end") || isUnit(math, name)) return undefined;
  return functions.has(name) ? `expected ${name}(...): a function is no value` : `there is no ${JSON.stringify(name)}`;
}

/** Whether a name is a unit, with or without a prefix: `km`. */
export function isUnit(math: MathJsInstance, name: string): boolean {
  const { isValuelessUnit } = math.Unit as unknown as { isValuelessUnit(name: string): boolean };
  return isValuelessUnit(name);
}

function isNumeric(value: unknown): boolean {
  return typeof value === "number" || typeof value === "boolean" || (typeof value === "object" && value !== null);
}

function words(list: string): ReadonlySet<string> {
  return new Set(list.trim().split(/\s+/));
}
