/**
 * Step 4: path, query and body become the request message, by google/api/http.proto, strictly: what the contract does not
 * say, what is said twice with different values, and what would be lost is a mistake that the answer names.
 */
import { create, type DescField, equals, fromBinary, type Message, type Registry } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { maxWeight, tooHeavy, wireWeight } from "#mesh/net/weight.ts";
import { readBytes, singleType } from "./http-body.ts";
import { type Json, JsonError, parsingJson } from "./json.ts";
import { takesNull } from "./message-plan.ts";
import { claimOneof, fieldNamed, type Reading, readingField, readingMessage } from "./proto-json.ts";
import { parseQuery, pathOf, type QueryTarget, readFieldText, resolveParameter } from "./query.ts";
import type { Route } from "./routes.ts";
import { atOnce } from "./slices.ts";
import { fillMask } from "./update-mask.ts";
import { Violations } from "./violations.ts";

/** A request as far as its message is concerned. */
export interface RequestParts {
  /** One decoded text for each variable of the route's template. */
  readonly pathValues: readonly string[];
  /** The raw query, without its `?`; empty when there is none. */
  readonly query: string;
  /** The body after its content encoding was undone; empty when there is none. */
  readonly body: Uint8Array;
  /** The body's media type in lower case without parameters; empty when the request names none. */
  readonly mediaType: string;
  /** The Content-Type header as it came; empty when there is none. */
  readonly contentType: string;
}

/** How to read. */
export interface DecodeOptions {
  /** The types that google.protobuf.Any may hold. */
  readonly types: Registry;
  /** True: names that the contract does not know are skipped. */
  readonly lenient: boolean;
}

/** The media type of a protobuf message on the wire. */
export const protobufType = "application/x-protobuf";

/**
 * Builds the request message.
 *
 * @throws INVALID_ARGUMENT with a google.rpc.BadRequest that names every mistake by its field path.
 */
export function decode(route: Route, parts: RequestParts, options: DecodeOptions): Message {
  return atOnce(decoding(route, parts, options));
}

/** The same with pauses, for bodies that take longer to read than other requests should wait. */
export function* decoding(route: Route, parts: RequestParts, options: DecodeOptions): Generator<void, Message> {
  const violations = new Violations();
  const reading: Reading = { ...options, violations, memory: memoryFor(parts.body) };
  const body = yield* readBody(route, parts, reading);
  const { message } = body;
  const path = route.variables.map((fields, index) => ({ fields, text: parts.pathValues[index] ?? "" }));
  bindQuery(route, parts.query, reading, message, path);
  for (const { fields, text } of path) bindPath(reading, body, fields, text);
  if (route.maskField !== undefined) fillMask(route, message, body.json, options.lenient, violations);
  violations.throwIfAny();
  return message.message;
}

/**
 * How many bytes of messages a byte of JSON may make. An empty message of a large type takes a thousand bytes and more, and
 * two of JSON, so that a body of them could take all the memory there is; bodies that say something stay far below.
 */
const memoryPerByte = 32;
const leastMemory = 64 * 2 ** 20;

/** What the messages of a body of JSON may take. */
export function memoryFor(body: Uint8Array): { left: number } {
  return { left: Math.max(leastMemory, body.length * memoryPerByte) };
}

/** The message as the body alone makes it, and the JSON that it came from. */
interface Body {
  readonly message: ReflectMessage;
  /** Whether the body gave the field, even with its default value. */
  gave(fields: readonly DescField[]): boolean;
  readonly json: Json | undefined;
}

function* readBody(route: Route, { body, mediaType, contentType }: RequestParts, reading: Reading): Generator<void, Body> {
  const message = reflect(route.method.input, create(route.method.input), false);
  const nothing: Body = { message, gave: () => false, json: undefined };
  const { violations } = reading;
  if (route.body.kind === "none") {
    if (body.length > 0) violations.expected("", "no body", `${body.length} bytes: the rule of this path maps none`);
    return nothing;
  }
  const field = route.body.kind === "field" ? route.body.field : undefined;
  const raw = readBytes(field === undefined ? route.method.input : singleType(field), body, contentType);
  if (raw !== undefined) return { ...nothing, message: place(message, field, raw), gave: (fields) => fields[0] === field };
  if (body.length === 0) return nothing;
  if (mediaType === protobufType) return { ...nothing, ...readBinary(message, field, body, violations) };
  const json = yield* readJson(body, violations);
  if (json === undefined) return nothing;
  if (field !== undefined) {
    if (json === null && !takesNull(field)) violations.expected(field.name, "a value as body", "null");
    yield* readingField(reading, message, field, json, field.name);
    return { message, json, gave: ([first, ...rest]) => first === field && has(json, rest) };
  }
  const read = yield* readingMessage(reading, route.method.input, json, "");
  return { message: read ?? message, json, gave: (fields) => has(json, fields) };
}

function* readJson(body: Uint8Array, violations: Violations): Generator<void, Json | undefined> {
  let text: string;
  try {
    text = utf8.decode(body);
  } catch {
    return violations.expected("", "a body in UTF-8", "bytes that are not");
  }
  try {
    return yield* parsingJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    violations.add("", `body: ${error.message}`);
    return undefined;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function readBinary(message: ReflectMessage, field: DescField | undefined, body: Uint8Array, violations: Violations) {
  const type = field === undefined ? message.desc : field.fieldKind === "message" ? field.message : undefined;
  if (type === undefined) {
    violations.add(field?.name ?? "", `a body of ${protobufType} is a message, and this field is none; send JSON`);
    return {};
  }
  try {
    if (wireWeight(type, body) > maxWeight) {
      violations.add(field?.name ?? "", `the values ${tooHeavy}`);
      return {};
    }
    // Fields that the contract does not know are refused in JSON; here they end at the gateway, and take no memory.
    const placed = place(message, field, fromBinary(type, body, { readUnknownFields: false }));
    return { message: placed, gave: (fields: readonly DescField[]) => isSet(placed, fields) };
  } catch {
    violations.expected(field?.name ?? "", `${type.typeName} in the protobuf wire format`, `${body.length} bytes that are none`);
    return {};
  }
}

function place(message: ReflectMessage, field: DescField | undefined, value: Message): ReflectMessage {
  if (field?.message === undefined) return reflect(message.desc, value, false);
  message.set(field, reflect(field.message, value, false));
  return message;
}

interface PathValue {
  readonly fields: readonly DescField[];
  readonly text: string;
}

function bindQuery(route: Route, query: string, reading: Reading, message: ReflectMessage, path: readonly PathValue[]): void {
  const { violations, lenient } = reading;
  const given = new Set<string>();
  for (const { name, value } of parseQuery(query, violations)) {
    const target = resolveParameter(route.method.input, name, violations, lenient);
    if (target === undefined) continue;
    const at = pathOf(target.fields);
    const inPath = path.find(({ fields }) => pathOf(fields) === at);
    const slot = target.key === undefined ? at : `${at}[${String(target.key)}]`;
    const repeated = target.fields.at(-1)?.fieldKind === "list";
    if (given.has(slot) && !repeated) violations.add(slot, "given twice in the query, and it holds one value");
    else if (inPath !== undefined) samePathValue(inPath, value, reading);
    else if (isBodys(route, target)) {
      if (!lenient) violations.add(at, "belongs to the body, and so cannot stand in the query");
    } else bindParameter(message, target, value, slot, violations);
    given.add(slot);
  }
}

function isBodys(route: Route, target: QueryTarget): boolean {
  return route.body.kind === "whole" || (route.body.kind === "field" && target.fields[0] === route.body.field);
}

function samePathValue({ fields, text }: PathValue, value: string, { violations, lenient }: Reading): void {
  const field = fields.at(-1);
  if (field === undefined || lenient) return;
  const at = pathOf(fields);
  const [ofQuery, ofPath] = [readFieldText(field, value, at, violations), readFieldText(field, text, at, new Violations())];
  if (ofQuery === undefined || ofPath === undefined || same(field, ofQuery, ofPath)) return;
  violations.add(at, "set in the path and, to another value, in the query");
}

function bindParameter(
  root: ReflectMessage,
  { fields, key }: QueryTarget,
  text: string,
  slot: string,
  violations: Violations,
): void {
  const field = fields.at(-1);
  if (field === undefined) return;
  const value = readFieldText(field, text, slot, violations);
  const message = parentOf(root, fields, violations);
  if (value === undefined || message === undefined || !claimOneof(violations, message, field, slot)) return;
  if (field.fieldKind === "list") message.get(field).add(wrapped(field, value));
  else if (field.fieldKind === "map") message.get(field).set(key, wrapped(field, value));
  else message.set(field, wrapped(field, value));
}

function bindPath({ violations, lenient }: Reading, body: Body, fields: readonly DescField[], text: string): void {
  const field = fields.at(-1);
  if (field === undefined) return;
  const at = pathOf(fields);
  const value = readFieldText(field, text, at, violations);
  const message = parentOf(body.message, fields, violations);
  if (value === undefined || message === undefined || !claimOneof(violations, message, field, at)) return;
  if (!lenient && body.gave(fields) && !same(field, value, unwrapped(field, message.get(field)))) {
    violations.add(at, "set in the path and, to another value, in the body");
  }
  message.set(field, wrapped(field, value));
}

/** The message that holds the last of the fields, made where it is not set yet. */
function parentOf(root: ReflectMessage, fields: readonly DescField[], violations: Violations): ReflectMessage | undefined {
  let message = root;
  for (const [index, field] of fields.slice(0, -1).entries()) {
    if (field.fieldKind !== "message") return undefined;
    if (!claimOneof(violations, message, field, pathOf(fields.slice(0, index + 1)))) return undefined;
    const next = message.get(field);
    if (!message.isSet(field)) message.set(field, next);
    message = next;
  }
  return message;
}

function isSet(root: ReflectMessage, fields: readonly DescField[]): boolean {
  let message = root;
  for (const [index, field] of fields.entries()) {
    if (!message.isSet(field)) return false;
    if (index < fields.length - 1 && field.fieldKind === "message") message = message.get(field);
  }
  return true;
}

/** Whether the JSON has the members on the way, none of them null. */
function has(json: Json, fields: readonly DescField[]): boolean {
  let value: Json | undefined = json;
  for (const field of fields) {
    if (!(value instanceof Map)) return false;
    value = [...value].find(([key]) => fieldNamed(field.parent, key) === field)?.[1];
  }
  return value !== undefined && value !== null;
}

function wrapped(field: DescField, value: unknown): unknown {
  return field.message === undefined ? value : reflect(field.message, value as Message);
}

function unwrapped(field: DescField, value: unknown): unknown {
  return field.message === undefined ? value : (value as ReflectMessage).message;
}

function same(field: DescField, a: unknown, b: unknown): boolean {
  if (field.message !== undefined) return equals(field.message, a as Message, b as Message);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  return Object.is(a, b);
}
