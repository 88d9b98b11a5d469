/**
 * Which rule serves a path, found by trying every rule in every way: an oracle for the router, written from the comment text of
 * google/api/http.proto and transcoding.md alone. It is as slow as it is plain.
 */
import type { MadeRule } from "./contract.ts";

/** What is to become of a path. */
export type NaiveMatch =
  | { readonly kind: "found"; readonly rule: MadeRule; readonly values: ReadonlyMap<string, string> }
  | { readonly kind: "other-methods"; readonly allow: readonly string[] }
  | { readonly kind: "not-found" }
  | { readonly kind: "malformed" };

/** Matches a raw path. */
export function naiveMatch(rules: readonly MadeRule[], httpMethod: string, path: string): NaiveMatch {
  if (!/^\/[\x21-\x7e]*$/.test(path) || path.includes("#") || decoded(path) === undefined) return { kind: "malformed" };
  if (path !== "/" && path.endsWith("/")) return { kind: "not-found" };
  const segments = path === "/" ? [] : path.slice(1).split("/");
  const allow = new Set<string>();
  const last = segments.at(-1) ?? "";
  const colon = last.lastIndexOf(":");
  const verb = last.slice(colon + 1);
  const readings = colon > 0 && verb !== "" ? [{ segments: [...segments.slice(0, -1), last.slice(0, colon)], verb }] : [];
  for (const reading of [...readings, { segments, verb: "" }]) {
    const found = matchAs(rules, httpMethod, reading.segments, reading.verb, allow);
    if (found !== undefined) return found;
  }
  if (allow.size === 0) return { kind: "not-found" };
  if (allow.has("GET")) allow.add("HEAD");
  return { kind: "other-methods", allow: [...allow, "OPTIONS"].toSorted() };
}

function matchAs(rules: readonly MadeRule[], httpMethod: string, segments: readonly string[], verb: string, allow: Set<string>) {
  const matches = rules.flatMap((rule) => matchRule(rule, segments, decoded(verb) ?? ""));
  // The most specific first: at the first place where two differ, a literal goes before "*", the end of the template and "*" before "**".
  matches.sort((a, b) => compare(a.parts, b.parts));
  const serves = [httpMethod, "*", ...(httpMethod === "HEAD" ? ["GET"] : [])];
  for (const best of matches) {
    const same = matches.filter(({ parts }) => compare(parts, best.parts) === 0);
    const by = serves.flatMap((method) => same.find(({ rule }) => rule.httpMethod === method) ?? [])[0];
    if (by !== undefined) return { kind: "found", rule: by.rule, values: by.values } as const;
  }
  for (const { rule } of matches) allow.add(rule.httpMethod);
  return undefined;
}

interface Part {
  readonly kind: 0 | 1 | 2;
  readonly literal: string;
  readonly variable: string | undefined;
}

/** The template's segments, each with the variable that it belongs to, and its verb. */
function partsOf(template: string): { parts: Part[]; verb: string } {
  const [, body = "", verb = ""] = /^\/(.*?)(?::([^/{}:]+))?$/.exec(template) ?? [];
  const parts: Part[] = [];
  for (const [, name, inner, plain] of body.matchAll(/\{([^=}]+)(?:=([^}]*))?\}|([^/{}]+)/g)) {
    for (const text of (plain ?? inner ?? "*").split("/")) {
      const kind = text === "**" ? 2 : text === "*" ? 1 : 0;
      parts.push({ kind, literal: kind === 0 ? (decoded(text) ?? "") : "", variable: name });
    }
  }
  return { parts, verb: decoded(verb) ?? "" };
}

const known = new Map<string, ReturnType<typeof partsOf>>();

function matchRule(rule: MadeRule, segments: readonly string[], verb: string) {
  const template = known.get(rule.template) ?? partsOf(rule.template);
  if (known.size > 1000) known.clear();
  known.set(rule.template, template);
  if (template.verb !== verb) return [];
  const spans = spansOf(template.parts, segments, 0, 0);
  if (spans === undefined) return [];
  const values = new Map<string, string>();
  for (const variable of new Set(template.parts.flatMap(({ variable }) => variable ?? []))) {
    const own = [...template.parts.keys()].filter((index) => template.parts[index]?.variable === variable);
    const raw = own.flatMap((index) => segments.slice(...(spans[index] ?? [0, 0])));
    const several = own.length > 1 || template.parts[own[0] ?? 0]?.kind === 2;
    values.set(variable, several ? decodedButSlashes(raw.join("/")) : (decoded(raw[0] ?? "") ?? ""));
  }
  return [{ rule, parts: template.parts, values }];
}

/** Where each part of the template lies in the path: from, and to before. */
function spansOf(parts: readonly Part[], segments: readonly string[], at: number, from: number): [number, number][] | undefined {
  const part = parts[at];
  if (part === undefined) return from === segments.length ? [] : undefined;
  const longest = part.kind === 2 ? segments.length : from + 1;
  for (let to = part.kind === 2 ? from : from + 1; to <= longest && to <= segments.length; to++) {
    const segment = segments[from] ?? "";
    if (part.kind === 0 && decoded(segment) !== part.literal) return undefined;
    if (part.kind === 1 && segment === "") return undefined;
    const rest = spansOf(parts, segments, at + 1, to);
    if (rest !== undefined) return [[from, to], ...rest];
  }
  return undefined;
}

function compare(a: readonly Part[], b: readonly Part[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const [left, right] = [a[index], b[index]];
    // The end of one: what the other has there can only be "**", or what follows one.
    if (left === undefined || right === undefined)
      return left === undefined ? (behindDeep(b, index) ? 1 : -1) : behindDeep(a, index) ? -1 : 1;
    if (left.kind !== right.kind) return left.kind - right.kind;
    if (left.kind === 2) return b.length - a.length;
  }
  return 0;
}

function behindDeep(parts: readonly Part[], index: number): boolean {
  return parts.slice(0, index).some(({ kind }) => kind === 2);
}

/** Percent escapes undone; undefined when they are none, or not UTF-8. */
function decoded(text: string): string | undefined {
  if (!text.includes("%")) return text;
  if (/%(?![0-9a-fA-F]{2})/.test(text)) return undefined;
  const bytes: number[] = [];
  for (const [, hex, plain = ""] of text.matchAll(/%([0-9a-fA-F]{2})|([^%])/gu)) {
    if (hex === undefined) bytes.push(...Buffer.from(plain));
    else bytes.push(Number.parseInt(hex, 16));
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    return undefined;
  }
}

/** "The percent-encoded slash is kept as it is" where a variable may have several segments. */
function decodedButSlashes(text: string): string {
  return text
    .replace(/%2f/gi, "\n$&\n")
    .split("\n")
    .map((part) => (/^%2f$/i.test(part) ? part : (decoded(part) ?? "")))
    .join("");
}
