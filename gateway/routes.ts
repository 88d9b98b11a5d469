/** From contracts to the table that the router compiles: every rule checked against its messages, every mistake a sentence. */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { HttpRule } from "#gen/google/api/http_pb.ts";
import { AccessLevel, type AccessRule } from "#gen/heddle/v1/access_pb.ts";
import { cacheMistakes } from "./cache-rule.ts";
import { ContractError, type ContractMethod, type Contracts } from "./contracts.ts";
import { deprecationMistakes } from "./deprecation.ts";
import { isHttpBody } from "./http-body.ts";
import { type PathTemplate, parsePathTemplate, TemplateError, type TemplateOptions } from "./path-template.ts";
import { representationMistakes } from "./representation.ts";
import type { MatchOptions, RouteEntry } from "./router.ts";
import { hasOwnJson, isTextType } from "./well-known.ts";

/** What a request's body is: nothing, the whole request message, or one field of it. */
export type BodyBinding =
  | { readonly kind: "none" }
  | { readonly kind: "whole" }
  | { readonly kind: "field"; readonly field: DescField };

/** One rule of one method, resolved: what decode, forward and encode need, with nothing left to look up. */
export interface Route {
  readonly method: ContractMethod["desc"];
  readonly access: AccessRule | undefined;
  readonly httpMethod: string;
  readonly template: PathTemplate;
  /** The field that each variable of the template sets: the way to it from the request message. */
  readonly variables: readonly (readonly DescField[])[];
  readonly body: BodyBinding;
  /** The field of the response that is the answer; undefined: the whole response. */
  readonly responseField: DescField | undefined;
  /** The request's one FieldMask, on a PATCH whose body is a field: an empty one is filled from what was sent. */
  readonly maskField: DescField | undefined;
  /** True: answers hold the fields that have their default too. Default false; shape.ts sets it for a request. */
  readonly emitDefaults?: boolean;
}

/** What rules may do beyond the strict reading of google/api/http.proto. */
export interface RouteOptions extends TemplateOptions {
  /** Permits `body` on GET and DELETE. Default: no, since caches and proxies drop such bodies. */
  readonly allowBodyOnGetAndDelete?: boolean;
  /** How paths are matched and decoded. */
  readonly matching?: MatchOptions;
}

/**
 * Every route of the contracts: those of google.api.http rules and, for methods without one, `POST /package.Service/Method`
 * with the request message as body. Methods that only services may call have none: to the outside they do not exist.
 *
 * @throws ContractError naming each mistake by method, template and column.
 */
export function routesOf(contracts: Contracts, options: RouteOptions = {}): RouteEntry<Route>[] {
  const mistakes: string[] = [];
  const entries: RouteEntry<Route>[] = [];
  for (const method of contracts.methods) {
    if (method.access?.level === AccessLevel.SERVICE) continue;
    for (const mistake of optionMistakes(method.desc)) mistakes.push(`${nameOf(method)}: ${mistake}`);
    for (const rule of rulesOf(method, mistakes)) {
      const owner = nameOf(method);
      const { httpMethod, path } = patternOf(rule);
      try {
        const route = resolve(method, rule, httpMethod, path, options);
        entries.push({ httpMethod, template: route.template, target: route, owner });
      } catch (error) {
        if (!(error instanceof TemplateError)) throw error;
        mistakes.push(`${owner}: ${httpMethod} "${path}": column ${error.column}: ${error.message}`);
      }
    }
  }
  if (mistakes.length > 0) throw new ContractError(mistakes);
  return entries;
}

/** The rule and its additional bindings; the one of an unannotated method is its gRPC path. */
function rulesOf(method: ContractMethod, mistakes: string[]): readonly Rule[] {
  const rule = method.http;
  if (rule === undefined) {
    const path = `/${method.desc.parent.typeName}/${method.desc.name}`;
    return [{ pattern: { case: "post", value: path }, body: "*", responseBody: "" }];
  }
  for (const additional of rule.additionalBindings) {
    if (additional.additionalBindings.length === 0) continue;
    const { httpMethod, path } = patternOf(additional);
    mistakes.push(`${nameOf(method)}: ${httpMethod} "${path}": an additional binding does not hold additional_bindings`);
  }
  return [rule, ...rule.additionalBindings];
}

type Rule = Pick<HttpRule, "pattern" | "body" | "responseBody">;

function patternOf(rule: Rule): { httpMethod: string; path: string } {
  const { pattern } = rule;
  if (pattern.case === undefined) return { httpMethod: "", path: "" };
  if (pattern.case === "custom") return { httpMethod: pattern.value.kind, path: pattern.value.path };
  return { httpMethod: pattern.case.toUpperCase(), path: pattern.value };
}

function resolve(method: ContractMethod, rule: Rule, httpMethod: string, path: string, options: RouteOptions): Route {
  if (httpMethod === "") throw new TemplateError(1, "the rule has no pattern: expected get, put, post, delete, patch or custom");
  if (!/^([A-Z][A-Z0-9-]*|\*)$/.test(httpMethod))
    throw new TemplateError(1, `expected an HTTP method in capitals or "*" as kind`);
  const { input, output } = method.desc;
  const template = parsePathTemplate(path, options);
  const variables = template.variables.map(({ fieldPath, column }) => variableFields(input, fieldPath, column + 1));
  if (rule.body !== "" && (httpMethod === "GET" || httpMethod === "DELETE") && options.allowBodyOnGetAndDelete !== true) {
    throw new TemplateError(1, `body is "${rule.body}", but ${httpMethod} takes none`);
  }
  const body = bodyOf(input, rule.body);
  if (body.kind === "field" && variables.some((fields) => fields.length === 1 && fields[0] === body.field)) {
    throw new TemplateError(1, `body is "${rule.body}", a field that the path sets`);
  }
  return {
    method: method.desc,
    access: method.access,
    httpMethod,
    template,
    variables,
    body,
    responseField: rule.responseBody === "" ? undefined : topField(output, rule.responseBody, "response_body"),
    maskField: httpMethod === "PATCH" && body.kind === "field" && hasPaths(body.field) ? maskOf(input) : undefined,
  };
}

function bodyOf(input: DescMessage, name: string): BodyBinding {
  if (name === "") return { kind: "none" };
  return name === "*" ? { kind: "whole" } : { kind: "field", field: topField(input, name, "body") };
}

function topField(message: DescMessage, name: string, option: string): DescField {
  const field = message.fields.find((candidate) => candidate.name === name);
  if (field !== undefined) return field;
  const why = name.includes(".") ? "it names a top-level field, not a nested one" : `${message.typeName} has no such field`;
  throw new TemplateError(1, `${option} is "${name}", but ${why}`);
}

function variableFields(input: DescMessage, names: readonly string[], column: number): DescField[] {
  const fields: DescField[] = [];
  let message: DescMessage | undefined = input;
  for (const name of names) {
    if (message === undefined) throw new TemplateError(column, `"${names.join(".")}": "${fields.at(-1)?.name}" has no fields`);
    const field: DescField | undefined = message.fields.find((candidate) => candidate.name === name);
    if (field === undefined) throw new TemplateError(column, `"${names.join(".")}": ${message.typeName} has no field "${name}"`);
    if (field.fieldKind === "list" || field.fieldKind === "map") {
      const kind = field.fieldKind === "list" ? "repeated" : "a map";
      throw new TemplateError(column, `"${names.join(".")}": "${name}" is ${kind}, and a path holds one value`);
    }
    fields.push(field);
    message = field.message;
    if (message !== undefined && isTextType(message)) message = undefined;
  }
  if (message !== undefined) {
    throw new TemplateError(column, `"${names.join(".")}" is a message, ${message.typeName}, that no text stands for`);
  }
  return fields;
}

/** Whether a mask can name parts of the field: not where its JSON, or its bytes, are no object of fields. */
function hasPaths({ fieldKind, message }: DescField): boolean {
  return (
    fieldKind === "message" &&
    message !== undefined &&
    !hasOwnJson(message) &&
    message.typeName !== AnySchema.typeName &&
    !isHttpBody(message)
  );
}

function maskOf(input: DescMessage): DescField | undefined {
  const masks = input.fields.filter((field) => field.message?.typeName === "google.protobuf.FieldMask");
  return masks.length === 1 && masks[0]?.fieldKind === "message" ? masks[0] : undefined;
}

function optionMistakes(method: ContractMethod["desc"]): string[] {
  return [...deprecationMistakes(method), ...cacheMistakes(method), ...representationMistakes(method)];
}

function nameOf(method: ContractMethod): string {
  return `${method.desc.parent.typeName}.${method.desc.name}`;
}
