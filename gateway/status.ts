/** Errors as the outside sees them: one google.rpc.Status in JSON, whatever went wrong and wherever. */
import { create, createRegistry, fromBinary, type JsonValue, type Registry, toJson } from "@bufbuild/protobuf";
import { type Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, file_google_rpc_error_details } from "#gen/google/rpc/error_details_pb.ts";
import { from, retryAfterMs } from "#mesh/errors.ts";
import { hasOwnJson } from "./well-known.ts";

/** An HTTP answer to an error. */
export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The JSON text. */
  readonly body: string;
}

/** How to write it. */
export interface StatusOptions {
  /** The types of error details, as `detailTypes` makes them. */
  readonly types: Registry;
  /** True: as application/problem+json (RFC 9457) with the Status as its extension members. */
  readonly problem: boolean;
}

/**
 * An error of HTTP rather than of gRPC: a status and headers that the code alone would not give.
 *
 * @param status the HTTP status
 * @param code the code of the google.rpc.Status
 */
export function httpError(
  status: number,
  code: Code,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): ConnectError {
  const error = new ConnectError(message, code);
  httpOf.set(error, { status, headers });
  return error;
}

/** Gives an error another HTTP status than its code's. */
export function withHttpStatus(error: ConnectError, status: number): ConnectError {
  httpOf.set(error, { status, headers: httpOf.get(error)?.headers ?? {} });
  return error;
}

/** Gives the answer to an error more headers. */
export function withHttpHeaders(error: ConnectError, headers: Readonly<Record<string, string>>): ConnectError {
  const known = httpOf.get(error);
  httpOf.set(error, { status: known?.status ?? httpStatus(error.code), headers: { ...known?.headers, ...headers } });
  return error;
}

/** The HTTP status of an error. */
export function httpStatusOf(error: ConnectError): number {
  return httpOf.get(error)?.status ?? httpStatus(error.code);
}

/** The HTTP status of a gRPC code; 500 for codes that there are none of. */
export function httpStatus(code: number): number {
  return statuses[code] ?? 500;
}

/** Writes anything thrown as an answer. The cause is not in it: it is for the log. */
export function answerError(thrown: unknown, options: StatusOptions): ErrorAnswer {
  const error = from(thrown);
  const status = httpStatusOf(error);
  const rpc = statusJson(error, options.types);
  const problem = { type: "about:blank", title: titles[status] ?? "Error", status, detail: error.rawMessage, ...rpc };
  const retryMs = retryAfterMs(error);
  return {
    status,
    headers: {
      "content-type": options.problem ? "application/problem+json" : "application/json",
      ...(retryMs === undefined ? {} : { "retry-after": String(Math.max(1, Math.ceil(retryMs / 1000))) }),
      ...(status === 401 ? { "www-authenticate": challenge(error) } : {}),
      ...httpOf.get(error)?.headers,
    },
    body: JSON.stringify(options.problem ? problem : rpc),
  };
}

/** The google.rpc.Status of an error in ProtoJSON: details of known types by their fields, others in base64. */
export function statusJson(error: ConnectError, types: Registry): { code: number; message: string; details?: JsonValue[] } {
  const details = error.details.map((detail) => detailJson(detail, types));
  return { code: error.code, message: error.rawMessage, ...(details.length === 0 ? {} : { details }) };
}

/** The error without its metadata, for a protocol whose writer would send all of it. */
export function withoutMetadata({ rawMessage, code, details }: ConnectError): ConnectError {
  const copy = new ConnectError(rawMessage, code);
  copy.details = details;
  return copy;
}

const httpOf = new WeakMap<ConnectError, { readonly status: number; readonly headers: Readonly<Record<string, string>> }>();

/** The types that error details are decoded by: those of google/rpc/error_details.proto, and the contracts' own. */
export function detailTypes(contracts: Registry): Registry {
  return createRegistry(createRegistry(file_google_rpc_error_details), contracts);
}

/** By code, from OK to UNAUTHENTICATED. */
const statuses: readonly number[] = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  412: "Precondition Failed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  417: "Expectation Failed",
  426: "Upgrade Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  499: "Client Closed Request",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};

function challenge(error: ConnectError): string {
  const reason = error.findDetails(ErrorInfoSchema)[0]?.reason ?? "";
  return reason.startsWith("TOKEN_") ? 'Bearer realm="heddle", error="invalid_token"' : 'Bearer realm="heddle"';
}

function detailJson(detail: ConnectError["details"][number], types: Registry): JsonValue {
  if ("desc" in detail) return packed(detail.desc, create(detail.desc, detail.value), types);
  const desc = types.getMessage(detail.type);
  const undecoded = { "@type": urlOf(detail.type), value: Buffer.from(detail.value).toString("base64") };
  if (desc === undefined) return undecoded;
  try {
    return packed(desc, fromBinary(desc, detail.value), types);
  } catch {
    // A detail that cannot be read, or holds an Any that cannot, is still passed on.
    return undecoded;
  }
}

function packed(desc: Parameters<typeof toJson>[0], message: Parameters<typeof toJson>[1], registry: Registry): JsonValue {
  const json = toJson(desc, message, { registry }) as JsonValue;
  const object = typeof json === "object" && json !== null && !Array.isArray(json) && !hasOwnJson(desc);
  return object ? { "@type": urlOf(desc.typeName), ...json } : { "@type": urlOf(desc.typeName), value: json };
}

function urlOf(typeName: string): string {
  return `type.googleapis.com/${typeName}`;
}
