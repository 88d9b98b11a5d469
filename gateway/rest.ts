/** A call over REST, once its route is known and it may be made: request -> message or messages -> backend -> answer. */
import type { Message, Registry } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { Principal } from "#mesh/context.ts";
import { mediaTypeOf, readBody } from "./body.ts";
import type { Contracts } from "./contracts.ts";
import type { CorsOptions } from "./cors.ts";
import { type DecodeOptions, decode } from "./decode.ts";
import { encode } from "./encode.ts";
import type { Exchange } from "./exchange.ts";
import type { Call } from "./forward.ts";
import { type LimitOptions, type Limits, limitsOf } from "./limits.ts";
import { requestMessages, type StreamHead } from "./request-stream.ts";
import { takeLastEventId } from "./resume.ts";
import type { Route } from "./routes.ts";
import { detailTypes, httpError } from "./status.ts";
import { encodeStream, type StreamTimings } from "./stream.ts";
import { createWebSockets, type WebSockets } from "./web-socket.ts";
import { serveWebSocket } from "./web-socket-call.ts";

/** What all calls need. */
export interface RestParts {
  readonly limits: Limits;
  readonly reading: DecodeOptions;
  /** The types of messages and error details. */
  readonly types: Registry;
  readonly timings: StreamTimings | undefined;
  readonly sockets: WebSockets;
}

/** The options of a gateway that its calls go by. */
export interface RestOptions extends LimitOptions {
  readonly contracts: Contracts;
  /** True: names that the contract does not know are skipped. */
  readonly lenient?: boolean;
  readonly cors?: CorsOptions;
  readonly streams?: StreamTimings;
}

/** What all calls need, made once from the options. */
export function restPartsOf(options: RestOptions): RestParts {
  const { contracts, streams, cors, lenient = false } = options;
  const limits = limitsOf(options);
  return {
    limits,
    reading: { types: contracts.types, lenient },
    types: detailTypes(contracts.types),
    timings: streams,
    sockets: createWebSockets({ maxBytes: limits.maxBytes, pingMs: streams?.pingMs ?? 20_000, cors }),
  };
}

/** One call. */
export interface RestCall {
  readonly exchange: Exchange;
  readonly route: Route;
  /** One decoded text for each variable of the route's template. */
  readonly pathValues: readonly string[];
  readonly call: Call;
  readonly principal: Principal | undefined;
}

/** Answers the call. Returns the error that ended a stream after its head had been sent, for the log. */
export async function serveRest(parts: RestParts, { exchange, route, pathValues, call, principal }: RestCall): Promise<unknown> {
  const { headers } = exchange.request;
  const streams = route.method.methodKind === "server_streaming" || route.method.methodKind === "bidi_streaming";
  const query = streams ? takeLastEventId(headers, exchange.query) : exchange.query;
  const head: StreamHead = { pathValues, query, contentType: headers["content-type"] ?? "" };
  const { types, reading } = parts;
  if (exchange.upgrade !== undefined) {
    return serveWebSocket(parts.sockets, { exchange, route, head, call, principal, options: reading, types });
  }
  const answer = await call.forward(await inputOf(parts, exchange, route, head), principal);
  if (answer.kind === "stream") return encodeStream(exchange, route, answer, call, types, parts.timings);
  await encode(exchange, route, answer, types);
  return undefined;
}

async function inputOf(
  { limits, reading }: RestParts,
  { request }: Exchange,
  route: Route,
  head: StreamHead,
): Promise<Message | AsyncIterable<Message>> {
  const { methodKind } = route.method;
  if (methodKind === "bidi_streaming") {
    const upgrade = { connection: "upgrade", upgrade: "websocket" };
    throw httpError(426, Code.Unimplemented, "a stream both ways needs a WebSocket here, or gRPC", upgrade);
  }
  if (methodKind === "client_streaming") return requestMessages(route, request, head, { ...reading, ...limits });
  const mediaType = mediaTypeOf(route, request);
  return decode(route, { ...head, body: await readBody(request, limits), mediaType }, reading);
}
