/**
 * protovalidate's rules of a field (buf/validate/validate.proto) as JSON Schema. What JSON Schema has no keyword for becomes a
 * sentence of the description.
 */
import { type DescField, getOption, hasOption, isFieldSet } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import {
  BoolRulesSchema,
  type EnumRules,
  EnumRulesSchema,
  type FieldRules,
  field as fieldRules,
  Ignore,
  type MapRules,
  MapRulesSchema,
  type RepeatedRules,
  RepeatedRulesSchema,
} from "#gen/buf/validate/validate_pb.ts";
import { numberRules, refusesZero } from "./number-rules.ts";
import { described, narrowed, type Schema } from "./schema.ts";
import { stringRules } from "./string-rules.ts";
import { timeSentence } from "./time-rules.ts";

/** The rules of a field; undefined when it has none or they are switched off. */
export function rulesOf(field: DescField): FieldRules | undefined {
  if (!hasOption(field, fieldRules)) return undefined;
  const rules = getOption(field, fieldRules);
  return rules.ignore === Ignore.ALWAYS ? undefined : rules;
}

/**
 * Whether a request without the field breaks its rules: it is required, or it has no presence, so that its absence is its zero
 * value, and that breaks them.
 */
export function mustBeGiven(field: DescField): boolean {
  const rules = rulesOf(field);
  if (rules === undefined || field.oneof !== undefined) return false;
  if (rules.required) return true;
  if (rules.ignore === Ignore.IF_ZERO_VALUE || hasPresence(field)) return false;
  return zeroBreaks(rules);
}

/** Narrows the schema of a value by rules. For a list or map these are the rules of the whole. */
export function applyRules(schema: Schema, rules: FieldRules | undefined, field: DescField): Schema {
  if (rules === undefined) return schema;
  const { type } = rules;
  const told = rules.cel.map(({ message, expression }) => `Rule: ${message === "" ? expression : message}.`);
  const more = typed(schema, type, field);
  const given = rules.required && field.fieldKind === "scalar" && more.type === "string" && !hasPresence(field);
  return described(given ? narrowed(more, { minLength: 1 }) : more, ...told);
}

function typed(schema: Schema, type: FieldRules["type"], field: DescField): Schema {
  switch (type.case) {
    case undefined:
    case "any":
    case "fieldMask":
      return schema;
    case "string":
      return stringRules(schema, type.value);
    case "bytes":
      return described(schema, sizeSentence("bytes", type.value.minLen, type.value.maxLen));
    case "bool":
      return isFieldSet(type.value, BoolRulesSchema.field.const) ? narrowed(schema, { const: type.value.const }) : schema;
    case "enum":
      return enumRules(schema, type.value, field);
    case "repeated":
      return repeatedRules(schema, type.value, field);
    case "map":
      return mapRules(schema, type.value, field);
    case "duration":
    case "timestamp":
      return described(schema, timeSentence(type.value));
    default:
      return numberRules(schema, type.value);
  }
}

function enumRules(schema: Schema, rules: EnumRules, field: DescField): Schema {
  const names = (numbers: readonly number[]) => numbers.flatMap((number) => field.enum?.value[number]?.name ?? []);
  let more = schema;
  if (isFieldSet(rules, EnumRulesSchema.field.const)) more = narrowed(more, { const: names([rules.const])[0] ?? rules.const });
  if (rules.in.length > 0) more = narrowed(more, { enum: names(rules.in) });
  if (rules.notIn.length > 0) more = narrowed(more, { not: { enum: names(rules.notIn) } });
  return more;
}

function repeatedRules(schema: Schema, rules: RepeatedRules, field: DescField): Schema {
  const { items } = rules;
  const set = (name: "minItems" | "maxItems") => isFieldSet(rules, RepeatedRulesSchema.field[name]);
  return {
    ...schema,
    ...(set("minItems") ? { minItems: Number(rules.minItems) } : {}),
    ...(set("maxItems") ? { maxItems: Number(rules.maxItems) } : {}),
    ...(rules.unique ? { uniqueItems: true } : {}),
    ...(items === undefined || items.ignore === Ignore.ALWAYS
      ? {}
      : { items: applyRules((schema.items ?? {}) as Schema, items, field) }),
  };
}

function mapRules(schema: Schema, rules: MapRules, field: DescField): Schema {
  const { keys, values } = rules;
  const set = (name: "minPairs" | "maxPairs") => isFieldSet(rules, MapRulesSchema.field[name]);
  return {
    ...schema,
    ...(set("minPairs") ? { minProperties: Number(rules.minPairs) } : {}),
    ...(set("maxPairs") ? { maxProperties: Number(rules.maxPairs) } : {}),
    // A key is a string in JSON, whatever its type is.
    ...(keys?.type.case === "string" ? { propertyNames: stringRules({ type: "string" }, keys.type.value) } : {}),
    ...(values === undefined
      ? {}
      : { additionalProperties: applyRules((schema.additionalProperties ?? {}) as Schema, values, field) }),
  };
}

function hasPresence(field: DescField): boolean {
  return (
    field.fieldKind === "message" || (field.fieldKind !== "list" && field.fieldKind !== "map" && field.presence !== implicit)
  );
}

const { IMPLICIT: implicit } = FeatureSet_FieldPresence;

function zeroBreaks({ type }: FieldRules): boolean {
  switch (type.case) {
    case "string": {
      const schema = stringRules({}, type.value);
      const tooShort = Number(schema.minLength ?? 0) > 0;
      const outside = Array.isArray(schema.enum) && !schema.enum.includes("");
      const other = typeof schema.const === "string" && schema.const !== "";
      const pattern = typeof schema.pattern === "string" && !new RegExp(schema.pattern, "u").test("");
      return (
        tooShort ||
        outside ||
        other ||
        pattern ||
        (type.value.wellKnown.case !== undefined && type.value.wellKnown.value !== false)
      );
    }
    case "bytes":
      return type.value.minLen > 0n || type.value.len > 0n;
    case "enum":
      return (
        type.value.notIn.includes(0) ||
        (type.value.in.length > 0 && !type.value.in.includes(0)) ||
        (isFieldSet(type.value, EnumRulesSchema.field.const) && type.value.const !== 0)
      );
    case "repeated":
      return type.value.minItems > 0n;
    case "map":
      return type.value.minPairs > 0n;
    case "bool":
      return type.value.const;
    case undefined:
    case "any":
    case "fieldMask":
    case "duration":
    case "timestamp":
      return false;
    default:
      return refusesZero(type.value);
  }
}

function sizeSentence(unit: string, min: bigint, max: bigint): string | undefined {
  if (min === 0n && max === 0n) return undefined;
  if (max === 0n) return `At least ${min} ${unit}.`;
  return min === 0n ? `At most ${max} ${unit}.` : `From ${min} to ${max} ${unit}.`;
}
