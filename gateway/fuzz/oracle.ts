/**
 * What the gateway must do with a request, found without any of its code: the path by trying every rule, the query and the path as JSON, all
 * of it merged into one JSON object, and that read by protobuf-es's fromJson.
 */
import { type DescField, type DescMessage, fromBinary, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { canonical } from "./canonical.ts";
import type { MadeContract, MadeRule } from "./contract.ts";
import { isObject, parseTree, Refused, type Tree, Unknowable } from "./json-tree.ts";
import { naiveMatch } from "./naive-match.ts";
import { mergeQuery, put, textTree, valueAt } from "./naive-query.ts";
import { isWrapper, type Plain, type PlainObject, plainObject, strictField, strictMessage, takesNull } from "./strict-json.ts";
import { checkWire } from "./strict-wire.ts";

/** A request as the client sends it. */
export interface FuzzRequest {
  readonly httpMethod: string;
  /** The raw path. */
  readonly path: string;
  /** The raw query without its `?`; undefined: none. */
  readonly query: string | undefined;
  /** The Content-Type header; empty: none. */
  readonly contentType: string;
  readonly body: Uint8Array;
}

/** What must become of it. */
export type Expectation =
  /** The backend gets this very message. */
  | { readonly kind: "call"; readonly rule: MadeRule; readonly input: DescMessage; readonly bytes: Uint8Array }
  /** Nobody is called. */
  | { readonly kind: "refusal"; readonly status: number; readonly allow?: string; readonly why: string }
  /** Anything but a 5xx. */
  | { readonly kind: "any"; readonly why: string };

/** The expectation. */
export function expectationOf(contract: MadeContract, request: FuzzRequest): Expectation {
  const found = naiveMatch(contract.rules, request.httpMethod, request.path);
  if (found.kind === "malformed") return { kind: "refusal", status: 400, why: "malformed path" };
  if (found.kind === "not-found") return { kind: "refusal", status: 404, why: "no rule" };
  if (found.kind === "other-methods") {
    const status = request.httpMethod === "OPTIONS" ? 204 : 405;
    return { kind: "refusal", status, allow: found.allow.join(", "), why: "other methods" };
  }
  const { rule, values } = found;
  const input = contract.messages.get(rule.method);
  if (input === undefined) throw new Error(`no method ${rule.method}`);
  const bodyField = input.fields.find(({ name }) => name === rule.body);
  const mediaType = (request.contentType.split(";")[0] ?? "").trim().toLowerCase();
  const json = mediaType === "" || mediaType === "application/json";
  const anyType = rule.body === "" || isBytes(bodyField);
  if (request.body.length > 0 && !json && mediaType !== protobuf && !anyType) {
    return { kind: "refusal", status: 415, why: `media type ${mediaType}` };
  }
  try {
    const { types } = contract;
    if (mediaType === protobuf && rule.body !== "" && !anyType) checkWire(bodyField?.message ?? input, request.body);
    const merged = merge({ contract, request, rule, values, input, bodyField, binary: mediaType === protobuf });
    const message = fromJson(input, merged as JsonValue, { registry: types, recursionLimit: 1000 });
    return { kind: "call", rule, input, bytes: toBinary(input, message) };
  } catch (error) {
    if (error instanceof Unknowable) return { kind: "any", why: error.message };
    // What fromJson does not take, the gateway must not take either.
    return { kind: "refusal", status: 400, why: `${error}` };
  }
}

/** One HttpBody, and not a list or map of them. */
function isBytes(field: DescField | undefined): boolean {
  return field?.fieldKind === "message" && field.message.typeName === "google.api.HttpBody";
}

const protobuf = "application/x-protobuf";

interface Parts {
  readonly contract: MadeContract;
  readonly request: FuzzRequest;
  readonly rule: MadeRule;
  readonly values: ReadonlyMap<string, string>;
  readonly input: DescMessage;
  readonly bodyField: DescField | undefined;
  readonly binary: boolean;
}

function merge(parts: Parts): PlainObject {
  const { contract, request, rule, values, input } = parts;
  const { plain: merged, tree } = bodyOf(parts);
  const given = structuredClone(merged);
  const path = new Map([...values].map(([name, text]) => [name, { fields: fieldsOf(input, name), text }]));
  const inBody = ([first]: readonly DescField[]) => rule.body === "*" || first?.name === rule.body;
  mergeQuery(input, request.query ?? "", merged, (fields, value) => {
    const own = path.get(nameOf(fields));
    if (own !== undefined) {
      const leaf = fields.at(-1);
      if (leaf === undefined || !isSame(leaf, textTree(leaf, value), textTree(leaf, own.text), contract))
        throw new Refused("path and query differ");
      return "skip";
    }
    if (inBody(fields)) throw new Refused("belongs to the body");
    return "set";
  });
  for (const { fields, text } of path.values()) {
    const leaf = fields.at(-1);
    if (leaf === undefined) continue;
    const value = strictField(leaf, textTree(leaf, text), contract.types);
    const sent = valueAt(given, fields);
    if (sent !== undefined && !isSamePlain(leaf, sent, value, contract)) throw new Refused("path and body differ");
    put(input, merged, fields, value);
  }
  fillMask(parts, merged, tree);
  return merged;
}

/** The request message's JSON as the body alone makes it, and the JSON that was sent. */
function bodyOf({ contract, request, rule, input, bodyField, binary }: Parts): { plain: PlainObject; tree: Tree | undefined } {
  const { body, contentType } = request;
  const { types } = contract;
  const plain = plainObject();
  if (rule.body === "") {
    if (body.length > 0) throw new Refused("a body, and none is mapped");
    return { plain, tree: undefined };
  }
  if (bodyField !== undefined && isBytes(bodyField)) {
    const raw = {
      content_type: contentType === "" ? "application/octet-stream" : contentType,
      data: Buffer.from(body).toString("base64"),
    };
    plain[bodyField.name] = Object.assign(plainObject(), raw);
    return { plain, tree: undefined };
  }
  if (body.length === 0) return { plain, tree: undefined };
  if (binary) {
    const type = bodyField === undefined ? input : bodyField.fieldKind === "message" ? bodyField.message : undefined;
    if (type === undefined) throw new Refused("no message");
    const message = fromBinary(type, body, { readUnknownFields: false });
    let written: Plain;
    try {
      const json = toJson(type, message, { registry: types }) as JsonValue;
      written = strictMessage(type, parseTree(Buffer.from(JSON.stringify(json))), types);
    } catch (error) {
      throw new Unknowable(`${error}`);
    }
    // JSON has no NullValue but null, and JSON.stringify no -0.
    const read = fromJson(type, written as JsonValue, { registry: types, recursionLimit: 1000 });
    if (canonical(read, types) !== canonical(message, types)) throw new Unknowable("more than JSON can say");
    if (bodyField === undefined) return { plain: written as PlainObject, tree: undefined };
    plain[bodyField.name] = written;
    return { plain, tree: undefined };
  }
  const tree = parseTree(body);
  if (bodyField === undefined) return { plain: strictMessage(input, tree, types) as PlainObject, tree };
  if (tree === null && !takesNull(bodyField)) throw new Refused("null as body");
  plain[bodyField.name] = strictField(bodyField, tree, types);
  return { plain, tree };
}

/** PATCH: an empty mask, the only one of the request, becomes the names of what was sent. */
function fillMask({ rule, input, bodyField }: Parts, merged: PlainObject, tree: Tree | undefined): void {
  const masks = input.fields.filter(({ message }) => message?.typeName === "google.protobuf.FieldMask");
  const [mask] = masks;
  if (rule.httpMethod !== "PATCH" || bodyField?.fieldKind !== "message" || masks.length !== 1 || mask?.fieldKind !== "message")
    return;
  if (hasOwnForm(bodyField.message)) return;
  // A mask that is a member of a oneof stands for another choice when that has been made.
  if (mask.oneof?.fields.some(({ name }) => name !== mask.name && Object.hasOwn(merged, name)) === true) return;
  if (typeof merged[mask.name] === "string" && merged[mask.name] !== "") return;
  const paths = isObject(tree) ? pathsOf(bodyField.message, tree, "") : [];
  if (paths.length === 0) throw new Refused("nothing to change");
  if (paths.some((path) => /_([^a-z]|$)|[A-Z]|(^|\.)_/.test(path))) throw new Unknowable(`the mask ${paths.join()}`);
  merged[mask.name] = paths.map((path) => path.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())).join(",");
}

function pathsOf(type: DescMessage, tree: { readonly [key: string]: Tree }, prefix: string): string[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const field = type.fields.find(({ jsonName, name }) => jsonName === key || name === key);
    if (field === undefined) return [];
    const below = field.fieldKind === "message" && !hasOwnForm(field.message) && isObject(value) && Object.keys(value).length > 0;
    return below ? pathsOf(field.message, value, `${prefix}${field.name}.`) : [`${prefix}${field.name}`];
  });
}

/** Types whose JSON is not an object of their fields. */
function hasOwnForm(type: DescMessage): boolean {
  return (
    isWrapper(type) ||
    /^google\.protobuf\.(Timestamp|Duration|FieldMask|Struct|Value|ListValue|Any)$|^google\.api\.HttpBody$/.test(type.typeName)
  );
}

function fieldsOf(input: DescMessage, path: string): DescField[] {
  const fields: DescField[] = [];
  let type: DescMessage | undefined = input;
  for (const name of path.split(".")) {
    const field: DescField | undefined = type?.fields.find((candidate) => candidate.name === name);
    if (field === undefined) throw new Error(`no field ${path}`);
    fields.push(field);
    type = field.message;
  }
  return fields;
}

function nameOf(fields: readonly DescField[]): string {
  return fields.map(({ name }) => name).join(".");
}

function isSame(field: DescField, a: Tree, b: Tree, contract: MadeContract): boolean {
  return isSamePlain(field, strictField(field, a, contract.types), strictField(field, b, contract.types), contract);
}

function isSamePlain(field: DescField, a: Plain, b: Plain, { types }: MadeContract): boolean {
  const read = (plain: Plain) => {
    const message = reflect(
      field.parent,
      fromJson(field.parent, { [field.name]: plain } as JsonValue, { registry: types }),
      false,
    );
    const value: unknown = message.get(field);
    if (field.message !== undefined)
      return Buffer.from(toBinary(field.message, (value as { message: never }).message)).toString("hex");
    return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
  };
  return Object.is(read(a), read(b));
}
