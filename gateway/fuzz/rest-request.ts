/** A message as the REST request that a route makes it of: what a careful client would send. */
import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import { stringifyExact } from "../exact-json.ts";
import type { Route } from "../routes.ts";
import { type MessageOptions, randomMessage } from "./messages.ts";
import type { Random } from "./random.ts";
import { isText } from "./template.ts";
import { randomEnum, randomScalar } from "./values.ts";

/** A request, and the message that it stands for. */
export interface RestRequest {
  readonly httpMethod: string;
  /** The raw path and query. */
  readonly target: string;
  readonly contentType: string;
  readonly body: string | Uint8Array;
  readonly message: Message;
}

/** Makes a random message that the route can carry, and its request. The path and query are short enough for a head. */
export function restRequest(options: MessageOptions, route: Route): RestRequest {
  for (let share = options.share ?? 0.5; ; share /= 2) {
    const request = make({ ...options, share }, route);
    if (request.target.length < 8000) return request;
  }
}

/** The value of the body's field, or the message, of another message of a stream: nothing of it stands in path or query. */
export function streamItem(options: MessageOptions, route: Route): { readonly message: Message; readonly body: string } {
  const { input } = route.method;
  const registry = options.types;
  const json = toJson(input, randomMessage(options, input), { registry }) as JsonObject;
  const { body } = route;
  if (body.kind !== "field") return { message: fromJson(input, json, { registry }), body: stringifyExact(json) };
  const value = json[body.field.jsonName] ?? emptyOf(body.field);
  return { message: fromJson(input, { [body.field.jsonName]: value }, { registry }), body: stringifyExact(value) };
}

function make(options: MessageOptions, route: Route): RestRequest {
  const { random, types: registry } = options;
  const { input } = route.method;
  const json = toJson(input, randomMessage(options, input), { registry, useProtoFieldName: true }) as JsonObject;
  const texts = route.variables.map((fields, index) => {
    const value = variableText(random, route, index, registry);
    place(json, fields, value.json);
    return value.raw;
  });
  const { body, maskField } = route;
  const kept = body.kind === "whole" ? json : pruned(input, json, body.kind === "field" ? body.field.name : undefined);
  const bytes = body.kind === "field" && isBytes(body.field.message, body.field);
  const field = body.kind === "field" ? body.field : undefined;
  if (field !== undefined && bytes)
    place(kept, [field], { content_type: "application/x-test", data: Buffer.from("ä\u0000").toString("base64") });
  else if (field !== undefined && kept[field.name] === undefined) place(kept, [field], emptyOf(field));
  if (maskField !== undefined && (kept[maskField.name] ?? "") === "") place(kept, [maskField], "someField,other.name");
  const inQuery = body.kind === "whole" ? {} : without(kept, [...route.variables, ...(field === undefined ? [] : [[field]])]);
  const query = pairsOf(random, input, inQuery, "").join("&");
  return {
    httpMethod: route.httpMethod === "*" ? "POST" : route.httpMethod,
    target: `${pathOf(route, texts)}${query === "" ? "" : `?${query}`}`,
    contentType: body.kind === "none" ? "" : bytes ? "application/x-test" : "application/json",
    body:
      body.kind === "none"
        ? ""
        : bytes
          ? Buffer.from("ä\u0000")
          : stringifyExact(field === undefined ? kept : (kept[field.name] ?? null)),
    message: fromJson(input, kept, { registry }),
  };
}

function isBytes(type: DescMessage | undefined, field: DescField): boolean {
  return field.fieldKind === "message" && type?.typeName === "google.api.HttpBody";
}

/** The least JSON that a field takes as set. */
function emptyOf(field: DescField): JsonValue {
  if (field.fieldKind === "list") return [];
  if (field.fieldKind === "map") return {};
  if (field.enum !== undefined) return field.enum.values[0]?.name ?? 0;
  const own: Readonly<Record<string, JsonValue>> = {
    Timestamp: "1970-01-01T00:00:00Z",
    Duration: "0s",
    FieldMask: "",
    ListValue: [],
  };
  if (field.message !== undefined && !field.message.typeName.endsWith("Value")) return own[field.message.name] ?? {};
  return field.scalar === 9 || field.scalar === 12
    ? ""
    : field.scalar === 8
      ? false
      : field.message?.name === "StringValue"
        ? ""
        : 0;
}

/** Sets a value, the messages above it and nothing else of their oneofs. */
function place(json: JsonObject, fields: readonly DescField[], value: JsonValue): void {
  let target = json;
  for (const [index, field] of fields.entries()) {
    for (const other of field.oneof?.fields ?? []) if (other !== field) delete target[other.name];
    if (index === fields.length - 1) target[field.name] = value;
    else {
      target[field.name] ??= {};
      target = target[field.name] as JsonObject;
    }
  }
}

/** What a query can say of a message, and all of one field. */
function pruned(type: DescMessage, json: JsonObject, whole: string | undefined): JsonObject {
  const kept: JsonObject = {};
  for (const [name, value] of Object.entries(json)) {
    const field = type.fields.find((candidate) => candidate.name === name);
    if (field === undefined) continue;
    const leaf = field.message === undefined || isText(field.message);
    if (leaf || name === whole) kept[name] = value;
    else if (field.fieldKind === "message" && !/^google\.protobuf\.(Any|Struct|Value|ListValue)$/.test(field.message.typeName)) {
      const below = pruned(field.message, value as JsonObject, undefined);
      if (Object.keys(below).length > 0) kept[name] = below;
    }
  }
  return kept;
}

/** A copy without what stands elsewhere in the request. */
function without(json: JsonObject, paths: readonly (readonly DescField[])[]): JsonObject {
  const copy = structuredClone(json);
  for (const fields of paths) {
    let target: JsonObject | undefined = copy;
    for (const { name } of fields.slice(0, -1)) target = target?.[name] as JsonObject | undefined;
    delete target?.[fields.at(-1)?.name ?? ""];
  }
  return copy;
}

function pairsOf(random: Random, type: DescMessage, json: JsonObject, prefix: string): string[] {
  return Object.entries(json).flatMap(([name, value]) => {
    const field = type.fields.find((candidate) => candidate.name === name);
    if (field === undefined) throw new Error(`no field ${name}`);
    // A JSON name with a point in it cannot stand in a query.
    const spelled = prefix + (random.chance(0.5) && !field.jsonName.includes(".") ? field.jsonName : name);
    if (field.fieldKind === "list") return (value as JsonValue[]).map((item) => pair(spelled, item));
    if (field.fieldKind === "map")
      return Object.entries(value as JsonObject).map(([key, item]) => pair(`${spelled}[${key}]`, item));
    if (field.message !== undefined && !isText(field.message))
      return pairsOf(random, field.message, value as JsonObject, `${spelled}.`);
    return [pair(spelled, value)];
  });
}

function pair(name: string, value: JsonValue): string {
  const written = value === null ? "NULL_VALUE" : Object.is(value, -0) ? "-0" : String(value);
  return `${encodeURIComponent(name)}=${encodeURIComponent(written)}`;
}

/** A value for a variable: as it stands in the path, and as JSON. */
function variableText(random: Random, { template, variables }: Route, index: number, registry: MessageOptions["types"]) {
  const variable = template.variables[index];
  const leaf = variables[index]?.at(-1);
  if (variable === undefined || leaf === undefined) throw new Error("no such variable");
  const own = template.segments.slice(variable.first, variable.first + variable.count);
  if (leaf.message === undefined && leaf.enum === undefined && leaf.scalar === 9) {
    const segments = own.flatMap((segment) => {
      if (segment.kind === "literal") return [segment.value];
      return random.times(segment.kind === "any" ? 1 : random.below(3), () =>
        random.pick(["x", "a b", "ä", "1:2", "%", "~", "u-7"]),
      );
    });
    return { raw: segments.map(encodeURIComponent).join("/"), json: segments.join("/") };
  }
  const json =
    leaf.message === undefined
      ? scalarJson(random, leaf)
      : toJson(leaf.message, randomMessage({ random, types: registry }, leaf.message));
  const written = Object.is(json, -0) ? "-0" : String(json);
  // A path has no empty segment.
  return written === "" ? variableEmpty(leaf) : { raw: encodeURIComponent(written), json };
}

function variableEmpty(leaf: DescField): { raw: string; json: JsonValue } {
  return leaf.message?.name === "FieldMask" ? { raw: "a", json: "a" } : { raw: "AAE", json: "AAE=" };
}

function scalarJson(random: Random, field: DescField): JsonValue {
  if (field.enum !== undefined) return field.enum.value[randomEnum(random, field.enum)]?.name ?? 0;
  const value = field.scalar === undefined ? 0 : randomScalar(random, field.scalar);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (typeof value === "bigint") return String(value);
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

function pathOf({ template }: Route, texts: readonly string[]): string {
  const parts: string[] = [];
  for (let at = 0; at < template.segments.length; at++) {
    const index = template.variables.findIndex(({ first }) => first === at);
    const segment = template.segments[at];
    if (index >= 0) {
      const raw = texts[index] ?? "";
      if (raw !== "") parts.push(raw);
      at += (template.variables[index]?.count ?? 1) - 1;
    } else parts.push(segment?.kind === "literal" ? encodeURIComponent(segment.value) : "any");
  }
  return `/${parts.join("/")}${template.verb === "" ? "" : `:${encodeURIComponent(template.verb)}`}`;
}
