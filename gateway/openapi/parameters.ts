/** The parameters of an operation: those of its path, and each field of the request that can stand in the query. */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { isHttpBody } from "../http-body.ts";
import { hasEntityTag, takesIfMatch } from "../precondition.ts";
import type { Route } from "../routes.ts";
import { hasOwnJson, isTextType } from "../well-known.ts";
import type { OpenApiPath, PathParameter } from "./path.ts";
import { mustBeGiven } from "./rules.ts";
import { described, type Schema } from "./schema.ts";
import type { Schemas } from "./schemas.ts";

/** A parameter object of OpenAPI. */
export type Parameter = Schema;

/** A message of a request that holds itself would have parameters without end: these many levels are written out. */
const maxDepth = 4;

/** The parameters of a route. */
export function parametersOf(route: Route, path: OpenApiPath, schemas: Schemas): Parameter[] {
  const inPath = path.parameters.map((parameter) => pathParameter(route, parameter, schemas));
  const inQuery = route.body.kind === "whole" ? [] : queryOf(route, schemas);
  return [...inPath, ...inQuery, ...(route.method.methodKind === "server_streaming" ? [lastEventId] : []), ...general(route)];
}

/** The parameters that many operations have, as components. */
export const parameters: Schema = {
  fields: {
    name: "fields",
    in: "query",
    schema: { type: "string" },
    description:
      "The fields of the answer to keep, by their paths and separated by commas: `id,parts.name`. An unknown one is a 400.",
    example: "*",
  },
  ifMatch: {
    name: "If-Match",
    in: "header",
    schema: { type: "string" },
    description: "The entity tag that must hold: 412 otherwise (RFC 9110, 13.1.1).",
    example: "*",
  },
  ifNoneMatch: {
    name: "If-None-Match",
    in: "header",
    schema: { type: "string" },
    description: "Entity tags that are known: 304 when one of them holds (RFC 9110, 13.1.2).",
    example: '"v1"',
  },
};

/** What the gateway does with every answer of the kind. */
function general(route: Route): Parameter[] {
  const names = [
    ...(takesFields(route) ? ["fields"] : []),
    ...(takesIfMatch(route) ? ["ifMatch"] : []),
    ...(hasEntityTag(route) ? ["ifNoneMatch"] : []),
  ];
  return names.map((name) => ({ $ref: `#/components/parameters/${name}` }));
}

/** A request that has a field of this name keeps the parameter to itself, and bytes have no fields. */
function takesFields({ method, responseField }: Route): boolean {
  const type = responseField === undefined ? method.output : responseField.message;
  const selectable = type !== undefined && !isHttpBody(type) && !hasOwnJson(type) && type.fields.length > 0;
  return selectable && method.methodKind !== "bidi_streaming" && !method.input.fields.some(({ name }) => name === "fields");
}

const lastEventId: Parameter = {
  name: "Last-Event-ID",
  in: "header",
  schema: { type: "string" },
  description: "The id of the last event that came, to go on behind it: services that can do so, do.",
};

function pathParameter({ variables, template }: Route, parameter: PathParameter, schemas: Schemas): Parameter {
  const { name, variable, partOf, deep } = parameter;
  const fields = variable === undefined ? undefined : variables[variable];
  const field = fields?.at(-1);
  const { description, ...schema } = field === undefined ? { type: "string" } : schemas.field(field);
  const whole = partOf === undefined && !deep;
  const bound = variable === undefined ? undefined : template.variables[variable]?.fieldPath.join(".");
  const texts = [
    typeof description === "string" ? description : undefined,
    partOf === undefined ? undefined : `What stands for a wildcard of \`${bound}\`, which is \`${partOf}\`.`,
    deep ? "Zero or more segments: slashes stand as they are." : undefined,
  ];
  return described({ name, in: "path", required: true, schema: whole ? schema : { type: "string" } }, ...texts);
}

function queryOf(route: Route, schemas: Schemas): Parameter[] {
  const elsewhere = new Set(route.variables.map((fields) => fields.map(({ number }) => number).join()));
  const found: Parameter[] = [];
  const visit = (type: DescMessage, way: readonly DescField[], above: readonly DescMessage[]): void => {
    for (const field of type.fields) {
      const fields = [...way, field];
      const isBody = way.length === 0 && route.body.kind === "field" && route.body.field === field;
      if (isBody || elsewhere.has(fields.map(({ number }) => number).join())) continue;
      const message = field.fieldKind === "message" && !isTextType(field.message) ? field.message : undefined;
      if (message === undefined) found.push(...(queryParameter(fields, schemas) ?? []));
      else if (!above.includes(message) && fields.length < maxDepth && !ownForms.has(message.typeName))
        visit(message, fields, [...above, message]);
    }
  };
  visit(route.method.input, [], [route.method.input]);
  return found;
}

/** Messages without fields that a query could set. */
const ownForms: ReadonlySet<string> = new Set(
  ["Struct", "Value", "ListValue", "Any", "Empty"].map((name) => `google.protobuf.${name}`),
);

/** Undefined for what no query can hold: repeated messages, maps of messages. */
function queryParameter(fields: readonly DescField[], schemas: Schemas): Parameter[] | undefined {
  const field = fields.at(-1);
  if (field === undefined) return undefined;
  const repeated = field.fieldKind === "list" || field.fieldKind === "map";
  if (repeated && field.message !== undefined && !isTextType(field.message)) return undefined;
  const { description, deprecated, ...schema } = schemas.field(field);
  const parameter: Parameter = {
    name: fields.map(({ jsonName }) => jsonName).join("."),
    in: "query",
    ...(fields.length === 1 && mustBeGiven(field) ? { required: true } : {}),
    ...(deprecated === true ? { deprecated } : {}),
    ...(field.fieldKind === "map" ? { style: "deepObject", explode: true } : {}),
    schema,
  };
  return [described(parameter, typeof description === "string" ? description : undefined)];
}
