/** The ProtoJSON forms of google.protobuf's own types, and of scalars. */
import { type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import type { Schema } from "./schema.ts";

/** The schema of a type whose JSON is not an object of its fields; undefined for all other types. */
export function wellKnownSchema(type: DescMessage): Schema | undefined {
  const [wrapped] = type.fields;
  if (isWrapperDesc(type) && wrapped?.fieldKind === "scalar") return nullable(scalarSchema(wrapped.scalar));
  return schemas[type.typeName];
}

/** The schema of a scalar's JSON. 64-bit integers are strings, since a JSON number does not hold them all. */
export function scalarSchema(scalar: ScalarType): Schema {
  switch (scalar) {
    case ScalarType.STRING:
      return { type: "string" };
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.BYTES:
      return { type: "string", format: "byte", contentEncoding: "base64" };
    case ScalarType.FLOAT:
      return floating("float");
    case ScalarType.DOUBLE:
      return floating("double");
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return { type: "string", format: "int64", pattern: "^-?[0-9]+$" };
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { type: "string", format: "uint64", pattern: "^[0-9]+$" };
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { type: "integer", format: "uint32", minimum: 0, maximum: 2 ** 32 - 1 };
    default:
      return { type: "integer", format: "int32", minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };
  }
}

function floating(format: "float" | "double"): Schema {
  return { anyOf: [{ type: "number", format }, { enum: ["NaN", "Infinity", "-Infinity"] }] };
}

function nullable(schema: Schema): Schema {
  return "type" in schema ? { ...schema, type: [schema.type ?? "string", "null"] } : { anyOf: [schema, { type: "null" }] };
}

const schemas: Readonly<Record<string, Schema>> = {
  "google.protobuf.Timestamp": { type: "string", format: "date-time", examples: ["2030-01-31T12:00:00Z"] },
  "google.protobuf.Duration": { type: "string", pattern: "^-?[0-9]+(\\.[0-9]{1,9})?s$", examples: ["1.5s"] },
  "google.protobuf.FieldMask": { type: "string", description: "Names of fields, separated by commas.", examples: ["name,email"] },
  "google.protobuf.Struct": { type: "object", additionalProperties: true },
  "google.protobuf.Value": { description: "Any JSON value." },
  "google.protobuf.ListValue": { type: "array", items: {} },
  "google.protobuf.Empty": { type: "object" },
  "google.protobuf.Any": {
    type: "object",
    description: "A message of any type, which `@type` names.",
    properties: { "@type": { type: "string", examples: ["type.googleapis.com/google.protobuf.Empty"] } },
    required: ["@type"],
    additionalProperties: true,
  },
};
