/** One resource in several forms: which method answers a request, by its Accept header (RFC 9110, section 12.5.1). */
import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { AccessLevel } from "#gen/heddle/v1/access_pb.ts";
import { representation } from "#gen/heddle/v1/representation_pb.ts";
import { accessRuleOf } from "#mesh/identity/access.ts";
import { protobufType } from "./decode.ts";
import type { Exchange } from "./exchange.ts";
import { isHttpBody } from "./http-body.ts";
import { preferredType } from "./negotiate.ts";
import type { Route } from "./routes.ts";
import { varyBy } from "./vary.ts";

/** A form of a method's answer beside JSON, and the method that makes it. */
export interface RepresentationRule {
  readonly mediaType: string;
  readonly method: DescMethod;
}

/**
 * The route that answers this request: the one that matched or, where its method has other forms and the Accept header likes
 * one of them better than JSON, the same with the method that makes that form. An Accept header that takes none of them is
 * answered in JSON, as everywhere. Notes in Vary that the header decides.
 */
export function representedBy(route: Route, { request, headers }: Pick<Exchange, "request" | "headers">): Route {
  const rules = representationsOf(route.method);
  if (rules.length === 0) return route;
  varyBy(headers, "Accept");
  // Among equals JSON: it is what a client gets that says nothing.
  const type = preferredType(request.headers.accept, ["application/json", protobufType, ...rules.map((rule) => rule.mediaType)]);
  const method = rules.find(({ mediaType }) => mediaType === type)?.method;
  return method === undefined ? route : { ...route, method, access: accessRuleOf(method), responseField: undefined };
}

/** The other forms of a method's answer, in the order of the contract; those that are mistakes left out. */
export function representationsOf(method: DescMethod): readonly RepresentationRule[] {
  return compiled(method).rules;
}

/** What is wrong with a method's option, as sentences without their subject. */
export function representationMistakes(method: DescMethod): readonly string[] {
  return compiled(method).mistakes;
}

interface Compiled {
  readonly rules: readonly RepresentationRule[];
  readonly mistakes: readonly string[];
}

const none: Compiled = { rules: [], mistakes: [] };
const known = new WeakMap<DescMethod, Compiled>();

function compiled(method: DescMethod): Compiled {
  let found = known.get(method);
  if (found === undefined) {
    found = hasOption(method, representation) ? compile(method) : none;
    known.set(method, found);
  }
  return found;
}

function compile(method: DescMethod): Compiled {
  const rules: RepresentationRule[] = [];
  const mistakes: string[] = [];
  for (const { mediaType, method: name } of getOption(method, representation)) {
    const maker = method.parent.methods.find((candidate) => candidate.name === name);
    const wrong = mistakeOf(method, mediaType, name, maker) ?? twice(rules, mediaType);
    if (wrong !== undefined) mistakes.push(`heddle.v1.representation "${mediaType}": ${wrong}`);
    else if (maker !== undefined) rules.push({ mediaType, method: maker });
  }
  return { rules, mistakes };
}

function mistakeOf(method: DescMethod, mediaType: string, name: string, maker: DescMethod | undefined): string | undefined {
  if (!/^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/.test(mediaType)) {
    return "expected a media type in lower case without parameters";
  }
  if (mediaType === "application/json" || mediaType === protobufType) return "the method itself answers with it";
  if (method.methodKind !== "unary") return "streams have no other form";
  if (isHttpBody(method.output)) return "a method that answers with google.api.HttpBody has no other form";
  if (maker === undefined) return `${method.parent.typeName} has no method "${name}"`;
  if (maker.methodKind !== "unary") return `${name} streams; expected one answer to one request`;
  if (maker.input.typeName !== method.input.typeName) {
    return `${name} takes ${maker.input.typeName}; expected ${method.input.typeName}, as ${method.name} does`;
  }
  if (!isHttpBody(maker.output)) return `${name} returns ${maker.output.typeName}; expected google.api.HttpBody`;
  if (accessRuleOf(maker)?.level === AccessLevel.SERVICE) return `${name} is for services alone`;
  return undefined;
}

function twice(rules: readonly RepresentationRule[], mediaType: string): string | undefined {
  return rules.some((rule) => rule.mediaType === mediaType) ? "it stands there twice" : undefined;
}
