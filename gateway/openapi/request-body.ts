/** The body that an operation takes. */
import type { DescMessage } from "@bufbuild/protobuf";
import { isHttpBody } from "../http-body.ts";
import type { Route } from "../routes.ts";
import type { Schema } from "./schema.ts";
import type { Schemas } from "./schemas.ts";

const binary: Schema = { schema: { type: "string", format: "binary" } };

/** The requestBody object of a route; undefined when it takes none. An empty body is the default message. */
export function requestBodyOf(route: Route, schemas: Schemas): Schema | undefined {
  const { body, method, variables } = route;
  if (body.kind === "none") return undefined;
  const type = body.kind === "whole" ? method.input : body.field.message;
  if (isHttpBody(type)) return { content: { "*/*": binary }, required: false };
  const schema = schemaOf(route, type, schemas);
  if (method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming") {
    const text: Schema = { type: "string", contentMediaType: "application/x-ndjson", contentSchema: schema };
    return {
      content: {
        "application/x-ndjson": { schema: text, "x-item-schema": schema },
        "application/json": { schema: { type: "array", items: schema } },
      },
      required: false,
    };
  }
  const wire =
    type === undefined || (body.kind === "field" && body.field.fieldKind !== "message")
      ? {}
      : { "application/x-protobuf": binary };
  const needed = body.kind === "whole" && needsBody(method.input, schema, schemas, variables.length > 0);
  return { content: { "application/json": { schema }, ...wire }, required: needed };
}

/** Without what the path sets. */
function schemaOf({ body, method, variables }: Route, type: DescMessage | undefined, schemas: Schemas): Schema {
  if (body.kind === "whole") return schemas.messageWithout(method.input, variables);
  if (body.kind === "none") return {};
  const { field } = body;
  const below = variables.filter(([first]) => first === field).map((way) => way.slice(1));
  return type !== undefined && field.fieldKind === "message" && below.length > 0
    ? schemas.messageWithout(type, below)
    : schemas.field(field);
}

/** Whether the default message breaks the rules. */
function needsBody(input: DescMessage, schema: Schema, schemas: Schemas, inline: boolean): boolean {
  const object = inline ? schema : (schemas.components[input.typeName] ?? {});
  return Array.isArray(object.required) && object.required.length > 0;
}
