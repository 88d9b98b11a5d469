/**
 * From a raw path and an HTTP method to what serves them, over a tree compiled once.
 *
 * At each segment a literal is tried before `*`, and `*` before `**`, with full backtracking. A node of the tree stands at
 * one depth only, and `**` is followed by a fixed count of literals at most, so a match visits each node once: its time is
 * bounded by the table, and linear in the path only for splitting it.
 */
import { type PathTemplate, type Segment, shapeOf, type TemplateVariable } from "./path-template.ts";

/** One row of the table. */
export interface RouteEntry<T> {
  /** An HTTP method in capitals, or `*` for every one. */
  readonly httpMethod: string;
  readonly template: PathTemplate;
  readonly target: T;
  /** Who asked for the route, for the message about a conflict: the full name of an rpc. */
  readonly owner: string;
}

/** What became of a request's method and path. */
export type RouteMatch<T> =
  | {
      readonly kind: "found";
      readonly entry: RouteEntry<T> /** One decoded text for each variable of the template. */;
      readonly values: readonly string[];
    }
  /** The path exists under other methods: all of them, sorted. */
  | { readonly kind: "other-methods"; readonly allow: readonly string[] }
  | { readonly kind: "not-found" }
  /** The path is no path: what was expected, and what came. */
  | { readonly kind: "malformed"; readonly reason: string };

/** A compiled table. */
export interface Router<T> {
  /** Matches the raw path of a request, without its query. */
  match(httpMethod: string, path: string): RouteMatch<T>;
  readonly entries: readonly RouteEntry<T>[];
}

/** The rows that clash: same method, same shape. Each message names both owners. */
export class RouteConflict extends Error {
  override readonly name = "RouteConflict";
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[]) {
    super(mistakes.join("\n"));
    this.mistakes = mistakes;
  }
}

/** How paths are matched and decoded, beyond what templates say. */
export interface MatchOptions {
  /**
   * Which percent escapes stay as sent in variables of several segments: `slash` (the default, as google/api/http.proto says)
   * keeps %2F, `reserved` all of RFC 3986's reserved characters, `all` decodes every one.
   */
  readonly multiSegment?: "slash" | "reserved" | "all";
  /** What a slash at the end of a path does: `refuse` (the default) makes it another path, `ignore` drops one of them. */
  readonly trailingSlash?: "refuse" | "ignore";
}

type Leaves<T> = Map<string /* verb */, Map<string /* HTTP method */, RouteEntry<T>>>;

interface Node<T> {
  readonly literals: Map<string, Node<T>>;
  any: Node<T> | undefined;
  /** What stands below `**`, longest first: the literals after it, and the leaves there. */
  readonly deep: { readonly suffix: readonly string[]; readonly leaves: Leaves<T> }[];
  readonly leaves: Leaves<T>;
}

/**
 * Compiles the table.
 *
 * @throws RouteConflict when two rows serve the same method and path shape.
 */
export function compileRouter<T>(entries: readonly RouteEntry<T>[], options: MatchOptions = {}): Router<T> {
  const root = newNode<T>();
  const verbs = new Set<string>();
  const mistakes: string[] = [];
  for (const entry of entries) {
    const leaf = leafFor(leavesFor(root, entry.template.segments), entry.template.verb);
    const earlier = leaf.get(entry.httpMethod);
    if (earlier !== undefined) mistakes.push(conflict(earlier, entry));
    else leaf.set(entry.httpMethod, entry);
    if (entry.template.verb !== "") verbs.add(entry.template.verb);
  }
  if (mistakes.length > 0) throw new RouteConflict(mistakes);
  return { entries, match: (httpMethod, path) => match(root, verbs, options, httpMethod, path) };
}

function match<T>(
  root: Node<T>,
  verbs: ReadonlySet<string>,
  { multiSegment = "slash", trailingSlash = "refuse" }: MatchOptions,
  httpMethod: string,
  path: string,
): RouteMatch<T> {
  const reason = malformed(path);
  if (reason !== undefined) return { kind: "malformed", reason };
  const raw = path === "/" ? [] : path.slice(1).split("/");
  if (raw.length > 0 && raw.at(-1) === "") {
    if (trailingSlash === "refuse") return { kind: "not-found" };
    raw.pop();
    if (raw.at(-1) === "") return { kind: "not-found" };
  }
  const allowed = new Set<string>();
  const last = raw.at(-1) ?? "";
  const colon = last.lastIndexOf(":");
  if (colon >= 0) {
    const verb = decodeURIComponent(last.slice(colon + 1));
    if (verbs.has(verb)) {
      // An empty rest is `/a/:verb`, an empty last segment, unless the path is only the verb.
      const segments = [...raw.slice(0, -1), last.slice(0, colon)];
      const found = colon === 0 ? undefined : new Search<T>(segments, verb, httpMethod, allowed).walk(root, 0);
      if (found !== undefined)
        return { kind: "found", entry: found, values: valuesOf(found.template, segments, kept[multiSegment]) };
    }
  }
  const found = new Search<T>(raw, "", httpMethod, allowed).walk(root, 0);
  if (found !== undefined) return { kind: "found", entry: found, values: valuesOf(found.template, raw, kept[multiSegment]) };
  if (allowed.size === 0) return { kind: "not-found" };
  if (allowed.has("GET")) allowed.add("HEAD");
  allowed.add("OPTIONS");
  return { kind: "other-methods", allow: [...allowed].sort() };
}

class Search<T> {
  readonly #raw: readonly string[];
  readonly #verb: string;
  readonly #httpMethod: string;
  readonly #allowed: Set<string>;

  constructor(raw: readonly string[], verb: string, httpMethod: string, allowed: Set<string>) {
    this.#raw = raw;
    this.#verb = verb;
    this.#httpMethod = httpMethod;
    this.#allowed = allowed;
  }

  walk(node: Node<T>, at: number): RouteEntry<T> | undefined {
    const raw = this.#raw[at];
    if (raw === undefined) return this.#serve(node.leaves) ?? this.#below(node, at);
    const literal = node.literals.size === 0 ? undefined : node.literals.get(decode(raw));
    const byLiteral = literal === undefined ? undefined : this.walk(literal, at + 1);
    if (byLiteral !== undefined) return byLiteral;
    const byAny = node.any === undefined || raw === "" ? undefined : this.walk(node.any, at + 1);
    return byAny ?? this.#below(node, at);
  }

  #below(node: Node<T>, at: number): RouteEntry<T> | undefined {
    for (const { suffix, leaves } of node.deep) {
      const from = this.#raw.length - suffix.length;
      if (from < at || !suffix.every((literal, index) => decode(this.#raw[from + index] ?? "") === literal)) continue;
      const found = this.#serve(leaves);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #serve(leaves: Leaves<T>): RouteEntry<T> | undefined {
    const leaf = leaves.get(this.#verb);
    if (leaf === undefined) return undefined;
    const entry = leaf.get(this.#httpMethod) ?? leaf.get("*") ?? (this.#httpMethod === "HEAD" ? leaf.get("GET") : undefined);
    if (entry === undefined) for (const method of leaf.keys()) this.#allowed.add(method);
    return entry;
  }
}

function valuesOf(template: PathTemplate, raw: readonly string[], kept: RegExp | undefined): string[] {
  // What "**" takes beyond one segment moves all that stands behind it.
  const stretch = raw.length - template.segments.length;
  const deep = stretch === 0 ? raw.length : template.segments.findIndex(({ kind }) => kind === "deep");
  return template.variables.map((variable) => {
    const { first, count } = variable;
    const end = first + count;
    return boundText(variable, raw.slice(first > deep ? first + stretch : first, end > deep ? end + stretch : end), kept);
  });
}

/** The escapes that stay in variables of several segments. A slash that was escaped is part of a segment; decoded, it would read as a boundary between two. */
const kept: Readonly<Record<NonNullable<MatchOptions["multiSegment"]>, RegExp | undefined>> = {
  slash: /(%2F)/i,
  // : / ? # [ ] @ ! $ & ' ( ) * + , ; =
  reserved: /(%(?:3A|2F|3F|23|5B|5D|40|2[14]|2[6-9A-C]|3B|3D))/i,
  all: undefined,
};

function boundText(variable: TemplateVariable, segments: readonly string[], kept: RegExp | undefined): string {
  if (!variable.multi) return decode(segments[0] ?? "");
  const bound = segments.join("/");
  if (!bound.includes("%")) return bound;
  if (kept === undefined) return decode(bound);
  return bound
    .split(kept)
    .map((part, index) => (index % 2 === 1 ? part : decodeURIComponent(part)))
    .join("");
}

function malformed(path: string): string | undefined {
  if (!path.startsWith("/")) return `path: expected it to start with a slash, got ${JSON.stringify(path.slice(0, 50))}`;
  const outside = path.search(/[^\x21-\x7e]|#/);
  if (outside >= 0) return `path: expected percent escapes for all but ASCII at character ${outside + 1}`;
  if (!path.includes("%")) return undefined;
  const broken = path.search(/%(?![0-9A-Fa-f]{2})/);
  if (broken >= 0) {
    const got = JSON.stringify(path.slice(broken, broken + 3));
    return `path: expected two hexadecimal digits after "%" at character ${broken + 1}, got ${got}`;
  }
  try {
    decodeURIComponent(path);
    return undefined;
  } catch {
    return "path: expected percent escapes that are UTF-8, got bytes that are not";
  }
}

/** Only for text that `malformed` let through. */
function decode(raw: string): string {
  return raw.includes("%") ? decodeURIComponent(raw) : raw;
}

function newNode<T>(): Node<T> {
  return { literals: new Map(), any: undefined, deep: [], leaves: new Map() };
}

function leavesFor<T>(root: Node<T>, segments: readonly Segment[]): Leaves<T> {
  let node = root;
  for (const [index, segment] of segments.entries()) {
    if (segment.kind === "deep") return deepLeaves(node, segments.slice(index + 1));
    if (segment.kind === "any") {
      node.any ??= newNode();
      node = node.any;
      continue;
    }
    let next = node.literals.get(segment.value);
    if (next === undefined) {
      next = newNode();
      node.literals.set(segment.value, next);
    }
    node = next;
  }
  return node.leaves;
}

function deepLeaves<T>(node: Node<T>, after: readonly Segment[]): Leaves<T> {
  const suffix = after.map((segment) => (segment.kind === "literal" ? segment.value : ""));
  const known = node.deep.find((other) => other.suffix.join("/") === suffix.join("/"));
  if (known !== undefined) return known.leaves;
  const leaves: Leaves<T> = new Map();
  node.deep.push({ suffix, leaves });
  node.deep.sort((a, b) => b.suffix.length - a.suffix.length);
  return leaves;
}

function leafFor<T>(leaves: Leaves<T>, verb: string): Map<string, RouteEntry<T>> {
  let leaf = leaves.get(verb);
  if (leaf === undefined) {
    leaf = new Map();
    leaves.set(verb, leaf);
  }
  return leaf;
}

function conflict<T>(earlier: RouteEntry<T>, later: RouteEntry<T>): string {
  const both =
    earlier.template.text === later.template.text
      ? `"${later.template.text}"`
      : `"${earlier.template.text}" and "${later.template.text}" (both ${shapeOf(later.template)})`;
  return `${earlier.owner} and ${later.owner} both map ${later.httpMethod} ${both}: one request cannot reach two methods`;
}
