/** Partial answers: `fields=a,b.c` in the query keeps those fields of the answer and leaves all others out. */
import { create, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { invalidArgument } from "#mesh/errors.ts";
import type { Answer } from "./forward.ts";
import { isHttpBody } from "./http-body.ts";
import { fieldNamed } from "./proto-json.ts";
import type { Route } from "./routes.ts";
import { hasOwnJson } from "./well-known.ts";

/** The fields to keep, each with those to keep of it; undefined: all of it. */
type Tree = Map<DescField, Tree | undefined>;

/** What to keep of an answer. */
export interface Selection {
  /** The query without `fields`. */
  readonly query: string;
  /** Undefined: everything. */
  readonly tree: Tree | undefined;
}

/**
 * Takes `fields` out of a query. Names are those of JSON or of the contract; a path goes on through lists and maps of messages.
 * A request message that has a field of that name keeps the parameter to itself.
 *
 * @throws INVALID_ARGUMENT that names a path which the answer does not have.
 */
export function takeSelection(route: Route, query: string): Selection {
  if (!query.includes("fields") || fieldNamed(route.method.input, "fields") !== undefined) return { query, tree: undefined };
  const pairs = query.split("&");
  const asked = pairs.filter((pair) => pair === "fields" || pair.startsWith("fields="));
  if (asked.length === 0) return { query, tree: undefined };
  const type = answerType(route);
  const tree: Tree = new Map();
  for (const path of asked.flatMap((pair) => pathsOf(pair.slice("fields=".length)))) {
    if (path === "*") return { query: without(pairs), tree: undefined };
    add(tree, type, path);
  }
  return { query: without(pairs), tree };
}

/** The answer with what was selected of it. */
export function select({ tree }: Selection, route: Route, answer: Answer): Answer {
  if (tree === undefined) return answer;
  const keep = (message: Message) => keepAnswer(route, tree, message);
  if (answer.kind === "unary") return { ...answer, message: keep(answer.message) };
  // Not by spreading: some members of a stream's answer have values only at its end.
  const messages = { value: mapped(answer.messages, keep), enumerable: true };
  return Object.defineProperties({}, { ...Object.getOwnPropertyDescriptors(answer), messages }) as Answer;
}

function without(pairs: readonly string[]): string {
  return pairs.filter((pair) => pair !== "fields" && !pair.startsWith("fields=")).join("&");
}

function pathsOf(raw: string): string[] {
  try {
    return decodeURIComponent(raw.replaceAll("+", " "))
      .split(",")
      .map((path) => path.trim());
  } catch {
    throw refused(raw, "expected percent escapes that are UTF-8");
  }
}

/** The message that paths begin in; undefined for an answer without fields. */
function answerType({ responseField, method }: Route): DescMessage | undefined {
  const type = responseField === undefined ? method.output : responseField.message;
  return type === undefined || isHttpBody(type) ? undefined : type;
}

function add(root: Tree, answer: DescMessage | undefined, path: string): void {
  let tree = root;
  let type = answer;
  const names = path.split(".");
  for (const [index, name] of names.entries()) {
    const field = type === undefined || hasNoFields(type) ? undefined : fieldNamed(type, name);
    if (field === undefined)
      throw refused(path, type === undefined ? "the answer has no fields there" : `${type.typeName} has no such field`);
    const known = tree.has(field);
    const below = tree.get(field);
    if (index === names.length - 1) {
      tree.set(field, undefined);
      return;
    }
    // All of it was asked for before.
    if (known && below === undefined) return;
    const next: Tree = below ?? new Map();
    tree.set(field, next);
    tree = next;
    type = field.message;
  }
}

function hasNoFields(type: DescMessage): boolean {
  return hasOwnJson(type) || type.typeName === AnySchema.typeName;
}

function refused(path: string, description: string) {
  return invalidArgument([{ field: "fields", description: `${JSON.stringify(path.slice(0, 100))}: ${description}` }]);
}

function keepAnswer({ responseField, method }: Route, tree: Tree, message: Message): Message {
  return keepOf(method.output, responseField === undefined ? tree : new Map([[responseField, tree]]), message);
}

/** A new message that shares what it keeps with the old one. */
function keepOf(type: DescMessage, tree: Tree, message: Message): Message {
  const kept = create(type);
  const [from, to] = [message, kept] as unknown as [Record<string, unknown>, Record<string, unknown>];
  for (const [field, below] of tree) {
    if (field.oneof !== undefined) {
      const set = from[field.oneof.localName] as { case?: string; value?: unknown };
      if (set.case === field.localName) to[field.oneof.localName] = { case: set.case, value: keepValue(field, below, set.value) };
    } else if (Object.hasOwn(from, field.localName)) {
      to[field.localName] = keepValue(field, below, from[field.localName]);
    }
  }
  return kept;
}

function keepValue(field: DescField, below: Tree | undefined, value: unknown): unknown {
  const type = field.message;
  if (below === undefined || type === undefined || value === undefined) return value;
  if (field.fieldKind === "list") return (value as Message[]).map((item) => keepOf(type, below, item));
  if (field.fieldKind === "map") {
    return Object.fromEntries(
      Object.entries(value as Record<string, Message>).map(([key, item]) => [key, keepOf(type, below, item)]),
    );
  }
  return keepOf(type, below, value as Message);
}

async function* mapped(messages: AsyncIterable<Message>, change: (message: Message) => Message): AsyncGenerator<Message> {
  for await (const message of messages) yield change(message);
}
