/** A value of mathjs as plain data. */
import type { MathJsInstance } from "mathjs";
import { Refusal } from "./refusal.ts";

/** JSON. */
export type Json = number | string | boolean | readonly Json[] | { readonly [key: string]: Json };

/** What an expression comes to. */
export interface Outcome {
  readonly type: "number" | "decimal" | "complex" | "unit" | "boolean" | "matrix";
  readonly text: string;
  readonly value: Json;
}

/** How long the text of a result may be. */
const maxText = 1_000_000;

/** @throws Refusal of `expression` for a value that is none of these. */
export function outcomeOf(math: MathJsInstance, value: unknown): Outcome {
  const type = typeNames[math.typeOf(value)];
  if (type === undefined) throw new Refusal("expression", `the result is no value but a ${math.typeOf(value)}`);
  const json = jsonOf(math, value);
  const text = textOf(json);
  if (text.length > maxText) throw new Refusal("expression", `the result is longer than ${maxText} characters`);
  return { type, text, value: json };
}

const typeNames: Readonly<Record<string, Outcome["type"]>> = {
  number: "number",
  BigNumber: "decimal",
  Complex: "complex",
  Unit: "unit",
  boolean: "boolean",
  Array: "matrix",
  DenseMatrix: "matrix",
  SparseMatrix: "matrix",
};

function jsonOf(math: MathJsInstance, value: unknown): Json {
  switch (math.typeOf(value)) {
    case "number":
      return Number.isFinite(value) ? (value as number) : String(value);
    case "boolean":
      return value as boolean;
    case "BigNumber":
      return String(value);
    case "Complex": {
      const { re, im } = value as { re: number; im: number };
      return { re: jsonOf(math, re), im: jsonOf(math, im) };
    }
    case "Unit": {
      const { value: amount, unit } = (value as { toJSON(): { value: unknown; unit: string } }).toJSON();
      return { value: amount === null ? 1 : jsonOf(math, amount), unit };
    }
    case "Array":
      return (value as readonly unknown[]).map((item) => jsonOf(math, item));
    case "DenseMatrix":
    case "SparseMatrix":
      return jsonOf(math, (value as { toArray(): unknown }).toArray());
    default:
      throw new Refusal("expression", `the result holds a ${math.typeOf(value)}, which is no value`);
  }
}

function textOf(json: Json): string {
  if (json === null || typeof json !== "object") return String(json);
  if (isList(json)) return `[${json.map(textOf).join(", ")}]`;
  const { re, im, value, unit } = json;
  if (unit !== undefined) return `${textOf(value ?? "")} ${String(unit)}`;
  const [real, imaginary] = [textOf(re ?? 0), textOf(im ?? 0)];
  return imaginary.startsWith("-") ? `${real} - ${imaginary.slice(1)}i` : `${real} + ${imaginary}i`;
}

function isList(json: Json): json is readonly Json[] {
  return Array.isArray(json);
}
