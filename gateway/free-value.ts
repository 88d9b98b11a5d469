/** google.protobuf.Value, Struct and ListValue: JSON of any shape in messages. */
import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { ListValueSchema, NullValue, StructSchema, type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Json, NumberText } from "./json.ts";

/** About what a google.protobuf.Value takes in memory, in bytes. */
export const bytesOfValue = 160;

/** Whether messages of the type hold JSON of any shape. */
export function isFree(type: DescMessage): boolean {
  return (
    type.typeName === ValueSchema.typeName ||
    type.typeName === StructSchema.typeName ||
    type.typeName === ListValueSchema.typeName
  );
}

/** The JSON value itself, or what its items or members go into; undefined for a number that is no double. */
export function freeTarget(json: Json): unknown {
  if (typeof json !== "object" || json === null) return json;
  if (Array.isArray(json)) return [];
  if (json instanceof Map) return {};
  const value = json instanceof NumberText ? Number(json.text) : Number.NaN;
  return Number.isFinite(value) ? value : undefined;
}

/** A value around the JSON, or around what its items or members go into. */
export function freeValue(json: Json, target: unknown): Value {
  return create(ValueSchema, { kind: kindOf(json, target) });
}

function kindOf(json: Json, target: unknown): Value["kind"] {
  if (json === null) return { case: "nullValue", value: NullValue.NULL_VALUE };
  if (typeof json === "string") return { case: "stringValue", value: json };
  if (typeof json === "boolean") return { case: "boolValue", value: json };
  if (json instanceof Map) return { case: "structValue", value: filled(StructSchema, "fields", target) };
  if (Array.isArray(json)) return { case: "listValue", value: filled(ListValueSchema, "values", target) };
  return { case: "numberValue", value: target as number };
}

/** A message around a container that is filled later. */
function filled<D extends DescMessage>(type: D, name: string, container: unknown): MessageShape<D> {
  const message = create(type);
  (message as unknown as Record<string, unknown>)[name] = container;
  return message;
}
