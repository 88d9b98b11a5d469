/** A request's query, and the fields that it sets. */
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { fieldNamed } from "./proto-json.ts";
import { expectedEnum, expectedScalar, readEnumText, readMapKey, readScalarText, type Scalar } from "./scalar.ts";
import type { Violations } from "./violations.ts";
import { expectedOwn, isTextType, readText } from "./well-known.ts";

/** One `name=value` of a query, decoded. */
export interface QueryParameter {
  readonly name: string;
  readonly value: string;
}

/** How deep a name may reach into messages. */
const maxDepth = 32;

/** Reads a raw query (without its `?`); a `+` is a blank. Escapes that are not UTF-8 are mistakes. */
export function parseQuery(raw: string, violations: Violations): QueryParameter[] {
  const parameters: QueryParameter[] = [];
  for (const pair of raw.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const [name, value] = equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)];
    const [decodedName, decodedValue] = [decode(name), decode(value)];
    if (decodedName === undefined || decodedValue === undefined) {
      violations.expected(decodedName ?? name, "percent escapes that are UTF-8 in the query", "others");
    } else {
      parameters.push({ name: decodedName, value: decodedValue });
    }
  }
  return parameters;
}

/** Where a parameter's value goes. */
export interface QueryTarget {
  /** The way from the request message to the field. */
  readonly fields: readonly DescField[];
  /** The key, for `labels[k]=v`. */
  readonly key: Scalar | undefined;
}

/** The field that a parameter's name stands for: `page_size`, `a.b.c`, `labels[k]`. Undefined, and a mistake, for none. */
export function resolveParameter(
  type: DescMessage,
  name: string,
  violations: Violations,
  lenient: boolean,
): QueryTarget | undefined {
  const bracket = name.endsWith("]") ? name.indexOf("[") : -1;
  const names = (bracket < 0 ? name : name.slice(0, bracket)).split(".");
  if (names.length > maxDepth) {
    violations.add(name, `a query parameter reaches at most ${maxDepth} messages deep`);
    return undefined;
  }
  const fields: DescField[] = [];
  let message: DescMessage | undefined = type;
  for (const part of names) {
    const field: DescField | undefined = message === undefined ? undefined : fieldNamed(message, part);
    if (field === undefined) {
      if (!lenient) violations.add(name, unknown(message, type));
      return undefined;
    }
    fields.push(field);
    message = field.fieldKind === "message" && !isTextType(field.message) ? field.message : undefined;
  }
  const leaf = fields.at(-1);
  if (leaf === undefined) return undefined;
  const at = pathOf(fields);
  if (leaf.fieldKind === "map")
    return bracket < 0 ? wants(violations, at, leaf) : mapTarget(fields, leaf, name.slice(bracket + 1, -1), violations);
  if (bracket >= 0) return violations.expected(name, `${at} without brackets, since it is no map`, JSON.stringify(name));
  return leaf.message !== undefined && !isTextType(leaf.message) ? wants(violations, at, leaf) : { fields, key: undefined };
}

/** Reads the text of a path or query as one value of the field; undefined, and a mistake, when it is none. */
export function readFieldText(
  field: DescField,
  text: string,
  path: string,
  violations: Violations,
): Scalar | Message | undefined {
  const got = field.proto.options?.debugRedact === true ? "something else (not shown)" : cut(text);
  if (field.message !== undefined) {
    return readText(field.message, text) ?? violations.expected(path, expectedOwn(field.message), got);
  }
  if (field.enum !== undefined) {
    return readEnumText(field.enum, text) ?? violations.expected(path, expectedEnum(field.enum), got);
  }
  return readScalarText(field.scalar, text) ?? violations.expected(path, expectedScalar(field.scalar), got);
}

/** The field path by the contract's names: `a.b.c`. */
export function pathOf(fields: readonly DescField[]): string {
  return fields.map((field) => field.name).join(".");
}

function mapTarget(
  fields: readonly DescField[],
  leaf: DescField & { fieldKind: "map" },
  text: string,
  violations: Violations,
): QueryTarget | undefined {
  if (leaf.message !== undefined && !isTextType(leaf.message)) return wants(violations, pathOf(fields), leaf);
  const key = readMapKey(leaf.mapKey, text);
  if (key !== undefined) return { fields, key };
  return violations.expected(`${pathOf(fields)}[${text}]`, `a key that is ${expectedScalar(leaf.mapKey)}`, cut(text));
}

function wants(violations: Violations, at: string, leaf: DescField): undefined {
  if (leaf.fieldKind === "map" && leaf.message === undefined) {
    violations.add(at, `a query sets an entry of a map as ${at}[key]=value`);
  } else {
    const kind = leaf.fieldKind === "list" ? "repeated messages" : leaf.fieldKind === "map" ? "a map of messages" : "a message";
    const way =
      leaf.fieldKind === "message"
        ? `name one of its fields, as ${at}.${leaf.message.fields[0]?.name ?? "field"}`
        : "send it in a body";
    violations.add(at, `is ${kind}, which no query parameter can be; ${way}`);
  }
  return undefined;
}

function unknown(message: DescMessage | undefined, type: DescMessage): string {
  if (message === undefined || message !== type)
    return `unknown query parameter: ${(message ?? type).typeName} has no such field`;
  const names = type.fields.slice(0, 12).map((field) => field.name);
  const known = names.length === 0 ? "no parameters" : `${names.join(", ")}${type.fields.length > 12 ? ", ..." : ""}`;
  return `unknown query parameter: expected ${known}`;
}

function cut(text: string): string {
  return JSON.stringify(text.length > 50 ? `${text.slice(0, 50)}...` : text);
}

function decode(text: string): string | undefined {
  const spaced = text.replaceAll("+", " ");
  // Node hands bytes beyond ASCII over as Latin-1; they are no valid query, and decoding would keep them as they are.
  if (/[^\x20-\x7e]/.test(spaced)) return undefined;
  if (!spaced.includes("%")) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return undefined;
  }
}
