/** JSON Schema 2020-12, as OpenAPI 3.1 takes it, and how schemas are put together. */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** A schema as an object; `{}` takes anything. */
export type Schema = JsonObject;

/** Adds keywords: those that both have and that differ go into an `allOf`, so that neither is lost. */
export function narrowed(schema: Schema, more: Schema): Schema {
  const clash = Object.keys(more).some((key) => key in schema && JSON.stringify(schema[key]) !== JSON.stringify(more[key]));
  if (!clash) return { ...schema, ...more };
  return { ...schema, allOf: [...arrayOf(schema.allOf), more] };
}

/** Adds a sentence to the description. */
export function described(schema: Schema, ...texts: readonly (string | undefined)[]): Schema {
  const before = typeof schema.description === "string" ? [schema.description] : [];
  const description = [...before, ...texts.filter((text) => text !== undefined && text !== "")].join("\n\n");
  return description === "" ? schema : { ...schema, description };
}

function arrayOf(value: JsonValue | undefined): JsonValue[] {
  return Array.isArray(value) ? value : [];
}
