/** JSON for the oracle: read by JSON.parse and protobuf-es, with numbers as the text that was sent. */
import { fromJsonString } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";

/** A number as it was sent. */
export class NumberToken {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A JSON value. */
export type Tree = null | boolean | string | NumberToken | readonly Tree[] | { readonly [key: string]: Tree };

/** The request is one that the gateway must refuse, with 400. */
export class Refused extends Error {
  override readonly name = "Refused";
}

/** The oracle does not know what becomes of the request; the gateway must answer, but with no 5xx. */
export class Unknowable extends Error {
  override readonly name = "Unknowable";
}

/**
 * Reads a body.
 *
 * @throws Refused where it is no JSON, and, stricter than JSON.parse: for duplicate keys, for nesting over 100, and for texts that are no
 *   Unicode.
 */
export function parseTree(bytes: Uint8Array): Tree {
  let text: string;
  let tree: Tree;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    tree = JSON.parse(text, withTokens as (key: string, value: unknown) => unknown) as Tree;
  } catch (error) {
    throw new Refused(`no JSON: ${error}`);
  }
  if (depthOf(text) > 100) throw new Refused("deeper than 100");
  try {
    fromJsonString(ValueSchema, text, { recursionLimit: 1000 });
  } catch (error) {
    throw new Refused(`${error}`);
  }
  return tree;
}

/** Whether the value is an object. */
export function isObject(tree: Tree | undefined): tree is { readonly [key: string]: Tree } {
  return typeof tree === "object" && tree !== null && !Array.isArray(tree) && !(tree instanceof NumberToken);
}

function withTokens(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  return typeof value === "number" ? new NumberToken(context.source ?? String(value)) : value;
}

function depthOf(text: string): number {
  let [depth, deepest] = [0, 0];
  for (const [mark] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    if (mark === "[" || mark === "{") deepest = Math.max(deepest, ++depth);
    if (mark === "]" || mark === "}") depth--;
  }
  return deepest;
}
