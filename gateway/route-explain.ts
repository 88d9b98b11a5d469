/** Why a request reaches the method that it reaches: which rule matched, what each part was bound to, and why the others did not. */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import type { PathTemplate } from "./path-template.ts";
import type { Plan } from "./plan.ts";
import { parseQuery, pathOf, readFieldText, resolveParameter } from "./query.ts";
import type { RouteEntry } from "./router.ts";
import type { Route } from "./routes.ts";
import { expectedScalar } from "./scalar.ts";
import { Violations } from "./violations.ts";

/** One part of a request and where it went. */
export interface Binding {
  /** What the request calls it: a variable of the path, a parameter of the query. */
  readonly name: string;
  readonly from: "path" | "query";
  readonly value: string;
  /** The field that it sets, by the contract's names, and its type; empty when it sets none. */
  readonly field: string;
  readonly type: string;
  /** Why it is refused; undefined when it is not. */
  readonly mistake: string | undefined;
}

/** What becomes of a request, as far as its path and query decide it. */
export interface RouteExplanation {
  /** The rule that serves it; undefined for none. */
  readonly route: Route | undefined;
  /** Why none serves it: what the answer will be. */
  readonly refusal: string | undefined;
  readonly bindings: readonly Binding[];
  /** The other rules and why each does not serve the request, the nearest first. */
  readonly others: readonly { readonly route: Route; readonly why: string }[];
}

/** @param target a path with its query, as it would stand in a request */
export function explainRoute(plan: Plan, httpMethod: string, target: string): RouteExplanation {
  const question = target.indexOf("?");
  const [path, query] = question < 0 ? [target, ""] : [target.slice(0, question), target.slice(question + 1)];
  const match = plan.router.match(httpMethod, path);
  const found = match.kind === "found" && match.entry.target.kind === "rpc" ? match.entry.target.route : undefined;
  const others = match.kind === "malformed" ? [] : plan.routes.filter((entry) => entry.target !== found);
  return {
    route: found,
    refusal: refusalOf(match, path),
    bindings:
      match.kind === "found" && found !== undefined ? [...pathBindings(found, match.values), ...queryBindings(found, query)] : [],
    others: others
      .map((entry) => ({ route: entry.target, ...mismatch(entry, httpMethod, path, found) }))
      .sort((a, b) => b.near - a.near)
      .map(({ route, why }) => ({ route, why })),
  };
}

function refusalOf(match: ReturnType<Plan["router"]["match"]>, path: string): string | undefined {
  switch (match.kind) {
    case "found":
      return match.entry.target.kind === "own" ? "the gateway itself answers it" : undefined;
    case "malformed":
      return `400: ${match.reason}`;
    case "not-found":
      return path.length > 1 && path.endsWith("/") ? "404: a path does not end in a slash" : "404: no rule has this path";
    case "other-methods":
      return `405: the path is there for ${match.allow.join(", ")}`;
  }
}

function pathBindings({ variables, template }: Route, values: readonly string[]): Binding[] {
  return variables.map((fields, index) => {
    const value = values[index] ?? "";
    const name = template.variables[index]?.fieldPath.join(".") ?? "";
    return { name, from: "path", value, ...fieldOf(fields), mistake: mistakeIn((violations) => read(fields, value, violations)) };
  });
}

function queryBindings(route: Route, query: string): Binding[] {
  return parseQuery(query, new Violations()).map(({ name, value }) => {
    const target = resolveParameter(route.method.input, name, new Violations(), false);
    const inBody = target !== undefined && belongsToBody(route, target.fields);
    const mistake = inBody
      ? "belongs to the body, and so cannot stand in the query"
      : mistakeIn((violations) => {
          const found = resolveParameter(route.method.input, name, violations, false);
          if (found !== undefined) read(found.fields, value, violations);
        });
    return { name, from: "query", value, ...fieldOf(target?.fields ?? []), mistake };
  });
}

function belongsToBody({ body }: Route, [first]: readonly DescField[]): boolean {
  return body.kind === "whole" || (body.kind === "field" && body.field === first);
}

function read(fields: readonly DescField[], value: string, violations: Violations): void {
  const field = fields.at(-1);
  if (field !== undefined) readFieldText(field, value, pathOf(fields), violations);
}

function mistakeIn(work: (violations: Violations) => void): string | undefined {
  const violations = new Violations();
  work(violations);
  try {
    violations.throwIfAny();
    return undefined;
  } catch (error) {
    return ConnectError.from(error).rawMessage;
  }
}

function fieldOf(fields: readonly DescField[]): { field: string; type: string } {
  const field = fields.at(-1);
  return { field: pathOf(fields), type: field === undefined ? "" : typeOf(field) };
}

function typeOf(field: DescField): string {
  const named: DescMessage | { readonly typeName: string } | undefined = field.message ?? field.enum;
  const type = named?.typeName ?? expectedScalar(field.scalar ?? 9);
  return field.fieldKind === "list" ? `repeated ${type}` : field.fieldKind === "map" ? `map of ${type}` : type;
}

/** Why a rule does not serve the request, and how near it came. */
function mismatch(
  { template, httpMethod: own }: RouteEntry<Route>,
  httpMethod: string,
  path: string,
  found: Route | undefined,
): { why: string; near: number } {
  const { why, near } = pathMismatch(template, path);
  if (why !== undefined) return { why, near };
  const serves = own === httpMethod || own === "*" || (own === "GET" && httpMethod === "HEAD");
  if (!serves) return { why: `its path matches, but it is for ${own}`, near: near + 1 };
  const winner = found === undefined ? "" : `: "${found.template.text}" goes before it`;
  return { why: `it matches too, but literals go before "*", "*" before "**", and a method before "*"${winner}`, near: near + 2 };
}

function pathMismatch(template: PathTemplate, path: string): { why: string | undefined; near: number } {
  const { segments, verb } = template;
  const whole = path.slice(1).split("/");
  const last = whole.at(-1) ?? "";
  const ending = verb !== "" && last.endsWith(`:${verb}`);
  const raw = ending ? [...whole.slice(0, -1), last.slice(0, -verb.length - 1)] : whole;
  const deep = segments.findIndex(({ kind }) => kind === "deep");
  for (const [index, segment] of segments.entries()) {
    if (segment.kind === "deep") break;
    const got = raw[index];
    const at = `segment ${index + 1}`;
    if (got === undefined) return { why: `it has ${segments.length} segments, the path ${raw.length}`, near: index };
    if (segment.kind === "any" && got === "") return { why: `${at} is empty, and no variable binds nothing`, near: index };
    if (segment.kind === "literal" && decoded(got) !== segment.value)
      return { why: `${at} is ${JSON.stringify(segment.value)}, the path has ${JSON.stringify(got)}`, near: index };
  }
  const suffix = deep < 0 ? [] : segments.slice(deep + 1);
  const end = raw.slice(Math.max(deep, raw.length - suffix.length)).map(decoded);
  if (suffix.some((segment, index) => segment.kind === "literal" && segment.value !== end[index]))
    return { why: `the path does not end in what follows "**"`, near: deep };
  if (deep < 0 && raw.length > segments.length)
    return { why: `it has ${segments.length} segments, the path ${raw.length}`, near: segments.length - 0.5 };
  if (verb !== "" && !ending) return { why: `the path does not end in ":${verb}"`, near: segments.length };
  return { why: undefined, near: segments.length };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
