/**
 * gRPC, gRPC-Web and Connect on the gateway's port: which of them a request speaks, and to which method.
 *
 * The formats that are easy to get wrong (status trailers, Connect's errors and end of stream, trailer frames) are written by
 * @connectrpc/connect's own functions. Its ready-made handlers are not used, since they decode every message: here a message in the
 * wire format is passed on as the bytes it came as, and only JSON is translated.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { AccessLevel, type AccessRule } from "#gen/heddle/v1/access_pb.ts";
import type { Contracts } from "./contracts.ts";
import type { Exchange } from "./exchange.ts";
import { httpError } from "./status.ts";

/** A method as these protocols call it. */
export interface Rpc {
  readonly method: DescMethod;
  readonly access: AccessRule | undefined;
}

/** Methods by their path, `/package.Service/Method`. */
export type Rpcs = ReadonlyMap<string, Rpc>;

/** How a request calls a method. */
export interface RpcProtocol {
  readonly family: "grpc" | "grpc-web" | "connect";
  readonly codec: "proto" | "json";
  /** True when messages stand in envelopes: all but Connect's unary calls. */
  readonly enveloped: boolean;
  /** True for grpc-web-text: everything in base64. */
  readonly text: boolean;
}

/** The methods of the contracts, without those that only services may call: to the outside they do not exist. */
export function rpcsOf(contracts: Contracts): Rpcs {
  const open = contracts.methods.filter(({ access }) => access?.level !== AccessLevel.SERVICE);
  return new Map(open.map(({ desc, access }) => [`/${desc.parent.typeName}/${desc.name}`, { method: desc, access }]));
}

function protocolOf({ request, httpMethod, query }: Exchange, rpc: Rpc | undefined): RpcProtocol | undefined {
  const { "content-type": header = "" } = request.headers;
  const type = (header.split(";")[0] ?? "").trim().toLowerCase();
  if (httpMethod === "GET") return rpc === undefined ? undefined : getProtocol(rpc, query);
  if (httpMethod !== "POST") return undefined;
  const [, web, codec = "proto"] = /^application\/grpc(-web-text|-web)?(?:\+(proto|json))?$/.exec(type) ?? ["", undefined, ""];
  if (codec === "proto" || codec === "json") {
    return { family: web === undefined ? "grpc" : "grpc-web", codec, enveloped: true, text: web === "-web-text" };
  }
  const [, streamed, connectCodec] = /^application\/(connect\+)?(proto|json)$/.exec(type) ?? [];
  if (connectCodec !== "proto" && connectCodec !== "json") return undefined;
  return { family: "connect", codec: connectCodec, enveloped: streamed !== undefined, text: false };
}

/** A request of one of these protocols; without an rpc, for a method that there is none of. */
export interface RpcRequest {
  readonly rpc: Rpc | undefined;
  readonly protocol: RpcProtocol;
}

/**
 * What a request calls by these protocols; undefined when it is REST's.
 *
 * @param rest what REST has for the request
 * @throws an error of status 400, 405, 415 or 505 for a request to a method's path that no protocol carries.
 */
export function rpcRequestOf(rpcs: Rpcs, exchange: Exchange, rest: () => RestMatch): RpcRequest | undefined {
  const rpc = rpcs.get(exchange.path);
  if (exchange.upgrade !== undefined || exchange.httpMethod === "OPTIONS") return undefined;
  const protocol = protocolOf(exchange, rpc);
  if (rpc === undefined) return protocol === undefined || protocol.family === "connect" ? undefined : { rpc, protocol };
  if ((protocol === undefined || isAmbiguous(exchange, protocol)) && rest().kind === "found") return undefined;
  return { rpc, protocol: checked(exchange, rpc, protocol, rest) };
}

/** What REST's router says of a path. */
type RestMatch = { readonly kind: string; readonly allow?: readonly string[] };

/** The HTTP methods by which an rpc is called, and those by which REST serves the same path. */
export function httpMethodsOf({ method }: Rpc, { allow = [] }: RestMatch): readonly string[] {
  return [...new Set([...(isSafe(method) ? ["GET", "OPTIONS", "POST"] : ["OPTIONS", "POST"]), ...allow])].sort();
}

/**
 * JSON posted to the path that a method without a rule has could as well be REST. Connect's clients say by
 * `Connect-Protocol-Version` that they are meant.
 */
function isAmbiguous({ request, httpMethod }: Exchange, { family, codec, enveloped }: RpcProtocol): boolean {
  const undeclared = request.headers["connect-protocol-version"] === undefined;
  return httpMethod === "POST" && family === "connect" && codec === "json" && !enveloped && undeclared;
}

function checked(exchange: Exchange, rpc: Rpc, protocol: RpcProtocol | undefined, rest: () => RestMatch): RpcProtocol {
  const { httpMethod, request } = exchange;
  if (httpMethod !== "POST" && !(httpMethod === "GET" && isSafe(rpc.method))) {
    const allow = httpMethodsOf(rpc, rest()).join(", ");
    throw httpError(405, Code.Unimplemented, `${httpMethod} is not among the methods of this path: ${allow}`, { allow });
  }
  const unary = rpc.method.methodKind === "unary";
  if (protocol === undefined && httpMethod === "GET") {
    throw httpError(400, Code.InvalidArgument, 'query: expected "message" and "encoding", as Connect has them');
  }
  if (protocol === undefined || (protocol.family === "connect" && protocol.enveloped === unary)) {
    const types = unary ? ["application/proto", "application/json"] : ["application/connect+proto", "application/connect+json"];
    const accepted = [...types, "application/grpc", "application/grpc-web", "application/grpc-web-text"].join(", ");
    const got = JSON.stringify((request.headers["content-type"] ?? "").slice(0, 100));
    throw httpError(415, Code.InvalidArgument, `content-type: expected one of ${accepted}, got ${got}`, {
      "accept-post": accepted,
    });
  }
  // Over HTTP/1.1 clients that read only after they have written would hang.
  if (rpc.method.methodKind === "bidi_streaming" && request.httpVersionMajor < 2) {
    throw httpError(505, Code.Unimplemented, "a stream both ways needs HTTP/2, or a WebSocket", { connection: "close" });
  }
  return protocol;
}

function getProtocol({ method }: Rpc, query: string): RpcProtocol | undefined {
  if (!isSafe(method)) return undefined;
  const parameters = new URLSearchParams(query);
  const codec = parameters.get("encoding");
  if (!parameters.has("message") || (codec !== "proto" && codec !== "json")) return undefined;
  return { family: "connect", codec, enveloped: false, text: false };
}

/** Connect's GET is for methods that say that they change nothing. */
function isSafe(method: DescMethod): boolean {
  return method.methodKind === "unary" && method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
}
