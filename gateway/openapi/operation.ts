/** One route as an operation of OpenAPI. */

import type { Route } from "../routes.ts";
import { commentOf } from "./comments.ts";
import type { ErrorResponses } from "./error-responses.ts";
import { parametersOf } from "./parameters.ts";
import type { OpenApiPath } from "./path.ts";
import { requestBodyOf } from "./request-body.ts";
import { responsesOf } from "./responses.ts";
import type { Schema } from "./schema.ts";
import type { Schemas } from "./schemas.ts";
import { securityOf } from "./security.ts";

/** What an operation needs beside its route. */
export interface OperationParts {
  readonly path: OpenApiPath;
  /** Unique in the document. */
  readonly id: string;
  /** True: methods without an access rule are open. */
  readonly openByDefault: boolean;
  readonly schemas: Schemas;
  readonly errors: ErrorResponses;
}

/** The operation object of a route. */
export function operationOf(route: Route, { path, id, openByDefault, schemas, errors }: OperationParts): Schema {
  const { method } = route;
  const { requirements, text } = securityOf(route, openByDefault);
  const comment = commentOf(method);
  const parameters = parametersOf(route, path, schemas);
  const requestBody = requestBodyOf(route, schemas);
  const description = [comment, route.httpMethod === "*" ? "Any HTTP method will do." : "", text ?? ""]
    .filter((part) => part !== "")
    .join("\n\n");
  return {
    operationId: id,
    summary: summaryOf(comment, method.name),
    ...(description === "" ? {} : { description }),
    tags: [method.parent.typeName],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(requestBody === undefined ? {} : { requestBody }),
    responses: responsesOf(route, { isPublic: requirements.length === 0, schemas, errors }),
    security: requirements,
    ...(method.deprecated || method.parent.deprecated ? { deprecated: true } : {}),
    "x-rpc": `${method.parent.typeName}/${method.name}`,
  };
}

/** The first sentence of the comment; the method's name, in words, where there is none. */
function summaryOf(comment: string, name: string): string {
  const [paragraph = ""] = comment.split("\n\n");
  const sentence = /^.*?[.:;](?=\s|$)/s.exec(paragraph)?.[0] ?? paragraph;
  const text = sentence.replaceAll(/\s*\n\s*/g, " ").replace(/[.:;]$/, "");
  if (text === "") return name.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, " ");
  return text.length <= 120 ? text : `${text.slice(0, 117)}...`;
}
