/** What an operation answers: its response in each form that it can have, and the errors that can occur. */
import { Code } from "@connectrpc/connect";
import { isHttpBody } from "../http-body.ts";
import type { Route } from "../routes.ts";
import { httpStatus } from "../status.ts";
import { commentOf } from "./comments.ts";
import type { ErrorSchemas } from "./error-schemas.ts";
import type { Schema } from "./schema.ts";
import type { Schemas } from "./schemas.ts";

/** What the errors of an operation depend on beside its route. */
export interface ResponseOptions {
  readonly isPublic: boolean;
  readonly schemas: Schemas;
  readonly errors: ErrorSchemas;
}

/** The responses object of a route. */
export function responsesOf(route: Route, options: ResponseOptions): Schema {
  return {
    ...success(route, options.schemas),
    ...failures(route, options),
    default: errorResponse("Another error.", options.errors),
  };
}

function success(route: Route, schemas: Schemas): Schema {
  const { method, responseField } = route;
  const description = answerText(route);
  if (method.methodKind === "bidi_streaming") return { "101": { description: "A WebSocket: each message is one in JSON." } };
  const type = responseField === undefined ? method.output : responseField.message;
  if (isHttpBody(type)) return { "200": { description, content: { "*/*": { schema: { type: "string", format: "binary" } } } } };
  const item = responseField === undefined ? schemas.message(method.output) : schemas.field(responseField);
  if (method.methodKind === "server_streaming") return { "200": { description, content: streamContent(item) } };
  const wire = responseField === undefined || responseField.fieldKind === "message" ? wireContent : {};
  return { "200": { description, content: { "application/json": { schema: item }, ...wire } } };
}

const wireContent: Schema = { "application/x-protobuf": { schema: { type: "string", format: "binary" } } };

/** The forms of a stream, by Accept. OpenAPI 3.1 has no items of a stream; JSON Schema says what its text holds. */
function streamContent(item: Schema): Schema {
  const text = (mediaType: string, description: string): Schema => ({
    schema: { type: "string", description, contentMediaType: mediaType, contentSchema: item },
    "x-item-schema": item,
  });
  return {
    "application/x-ndjson": text(
      "application/x-ndjson",
      "A message a line. A stream that failed ends in a line with an `error`.",
    ),
    "text/event-stream": text(
      "text/event-stream",
      "A message an event, with ascending ids. A stream that failed ends in an event of the name `error`.",
    ),
    "application/json": {
      schema: { type: "array", items: item, description: "A stream that failed ends in a broken connection." },
    },
  };
}

function answerText({ method, responseField }: Route): string {
  const comment = responseField === undefined ? commentOf(method.output) : commentOf(responseField);
  return comment === "" ? "The answer." : comment;
}

/** Errors that the gateway itself makes for such a route, and those that the method's comment names by their codes. */
function failures(route: Route, { isPublic, errors }: ResponseOptions): Schema {
  const hasBody = route.body.kind !== "none";
  const statuses = new Set([
    400,
    ...(isPublic ? [] : [401, 403]),
    ...(route.variables.length > 0 ? [404] : []),
    ...(hasBody ? [408, 413, 415] : []),
    429,
    500,
    503,
    504,
    ...codesIn(commentOf(route.method)).map(httpStatus),
  ]);
  const sorted = [...statuses].sort((a, b) => a - b);
  return Object.fromEntries(
    sorted.map((status) => [String(status), errorResponse(texts[status] ?? "An error.", errors, headersOf[status])]),
  );
}

function codesIn(comment: string): Code[] {
  const words = new Set(comment.match(/\b[A-Z][A-Z_]{3,}\b/g));
  return Object.entries(codes).flatMap(([name, code]) => (words.has(name) ? [code] : []));
}

const codes: Readonly<Record<string, Code>> = {
  INVALID_ARGUMENT: Code.InvalidArgument,
  NOT_FOUND: Code.NotFound,
  ALREADY_EXISTS: Code.AlreadyExists,
  PERMISSION_DENIED: Code.PermissionDenied,
  RESOURCE_EXHAUSTED: Code.ResourceExhausted,
  FAILED_PRECONDITION: Code.FailedPrecondition,
  ABORTED: Code.Aborted,
  OUT_OF_RANGE: Code.OutOfRange,
  UNIMPLEMENTED: Code.Unimplemented,
  DATA_LOSS: Code.DataLoss,
  UNAUTHENTICATED: Code.Unauthenticated,
};

function errorResponse(description: string, { status, problem }: ErrorSchemas, headers?: Schema): Schema {
  const content = { "application/json": { schema: status }, "application/problem+json": { schema: problem } };
  return headers === undefined ? { description, content } : { description, headers, content };
}

const texts: Readonly<Record<number, string>> = {
  400: "The request breaks the contract or a rule: `details` names each field that does. Or the state does not allow the call.",
  401: "Nobody is signed in, or the credentials are not good.",
  403: "The caller may not do this.",
  404: "It does not exist, or belongs to somebody else.",
  408: "The body did not arrive in time.",
  409: "It exists already, or changed meanwhile.",
  413: "The body is too large.",
  415: "The body's media type or encoding is none of those that are taken.",
  429: "Too many requests.",
  500: "A defect of the service.",
  501: "The service does not have the method.",
  503: "The service is away for the moment.",
  504: "The deadline has passed.",
};

const retryAfter: Schema = {
  "Retry-After": { description: "Seconds to wait before the next attempt.", schema: { type: "integer", minimum: 1 } },
};

const headersOf: Readonly<Record<number, Schema>> = {
  401: { "WWW-Authenticate": { description: "What credentials are taken.", schema: { type: "string" } } },
  429: retryAfter,
  503: retryAfter,
};
