/** PATCH: which fields to change, when the request does not say, are the fields that it sent. */
import { create, type DescMessage } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import type { Json, JsonObject } from "./json.ts";
import { fieldNamed, join } from "./proto-json.ts";
import type { Route } from "./routes.ts";
import type { Violations } from "./violations.ts";
import { hasOwnJson } from "./well-known.ts";

/**
 * Fills the route's mask, when it is empty, with the paths of the JSON that was sent. A mask that the request set stands.
 *
 * A PATCH that names no field at all is a mistake (unless lenient): to services an empty mask means "every field", so it
 * would wipe what it did not mention.
 */
export function fillMask(
  route: Route,
  message: ReflectMessage,
  json: Json | undefined,
  lenient: boolean,
  violations: Violations,
): void {
  const { maskField, body } = route;
  if (maskField?.fieldKind !== "message" || body.kind !== "field" || body.field.fieldKind !== "message") return;
  // A mask that is one of several choices is not put in the place of another.
  const choice = maskField.oneof === undefined ? undefined : message.oneofCase(maskField.oneof);
  if (choice !== undefined && choice !== maskField) return;
  const mask = message.get(maskField).message as { paths?: string[] };
  if ((mask.paths ?? []).length > 0) return;
  const paths = json instanceof Map ? pathsOf(body.field.message, json as JsonObject, "") : [];
  if (paths.length > 0) message.set(maskField, reflect(maskField.message, create(FieldMaskSchema, { paths })));
  else if (!lenient && (json === undefined || json instanceof Map)) {
    violations.expected(body.field.name, "at least one field to change", "none");
  }
}

/** The leaves of what was sent: into messages, but not below lists, maps, and types with a JSON form of their own. */
function pathsOf(type: DescMessage, json: JsonObject, prefix: string): string[] {
  return [...json].flatMap(([key, value]) => {
    const field = fieldNamed(type, key);
    if (field === undefined) return [];
    const path = join(prefix, field.name);
    const descends =
      field.fieldKind === "message" && !hasOwnJson(field.message) && field.message.typeName !== "google.protobuf.Any";
    return descends && value instanceof Map && value.size > 0 ? pathsOf(field.message, value as JsonObject, path) : [path];
  });
}
