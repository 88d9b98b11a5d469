/** protovalidate's rules of numbers as JSON Schema. */
import type {
  DoubleRules,
  Fixed32Rules,
  Fixed64Rules,
  FloatRules,
  Int32Rules,
  Int64Rules,
  SFixed32Rules,
  SFixed64Rules,
  SInt32Rules,
  SInt64Rules,
  UInt32Rules,
  UInt64Rules,
} from "#gen/buf/validate/validate_pb.ts";
import { described, narrowed, type Schema } from "./schema.ts";

/** The rules of a number of any kind. */
export type NumberRules =
  | FloatRules
  | DoubleRules
  | Int32Rules
  | UInt32Rules
  | SInt32Rules
  | Fixed32Rules
  | SFixed32Rules
  | Int64Rules
  | UInt64Rules
  | SInt64Rules
  | Fixed64Rules
  | SFixed64Rules;

/** Narrows the schema of a number. 64-bit integers are strings in JSON: their bounds become a sentence. */
export function numberRules(schema: Schema, rules: NumberRules): Schema {
  if (schema.type === "string" || (Array.isArray(schema.type) && schema.type.includes("string"))) return longRules(schema, rules);
  const keywords = keywordsOf(rules);
  // NaN and the infinities break every bound, so with one only the number is left.
  const [number] = Array.isArray(schema.anyOf) ? schema.anyOf : [];
  const finite = "finite" in rules && rules.finite;
  const bounded = finite || Object.keys(keywords).length > 0;
  const { anyOf: _, ...rest } = schema;
  // The bounds of rules lie within those of the type, and take their place.
  return { ...(number !== undefined && bounded ? { ...rest, ...(number as Schema) } : schema), ...keywords };
}

/** Whether zero breaks the rules. */
export function refusesZero(rules: NumberRules): boolean {
  const { lessThan, greaterThan } = rules;
  if (hasConst(rules) && Number(rules.const) !== 0) return true;
  if (rules.in.length > 0 && !rules.in.some((value) => Number(value) === 0)) return true;
  if (rules.notIn.some((value) => Number(value) === 0)) return true;
  const above = lessThan.case !== undefined && (lessThan.case === "lt" ? lessThan.value <= 0 : lessThan.value < 0);
  const below = greaterThan.case !== undefined && (greaterThan.case === "gt" ? greaterThan.value >= 0 : greaterThan.value > 0);
  return isOutside(rules) ? above && below : above || below;
}

/** A scalar with presence is an own property exactly when it is set. */
function hasConst(rules: NumberRules): boolean {
  return Object.hasOwn(rules, "const");
}

/** A lower bound above the upper one means: outside of both. */
function isOutside({ lessThan, greaterThan }: NumberRules): boolean {
  return lessThan.case !== undefined && greaterThan.case !== undefined && lessThan.value < greaterThan.value;
}

function keywordsOf(rules: NumberRules): Schema {
  const { lessThan, greaterThan } = rules;
  const keywords: Schema = {};
  if (hasConst(rules)) keywords.const = Number(rules.const);
  if (rules.in.length > 0) keywords.enum = rules.in.map(Number);
  if (rules.notIn.length > 0) keywords.not = { enum: rules.notIn.map(Number) };
  const [upper, lower] = [boundOf(lessThan, "maximum", "exclusiveMaximum"), boundOf(greaterThan, "minimum", "exclusiveMinimum")];
  return isOutside(rules) ? { ...keywords, anyOf: [upper, lower] } : { ...keywords, ...upper, ...lower };
}

function boundOf(bound: NumberRules["lessThan"] | NumberRules["greaterThan"], inclusive: string, exclusive: string): Schema {
  if (bound.case === undefined) return {};
  return { [bound.case === "lt" || bound.case === "gt" ? exclusive : inclusive]: Number(bound.value) };
}

function longRules(schema: Schema, rules: NumberRules): Schema {
  const { lessThan, greaterThan } = rules;
  const bounds = [
    greaterThan.case === undefined
      ? undefined
      : `${greaterThan.case === "gt" ? "greater than" : "at least"} ${greaterThan.value}`,
    lessThan.case === undefined ? undefined : `${lessThan.case === "lt" ? "less than" : "at most"} ${lessThan.value}`,
  ].filter((bound) => bound !== undefined);
  const sentence = bounds.length === 0 ? undefined : `Must be ${bounds.join(isOutside(rules) ? " or " : " and ")}.`;
  const keywords: Schema = {};
  if (hasConst(rules)) keywords.const = String(rules.const);
  if (rules.in.length > 0) keywords.enum = rules.in.map(String);
  if (rules.notIn.length > 0) keywords.not = { enum: rules.notIn.map(String) };
  return described(narrowed(schema, keywords), sentence);
}
