/** What `POST /api/v1/batch` takes, read strictly. */
import { describeJson, type Json, JsonError, type JsonObject, NumberText, parseJson } from "./json.ts";
import { Violations } from "./violations.ts";

/** One request of a batch. */
export interface BatchItem {
  /** What the answer is named by; the place in the batch where the request has no id. */
  readonly id: string;
  readonly method: string;
  /** The path with its query. */
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
}

/** How many requests a batch holds. */
export const maxRequests = 100;

/**
 * Reads `{"requests": [{"id", "method", "path", "headers", "body"}]}`. A body is JSON, passed on as it was written; a text where
 * the headers name a type that is not JSON.
 *
 * @throws INVALID_ARGUMENT with a google.rpc.BadRequest that names every mistake.
 */
export function readBatch(body: Uint8Array): BatchItem[] {
  const violations = new Violations();
  const json = parsed(body, violations);
  const requests = json instanceof Map ? json.get("requests") : undefined;
  const items: BatchItem[] = [];
  if (json instanceof Map && isArray(requests)) {
    for (const key of json.keys()) if (key !== "requests") violations.add(key, "a batch has no such field");
    if (requests.length === 0 || requests.length > maxRequests) {
      violations.expected("requests", `1 to ${maxRequests} requests`, String(requests.length));
    } else {
      for (const [index, request] of requests.entries()) items.push(readItem(request, index, violations));
    }
  } else if (json !== undefined) {
    violations.expected("requests", "an array of requests", describeJson(requests ?? json));
  }
  violations.throwIfAny();
  const ids = items.map(({ id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) violations.add("requests", `the id ${JSON.stringify(twice)} stands here twice`);
  violations.throwIfAny();
  return items;
}

/** A JSON value as text, every number as it was sent. */
export function writeJson(json: Json): string {
  if (json instanceof NumberText) return json.text;
  if (json instanceof Map) {
    return `{${[...(json as JsonObject)].map(([key, value]) => `${JSON.stringify(key)}:${writeJson(value)}`).join(",")}}`;
  }
  return isArray(json) ? `[${json.map(writeJson).join(",")}]` : JSON.stringify(json);
}

function parsed(body: Uint8Array, violations: Violations): Json | undefined {
  try {
    return parseJson(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    violations.add("", `body: ${error instanceof JsonError ? error.message : "expected UTF-8"}`);
    return undefined;
  }
}

const known = new Set(["id", "method", "path", "headers", "body"]);

function readItem(json: Json, index: number, violations: Violations): BatchItem {
  const at = `requests[${index}]`;
  const members: JsonObject = json instanceof Map ? json : new Map();
  if (!(json instanceof Map)) violations.expected(at, "an object", describeJson(json));
  for (const key of members.keys()) if (!known.has(key)) violations.add(`${at}.${key}`, "a request has no such field");
  const text = (name: string, expected: string, pattern: RegExp, fallback?: string): string => {
    const value = members.get(name);
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value === "string" && pattern.test(value)) return value;
    if (json instanceof Map)
      violations.expected(`${at}.${name}`, expected, value === undefined ? "nothing" : describeJson(value));
    return "";
  };
  const headers = readHeaders(members.get("headers"), `${at}.headers`, violations);
  const body = members.get("body");
  return {
    id: text("id", "a text of 1 to 128 characters", /^[\x20-\x7e]{1,128}$/, String(index)),
    method: text("method", "an HTTP method in capitals", /^[A-Z][A-Z0-9-]{0,31}$/),
    path: text("path", "a path that starts with a slash, with its query", /^\/[\x21-\x7e]{0,8191}$/),
    headers: body === undefined || "content-type" in headers ? headers : { ...headers, "content-type": "application/json" },
    body: body === undefined ? undefined : bytesOf(body, headers["content-type"]),
  };
}

function bytesOf(body: Json, contentType = "application/json"): Uint8Array {
  const plain = typeof body === "string" && !/[/+]json\b/i.test(contentType);
  return Buffer.from(plain ? body : writeJson(body));
}

function readHeaders(json: Json | undefined, at: string, violations: Violations): Record<string, string> {
  const headers: Record<string, string> = {};
  if (json === undefined) return headers;
  if (!(json instanceof Map)) {
    violations.expected(at, "an object of texts", describeJson(json));
    return headers;
  }
  for (const [name, value] of json as JsonObject) {
    const lower = name.toLowerCase();
    const sound = typeof value === "string" && /^[\x20-\x7e]*$/.test(value) && /^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(lower);
    if (sound) headers[lower] = value;
    else violations.expected(`${at}.${name}`, "a header of printable ASCII", describeJson(value));
  }
  return headers;
}

function isArray(json: Json | undefined): json is readonly Json[] {
  return Array.isArray(json);
}
