/** Step 6: what a backend answered, as HTTP: the head and body of a unary answer. Streams are in stream.ts. */
import { promisify } from "node:util";
import { brotliCompress, constants, deflate, gzip } from "node:zlib";
import {
  create,
  type DescField,
  type DescMessage,
  type JsonValue,
  type JsonWriteOptions,
  type Message,
  type Registry,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { protobufType } from "./decode.ts";
import { stringifyExact } from "./exact-json.ts";
import type { Exchange } from "./exchange.ts";
import type { Answer } from "./forward.ts";
import { bytesOf, writeBytes } from "./http-body.ts";
import { locationOf } from "./location.ts";
import { httpCodeHeader, responseHeaders } from "./metadata.ts";
import { preferredEncoding, preferredType } from "./negotiate.ts";
import { writeWhole } from "./outgoing.ts";
import { conditionalStatus } from "./precondition.ts";
import { entityTag } from "./range.ts";
import type { Route } from "./routes.ts";

/** A body with its content type. */
export interface Encoded {
  readonly contentType: string;
  readonly body: string | Uint8Array;
  /** The bytes of an HttpBody, which go out as they are or in part, and never compressed. */
  readonly raw?: Uint8Array;
}

/**
 * Writes a unary answer: ProtoJSON of the response or of its `response_body` field, the protobuf wire format where the
 * client prefers it, or the bytes of a google.api.HttpBody as they are.
 */
export async function encode(
  exchange: Exchange,
  route: Route,
  answer: Answer & { kind: "unary" },
  types: Registry,
): Promise<void> {
  const { accept } = exchange.request.headers;
  const encoded = encodeMessage(route, answer.message, types, accept);
  if (encoded.raw !== undefined) noteTag(exchange, answer.header);
  const status = conditionalStatus(exchange, statusOf(answer));
  const headers = {
    ...exchange.headers,
    ...cacheHeaders(route.method.output),
    ...responseHeaders(answer.header),
    ...locationOf(status, answer.header),
    "content-type": encoded.contentType,
  };
  if (encoded.raw === undefined) await writeAnswer(exchange, status, headers, encoded.body);
  else await writeBytes(exchange, status, headers, encoded.raw, exchange.headers.etag);
}

/** Bytes have no field for their tag, so the backend says it by metadata; it knows better than the cache, whose tag is weak. */
function noteTag({ headers }: Exchange, metadata: Headers): void {
  const etag = entityTag(metadata.get("etag"));
  if (etag !== undefined) headers.etag = etag;
}

/** No cache may keep a token or a key (RFC 6749, 5.1): an answer with a field that the contract marks as not to be shown. */
function cacheHeaders(type: DescMessage): Record<string, string> {
  const secret = type.fields.some((field) => field.proto.options?.debugRedact === true);
  return secret ? { "cache-control": "no-store" } : {};
}

/** The body that a message makes under a route. */
export function encodeMessage(route: Route, message: Message, types: Registry, accept?: string): Encoded {
  const whole = messageUnder(route, message);
  const bytes = bytesUnder(route, message);
  if (bytes !== undefined) return { contentType: bytes.contentType, body: bytes.data, raw: bytes.data };
  if (whole !== undefined && preferredType(accept, ["application/json", protobufType]) === protobufType) {
    return { contentType: protobufType, body: toBinary(whole.desc, whole.message) };
  }
  return { contentType: "application/json", body: encodeJson(route, message, types) };
}

/** The bytes that a message makes under a route which answers with a google.api.HttpBody; undefined for any other. */
export function bytesUnder(route: Route, message: Message): ReturnType<typeof bytesOf> {
  const whole = messageUnder(route, message);
  return whole === undefined ? undefined : bytesOf(whole.message);
}

/** The response or its `response_body` field; undefined when that is no message. */
function messageUnder({ method, responseField }: Route, message: Message): ReflectMessage | undefined {
  const whole = reflect(method.output, message, false);
  if (responseField === undefined) return whole;
  return responseField.fieldKind === "message" ? whole.get(responseField) : undefined;
}

/** The JSON text that a message makes under a route. */
export function encodeJson(route: Route, message: Message, types: Registry): string {
  const options = { registry: types, alwaysEmitImplicit: route.emitDefaults === true };
  const json =
    route.responseField === undefined
      ? toJson(route.method.output, message, options)
      : fieldJson(reflect(route.method.output, message, false), route.responseField, options);
  return stringifyExact(json);
}

/**
 * Writes a head and a whole body, compressed where the client takes that and it pays.
 *
 * @param body never compressed again when it is already encoded or is no text.
 */
export async function writeAnswer(
  exchange: Exchange,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string | Uint8Array,
): Promise<void> {
  const { request } = exchange;
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const empty = status === 204 || status === 304;
  const offers = isText(headers["content-type"] ?? "") && bytes.length >= leastCompressed && !empty ? encodings : [];
  const coding = preferredEncoding(one(request.headers["accept-encoding"]), offers);
  const sent = coding === undefined ? bytes : await compressors[coding](bytes);
  const coded = {
    ...headers,
    ...(offers.length === 0 ? {} : { vary: headers.vary === undefined ? "Accept-Encoding" : `${headers.vary}, Accept-Encoding` }),
    ...(coding === undefined ? {} : { "content-encoding": coding }),
  };
  await writeWhole(exchange, status, coded, sent);
}

/** Bytes from which compression saves a packet. */
const leastCompressed = 1400;

const encodings = ["br", "gzip", "deflate"] as const;

const compressors: Readonly<Record<(typeof encodings)[number], (body: Uint8Array) => Promise<Uint8Array>>> = {
  // Brotli's default level takes 30 times as long as this one for a tenth less.
  br: (body) => promisify(brotliCompress)(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
  gzip: (body) => promisify(gzip)(body),
  deflate: (body) => promisify(deflate)(body),
};

function isText(contentType: string): boolean {
  return /^(text\/|application\/(json|problem\+json|xml|javascript)|[^;]+\+(json|xml))/.test(contentType);
}

/** A backend may make 200 another status that means success, or 304, by metadata. */
function statusOf(answer: Answer & { kind: "unary" }): number {
  const code = answer.header.get(httpCodeHeader) ?? answer.trailer.get(httpCodeHeader) ?? "";
  return /^(20[0-8]|226|304)$/.test(code) ? Number(code) : 200;
}

/** The value of one field, of whatever kind: an array, an object, a bare scalar; null for what is absent. */
function fieldJson(message: ReflectMessage, field: DescField, options: Partial<JsonWriteOptions>): JsonValue {
  const { desc } = message;
  if (!message.isSet(field)) {
    const defaults = toJson(desc, create(desc), { ...options, alwaysEmitImplicit: true }) as Record<string, JsonValue>;
    return defaults[field.jsonName] ?? null;
  }
  // A message of nothing but that field, so that the rest is not written for nothing.
  const only = reflect(desc, create(desc), false);
  only.set(field, message.get(field));
  const json = toJson(desc, only.message, options) as Record<string, JsonValue>;
  return json[field.jsonName] ?? null;
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(",") : value;
}
