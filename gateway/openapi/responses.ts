/** What an operation answers: its response in each form that it can have, and the errors that can occur. */
import { Code } from "@connectrpc/connect";
import { isHttpBody } from "../http-body.ts";
import { hasEntityTag } from "../precondition.ts";
import { representationsOf } from "../representation.ts";
import type { Route } from "../routes.ts";
import { httpStatus } from "../status.ts";
import { commentOf } from "./comments.ts";
import type { ErrorResponses } from "./error-responses.ts";
import type { Schema } from "./schema.ts";
import type { Schemas } from "./schemas.ts";

/** What the errors of an operation depend on beside its route. */
export interface ResponseOptions {
  readonly isPublic: boolean;
  readonly schemas: Schemas;
  readonly errors: ErrorResponses;
}

/** The responses object of a route. */
export function responsesOf(route: Route, options: ResponseOptions): Schema {
  return {
    ...success(route, options.schemas),
    ...(hasEntityTag(route) ? { "304": { description: "What the client has, by If-None-Match, still holds." } } : {}),
    ...failures(route, options),
    default: options.errors.response(undefined),
  };
}

function success(route: Route, schemas: Schemas): Schema {
  const { method, responseField } = route;
  const description = answerText(route);
  const webSocket: Schema = { "101": { description: "A WebSocket: each message is one in JSON." } };
  if (method.methodKind === "bidi_streaming" && route.body.kind === "none") return webSocket;
  const type = responseField === undefined ? method.output : responseField.message;
  if (isHttpBody(type)) {
    const content: Schema = { "*/*": { schema: { type: "string", format: "binary" } } };
    const part: Schema = { "206": { description: "The part that a Range header asks for.", content } };
    return { "200": { description, content }, ...(hasRanges(route) ? part : {}) };
  }
  const item = responseField === undefined ? schemas.message(method.output) : schemas.field(responseField);
  if (method.methodKind === "server_streaming") return { "200": { description, content: streamContent(item) } };
  if (method.methodKind === "bidi_streaming") return { ...webSocket, "200": { description, content: streamContent(item) } };
  const wire = responseField === undefined || responseField.fieldKind === "message" ? wireContent : {};
  return { "200": { description, content: { "application/json": { schema: item }, ...wire, ...otherForms(route) } } };
}

/** Bytes that are whole in memory are sent in parts, too. */
function hasRanges({ method, responseField, httpMethod }: Route): boolean {
  const type = responseField === undefined ? method.output : responseField.message;
  return isHttpBody(type) && method.methodKind === "unary" && (httpMethod === "GET" || httpMethod === "*");
}

const wireContent: Schema = { "application/x-protobuf": { schema: { type: "string", format: "binary" } } };

/** What the Accept header can ask for beside JSON, by heddle.v1.representation. */
function otherForms({ method }: Route): Schema {
  const forms = representationsOf(method).map(({ mediaType, method: maker }) => {
    const comment = commentOf(maker);
    const schema = { type: "string", format: "binary", ...(comment === "" ? {} : { description: comment }) };
    return [mediaType, { schema, "x-rpc": `${maker.parent.typeName}/${maker.name}` }];
  });
  return Object.fromEntries(forms);
}

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
    ...(isConditional(route) ? [412] : []),
    ...(route.method.methodKind === "bidi_streaming" ? [426] : []),
    ...(hasRanges(route) ? [416] : []),
    429,
    431,
    500,
    503,
    504,
    ...codesIn(commentOf(route.method)).map(httpStatus),
  ]);
  const sorted = [...statuses].sort((a, b) => a - b);
  return Object.fromEntries(sorted.map((status) => [String(status), errors.response(status)]));
}

/** A condition that a write cannot hold to is refused as well. */
function isConditional(route: Route): boolean {
  return hasEntityTag(route) || (route.httpMethod !== "GET" && route.httpMethod !== "HEAD");
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
