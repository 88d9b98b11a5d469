/**
 * Step 6 for server streams. The format is the client's choice by Accept: NDJSON (also for any type), server-sent events, or
 * one JSON array; messages of google.api.HttpBody go out as the bytes that they hold.
 *
 * The backend is read no faster than the client reads, and a stream that fails never ends as if it had not: NDJSON ends in a
 * line with an `error`, events in an `error` event, an array or bytes in a broken connection.
 */
import type { Message, Registry } from "@bufbuild/protobuf";
import { from } from "#mesh/errors.ts";
import { bytesUnder, encodeJson } from "./encode.ts";
import { eventIdOf } from "./event-id.ts";
import type { Exchange } from "./exchange.ts";
import { type Answer, type Call, only } from "./forward.ts";
import { isHttpBody, singleType } from "./http-body.ts";
import { responseHeaders } from "./metadata.ts";
import { preferredType } from "./negotiate.ts";
import { allowedHeaders, breakOff, isGone, writeChunk } from "./outgoing.ts";
import { eventsBefore } from "./resume.ts";
import type { Route } from "./routes.ts";
import { statusJson } from "./status.ts";

/** Timings of streams, in milliseconds. */
export interface StreamTimings {
  /**
   * How long a first message or a failure is waited for before the head goes out. A failure within it gets its HTTP status;
   * a stream that is silent for longer shows the client that it is open. Default: heartbeatMs, since a sign of life is due then.
   */
  readonly headMs?: number;
  /** Between comments on a silent event stream, which keep proxies from closing it. Default 15,000. */
  readonly heartbeatMs?: number;
  /** How long a client may send nothing of a stream of its own while the backend waits for it. Default 300,000. */
  readonly idleMs?: number;
  /** Between pings of a WebSocket; one that has not answered by the next is given up. Default 20,000. */
  readonly pingMs?: number;
}

/**
 * Writes a stream to its end. A failure after the head was sent is written into the stream and returned, for the log.
 *
 * @param asked the answer, which many backends do not begin before their first message
 * @throws what ended the stream before its head was sent.
 */
export async function encodeStream(
  exchange: Exchange,
  route: Route,
  asked: Promise<Answer>,
  call: Call,
  types: Registry,
  { heartbeatMs = 15_000, headMs = heartbeatMs }: StreamTimings = {},
): Promise<unknown> {
  const { response, request } = exchange;
  const stream = open(asked);
  await settledWithin(stream.first, headMs);
  const format = await formatOf(route, stream.first, request.headers.accept);
  if (isGone(response)) return call.signal.reason;
  const metadata = stream.header === undefined ? {} : responseHeaders(stream.header);
  response.writeHead(200, allowedHeaders(response, { ...exchange.headers, ...metadata, ...format.headers }));
  if (request.method === "HEAD") {
    response.end();
    return undefined;
  }
  response.flushHeaders();
  // What is silent now was so for as long as headMs.
  const heartbeat = format.heartbeat === "" ? undefined : setInterval(beat, heartbeatMs);
  function beat(): void {
    if (!response.writableNeedDrain) response.write(format.heartbeat);
  }
  const eventId = eventIdOf(route.method.output);
  let count = 0;
  try {
    let next = await stream.first;
    const before = eventsBefore(request.headers["last-event-id"], stream.header);
    for (; next.done !== true; next = await stream.next()) {
      const id = eventId === undefined ? String(before + count + 1) : eventId(next.value);
      await writeChunk(response, format.item(encodeItem(format, route, next.value, types), count, id));
      count++;
    }
    response.end(format.end(count));
    return undefined;
  } catch (thrown) {
    const error = call.explain(thrown);
    const last = format.failure(JSON.stringify({ error: statusJson(from(error), types) }));
    if (last === undefined) breakOff(response);
    else response.end(last);
    return error;
  } finally {
    clearInterval(heartbeat);
    await stream.leave();
  }
}

/** An answer that may not have begun yet. */
function open(asked: Promise<Answer>) {
  let header: Headers | undefined;
  let messages: AsyncIterator<Message> | undefined;
  const first = asked.then((answer) => {
    header = answer.header;
    messages = (answer.kind === "stream" ? answer.messages : only(answer.message))[Symbol.asyncIterator]();
    return messages.next();
  });
  return {
    first,
    next: () => messages?.next() ?? first,
    leave: () => messages?.return?.(),
    /** Undefined while nothing has come. */
    get header() {
      return header;
    },
  };
}

/** How messages stand in the body. */
interface Format {
  readonly headers: Readonly<Record<string, string>>;
  /** The bytes of a message, from its JSON text or, for HttpBody, from its data; `id` is an event's, "" for none. */
  item(data: string | Uint8Array, index: number, id: string): string | Uint8Array;
  readonly raw: boolean;
  /** What a whole stream of so many messages ends with. */
  end(count: number): string;
  /** What a failed stream ends with; undefined: nothing can say it, so the connection breaks. */
  failure(error: string): string | undefined;
  readonly heartbeat: string;
}

/** No proxy may hold a stream back or keep it. */
const live = { "cache-control": "no-cache", "x-accel-buffering": "no" };

const formats = {
  "application/x-ndjson": {
    headers: { ...live, "content-type": "application/x-ndjson" },
    item: (data) => `${data}\n`,
    raw: false,
    end: () => "",
    failure: (error) => `${error}\n`,
    heartbeat: "",
  },
  "text/event-stream": {
    headers: { ...live, "content-type": "text/event-stream" },
    item: (data, _, id) => `${id === "" ? "" : `id: ${id}\n`}data: ${data}\n\n`,
    raw: false,
    end: () => "",
    failure: (error) => `event: error\ndata: ${error}\n\n`,
    heartbeat: ": heartbeat\n\n",
  },
  "application/json": {
    headers: { ...live, "content-type": "application/json" },
    item: (data, index) => `${index === 0 ? "[" : ",\n"}${data}`,
    raw: false,
    end: (count) => (count === 0 ? "[]" : "]"),
    failure: () => undefined,
    heartbeat: "",
  },
} satisfies Record<string, Format>;

const offers = ["application/x-ndjson", "text/event-stream", "application/json"] as const;

async function formatOf(route: Route, pending: Promise<IteratorResult<Message>>, accept: string | undefined): Promise<Format> {
  const type = route.responseField === undefined ? route.method.output : singleType(route.responseField);
  if (!isHttpBody(type)) return formats[preferredType(accept, offers) ?? "application/x-ndjson"];
  const first = await pending;
  const contentType = first.done === true ? "application/octet-stream" : bytesUnder(route, first.value)?.contentType;
  return {
    headers: { ...live, "content-type": contentType ?? "application/octet-stream" },
    item: (data) => data,
    raw: true,
    end: () => "",
    failure: () => undefined,
    heartbeat: "",
  };
}

function encodeItem(format: Format, route: Route, message: Message, types: Registry): string | Uint8Array {
  return format.raw ? (bytesUnder(route, message)?.data ?? new Uint8Array()) : encodeJson(route, message, types);
}

/** Waits for the promise for at most `ms`; throws when it rejects within them. */
async function settledWithin(promise: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  // Should it reject later, the pump sees it; until then it must not count as unhandled.
  promise.catch(() => {});
  await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
