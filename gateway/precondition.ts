/**
 * Conditional requests (RFC 9110, section 13) over contracts whose messages have an `etag` field.
 *
 * Reading: the answer's `etag` is its ETag; If-None-Match makes 304 of it (weak comparison), If-Match 412 (strong).
 *
 * Writing: only the service can compare and change in one step, so If-Match goes into the request's own `etag` field, that of
 * the message or that of its body. A service that refuses by ABORTED or FAILED_PRECONDITION then answers 412. A condition that
 * no field can take is 412 as well, and the service is not asked: a client that makes its write depend on something must not
 * find that it was done regardless.
 */
import type { IncomingHttpHeaders } from "node:http";
import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { Code, type ConnectError } from "@connectrpc/connect";
import { from, invalidArgument } from "#mesh/errors.ts";
import { cacheRuleOf } from "./cache-rule.ts";
import { entityTagOf, matchesStrongly, matchesWeakly, readTags, tagText } from "./etag.ts";
import type { Exchange } from "./exchange.ts";
import type { Answer } from "./forward.ts";
import { isHttpBody } from "./http-body.ts";
import type { Route } from "./routes.ts";
import { httpError, withHttpStatus } from "./status.ts";

/**
 * Puts a write's If-Match into the request message. True: it did, so that the service's refusal is a failed precondition.
 *
 * @throws an error of status 412 when the condition cannot hold or cannot be passed on; INVALID_ARGUMENT for a header that is
 *   none, or for a body that sets another tag.
 */
export function passPrecondition(route: Route, { method = "", headers }: Request, message: Message): boolean {
  if (isSafe(method)) return false;
  if (headers["if-none-match"] !== undefined) throw failed("if-none-match cannot be checked before a write is done");
  const header = headers["if-match"];
  if (header === undefined) return false;
  const condition = readTags("if-match", header);
  if (condition === "*") return false;
  const fields = requestTagFields(route);
  const field = fields.at(-1);
  if (field === undefined) throw failed(`if-match cannot be checked: ${route.method.input.typeName} has no field "etag"`);
  const strong = condition.filter(({ weak }) => !weak);
  const [tag] = strong;
  if (tag === undefined) throw failed("if-match: a weak entity tag matches nothing");
  if (strong.length > 1) throw failed("if-match: expected one entity tag, since the service compares with one");
  let owner = reflect(route.method.input, message, false);
  for (const step of fields.slice(0, -1)) {
    if (step.fieldKind !== "message") continue;
    const next = owner.get(step);
    if (!owner.isSet(step)) owner.set(step, next);
    owner = next;
  }
  const text = tagText(tag);
  const given = owner.get(field);
  if (given !== "" && given !== text) {
    const name = fields.map((step) => step.name).join(".");
    throw invalidArgument([{ field: name, description: "set in the body and, to another value, by if-match" }]);
  }
  owner.set(field, text);
  return true;
}

/** Refuses the conditions of a write whose messages are not known before it is under way. @throws an error of status 412. */
export function refusePrecondition({ method = "", headers }: Request): void {
  if (isSafe(method)) return;
  const { "if-match": ifMatch, "if-none-match": ifNoneMatch } = headers;
  if (ifNoneMatch !== undefined || (ifMatch !== undefined && readTags("if-match", ifMatch) !== "*")) {
    throw failed("a condition cannot be checked before a stream is sent");
  }
}

/** What a call's error is after If-Match was passed on: what services answer when the tags differ is 412. */
export function explainPrecondition(thrown: unknown, passed: boolean): unknown {
  if (!passed) return thrown;
  const error = from(thrown);
  return error.code === Code.Aborted || error.code === Code.FailedPrecondition ? withHttpStatus(error, 412) : thrown;
}

/** Makes the `etag` of what is answered, the whole response or its response_body, the ETag of the answer. */
export function noteEntityTag(exchange: Exchange, route: Route, answer: Answer): void {
  if (answer.kind !== "unary") return;
  const type = route.responseField === undefined ? route.method.output : route.responseField.message;
  const field = type === undefined ? undefined : tagField(type);
  if (field === undefined || (route.responseField !== undefined && route.responseField.fieldKind !== "message")) return;
  const whole = reflect(route.method.output, answer.message, false);
  const part = route.responseField?.fieldKind === "message" ? whole.get(route.responseField) : whole;
  const tag = entityTagOf(String(part.get(field)));
  if (tag !== undefined) exchange.headers.etag = tag;
}

/**
 * The status of a good answer once its preconditions are known: 304 in place of 200.
 *
 * @throws an error of status 412.
 */
export function conditionalStatus({ httpMethod, request, headers }: Exchange, status: number): number {
  if (!isSafe(httpMethod) || status !== 200) return status;
  const { "if-match": ifMatch, "if-none-match": ifNoneMatch } = request.headers;
  if (ifMatch !== undefined && !matchesStrongly(readTags("if-match", ifMatch), headers.etag)) {
    throw failed(
      headers.etag === undefined ? "if-match: this answer has no entity tag" : `if-match: the entity tag is ${headers.etag}`,
    );
  }
  if (ifNoneMatch === undefined || headers.etag === undefined) return status;
  return matchesWeakly(readTags("if-none-match", ifNoneMatch), headers.etag) ? 304 : status;
}

/** Whether good answers of a route have an ETag that a request can be about: they may be 304. */
export function hasEntityTag({ method, httpMethod, responseField }: Route): boolean {
  if (method.methodKind !== "unary" || !(isSafe(httpMethod) || httpMethod === "*")) return false;
  const type = responseField === undefined ? method.output : responseField.message;
  return cacheRuleOf(method) !== undefined || isHttpBody(type) || (type !== undefined && tagField(type) !== undefined);
}

/** Whether If-Match can come true for a route: by the answer's tag, or by a field of the request that takes it. */
export function takesIfMatch(route: Route): boolean {
  return hasEntityTag(route) || (!isSafe(route.httpMethod) && requestTagFields(route).length > 0);
}

interface Request {
  readonly method?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

function isSafe(method: string): boolean {
  return method === "GET" || method === "HEAD";
}

/** The way to the request's tag: a field of its own, or one of the message that is its body. */
function requestTagFields({ method, body }: Route): readonly DescField[] {
  const own = tagField(method.input);
  if (own !== undefined) return [own];
  if (body.kind !== "field" || body.field.fieldKind !== "message") return [];
  const inner = tagField(body.field.message);
  return inner === undefined ? [] : [body.field, inner];
}

function tagField(type: DescMessage): (DescField & { fieldKind: "scalar" }) | undefined {
  const field = type.fields.find(({ name }) => name === "etag");
  return field?.fieldKind === "scalar" && field.scalar === ScalarType.STRING ? field : undefined;
}

function failed(message: string): ConnectError {
  return httpError(412, Code.FailedPrecondition, message);
}
