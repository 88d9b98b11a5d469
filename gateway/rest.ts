/** A call over REST, once its route is known and it may be made: request -> message or messages -> backend -> answer. */
import type { Message, Registry } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { ask } from "./ask.ts";
import type { Identity } from "./authenticate.ts";
import { mediaTypeOf, readBody } from "./body.ts";
import { type DecodeOptions, decoding } from "./decode.ts";
import type { Duties } from "./duties.ts";
import { encode } from "./encode.ts";
import type { Exchange } from "./exchange.ts";
import type { Call } from "./forward.ts";
import type { Limits } from "./limits.ts";
import { requestMessages, type StreamHead } from "./request-stream.ts";
import { takeLastEventId } from "./resume.ts";
import type { Route } from "./routes.ts";
import { takeSelection } from "./selection.ts";
import { shapeFor } from "./shape.ts";
import { inSlices } from "./slices.ts";
import { httpError } from "./status.ts";
import { encodeStream, type StreamTimings } from "./stream.ts";
import type { WebSockets } from "./web-socket.ts";
import { serveWebSocket } from "./web-socket-call.ts";

/** What all calls need. */
export interface RestParts {
  readonly limits: Limits;
  readonly reading: DecodeOptions;
  /** The types of messages and error details. */
  readonly types: Registry;
  readonly timings: StreamTimings | undefined;
  readonly sockets: WebSockets;
  readonly duties: Pick<Duties, "cache" | "stats">;
  /** True: answers hold the fields that have their default too, unless the request says otherwise. */
  readonly emitDefaults: boolean;
}

/** One call. */
export interface RestCall {
  readonly exchange: Exchange;
  readonly route: Route;
  /** One decoded text for each variable of the route's template. */
  readonly pathValues: readonly string[];
  readonly call: Call;
  readonly who: Identity;
}

/** Answers the call. Returns the error that ended a stream after its head had been sent, for the log. */
export async function serveRest(parts: RestParts, { exchange, route, pathValues, call, who }: RestCall): Promise<unknown> {
  const { headers } = exchange.request;
  const streams = route.method.methodKind === "server_streaming" || route.method.methodKind === "bidi_streaming";
  const selection = takeSelection(route, streams ? takeLastEventId(headers, exchange.query) : exchange.query);
  const head: StreamHead = { pathValues, query: selection.query, contentType: headers["content-type"] ?? "" };
  const { types, reading, duties } = parts;
  const shown = shapeFor(route, headers.accept, parts.emitDefaults);
  if (exchange.upgrade !== undefined) {
    const input = { exchange, route: shown, head, call, options: reading, types };
    return serveWebSocket(parts.sockets, {
      ...input,
      ask: (message) => ask(duties, { exchange, route, message, who, call, selection }),
    });
  }
  const message = await inputOf(parts, exchange, route, head);
  const asked = ask(duties, { exchange, route, message, who, call, selection });
  if (streams) return encodeStream(exchange, shown, asked, call, types, parts.timings);
  const answer = await asked;
  if (answer.kind === "unary") await encode(exchange, shown, answer, types);
  return undefined;
}

async function inputOf(
  { limits, reading }: RestParts,
  { request }: Exchange,
  route: Route,
  head: StreamHead,
): Promise<Message | AsyncIterable<Message>> {
  const { methodKind } = route.method;
  // Without a body there is nowhere for the messages to stand.
  if (methodKind === "bidi_streaming" && route.body.kind === "none") {
    const upgrade = { connection: "upgrade", upgrade: "websocket" };
    throw httpError(426, Code.Unimplemented, "a stream both ways needs a WebSocket here, or gRPC", upgrade);
  }
  if (methodKind === "client_streaming" || methodKind === "bidi_streaming")
    return requestMessages(route, request, head, { ...reading, ...limits });
  const mediaType = mediaTypeOf(route, request);
  return inSlices(decoding(route, { ...head, body: await readBody(request, limits), mediaType }, reading));
}
