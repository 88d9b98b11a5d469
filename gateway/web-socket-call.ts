/**
 * One call over a WebSocket: frames in become messages, messages out become frames, and the status becomes the close code: 1000 for
 * OK, 4000 + the gRPC code otherwise, the message as reason. Before that a text frame `{"error": Status}` carries all of it.
 */
import type { Message, Registry } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { canceled, from, invalidArgument } from "#mesh/errors.ts";
import { type DecodeOptions, decode } from "./decode.ts";
import { bytesUnder, encodeJson } from "./encode.ts";
import type { Exchange } from "./exchange.ts";
import type { Answer, Call } from "./forward.ts";
import { JsonError } from "./json.ts";
import { ItemReader, type StreamHead } from "./request-stream.ts";
import type { Route } from "./routes.ts";
import { httpError, statusJson } from "./status.ts";
import type { Connection, Frame, WebSockets } from "./web-socket.ts";

/** What a call over a WebSocket needs. */
export interface WebSocketCall {
  readonly exchange: Exchange;
  readonly route: Route;
  readonly head: StreamHead;
  readonly call: Call;
  /** Makes the call. */
  readonly ask: (input: Message | AsyncIterable<Message>) => Promise<Answer>;
  readonly options: DecodeOptions;
  /** The types of messages and error details. */
  readonly types: Registry;
}

/**
 * Runs the call to the end of the connection. Returns the error that ended it, for the log.
 *
 * @throws what is wrong before the handshake is answered: a method that does not stream, a path or query that does not bind.
 */
export async function serveWebSocket(sockets: WebSockets, parts: WebSocketCall): Promise<unknown> {
  const { exchange, call, ask, types } = parts;
  const input = inputOf(parts);
  const connection = await sockets.accept(exchange);
  try {
    const answer = await ask(await input(connection));
    if (answer.kind === "unary") await connection.send(encodeFrame(parts, answer.message));
    else for await (const message of answer.messages) await connection.send(encodeFrame(parts, message));
    await connection.close(undefined);
    return undefined;
  } catch (thrown) {
    const error = from(call.explain(thrown));
    if (!call.signal.aborted || error.code !== Code.Canceled) {
      await connection.send(JSON.stringify({ error: statusJson(error, types) }));
    }
    await connection.close(error);
    return error;
  }
}

/** How the frames become what the method takes. */
function inputOf(parts: WebSocketCall): (connection: Connection) => Message | Promise<Message> | AsyncIterable<Message> {
  const { method } = parts.route;
  const reader = new ItemReader(bodied(parts.route), parts.head, parts.options);
  switch (method.methodKind) {
    case "unary":
      throw httpError(
        400,
        Code.InvalidArgument,
        `${method.parent.typeName}.${method.name} does not stream: send a plain request`,
      );
    case "server_streaming":
      if (parts.route.body.kind !== "none") return ({ frames }) => first(frames, reader, parts.call);
      return bare(parts);
    default:
      return ({ frames }) => messages(frames, reader, parts.call);
  }
}

/** Without a body the path and query are the whole request, and frames have no place. */
function bare({ route, head, options, call }: WebSocketCall) {
  const message = decode(route, { ...head, body: new Uint8Array(), mediaType: "" }, options);
  return ({ frames }: Connection): Message => {
    refuseMore(frames, 0, call);
    return message;
  };
}

async function* messages(frames: AsyncIterable<Frame>, reader: ItemReader, call: Call): AsyncGenerator<Message> {
  for await (const frame of frames) yield await messageOf(frame, reader);
  // The client that has gone has not finished its stream.
  if (call.signal.aborted) throw canceled("the client went away");
  const none = reader.none();
  if (none !== undefined) yield none;
}

/** The one message of a server stream. */
async function first(frames: AsyncIterator<Frame>, reader: ItemReader, call: Call): Promise<Message> {
  const next = await frames.next();
  if (call.signal.aborted) throw canceled("the client went away");
  if (next.done === true) throw invalidArgument([{ field: "[0]", description: "expected the request message, got none" }]);
  const message = await messageOf(next.value, reader);
  refuseMore(frames, 1, call);
  return message;
}

/** What would have no meaning ends the call. */
function refuseMore(frames: AsyncIterator<Frame>, index: number, call: Call): void {
  const error = invalidArgument([{ field: `[${index}]`, description: "expected no more messages from the client" }]);
  void frames.next().then((more) => more.done === true || call.cancel(error));
}

async function messageOf({ data, binary }: Frame, reader: ItemReader): Promise<Message> {
  if (reader.takesPieces) return reader.piece(data);
  if (binary) reader.fail(new JsonError("expected a text frame with JSON, got a binary frame"));
  return reader.json(data);
}

function encodeFrame({ route, types }: WebSocketCall, message: Message): string | Uint8Array {
  return bytesUnder(route, message)?.data ?? encodeJson(route, message, types);
}

/** A WebSocket begins with GET, whose rules have no body; the frames of a client are then whole messages. */
function bodied(route: Route): Route {
  return route.body.kind === "none" ? { ...route, body: { kind: "whole" } } : route;
}
