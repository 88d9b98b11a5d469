/**
 * Step 4 for methods that take a stream: the body becomes messages one by one, as the backend takes them.
 *
 * A body of NDJSON or of one JSON array holds a message per value; under google.api.HttpBody each chunk is a message, as it came.
 * What path and query set goes into the first message, as does HttpBody's content type.
 */
import type { IncomingMessage } from "node:http";
import { create, type DescField, type Message } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import { from, invalidArgument } from "#mesh/errors.ts";
import { hasBody } from "./body.ts";
import { bodyChunks } from "./body-chunks.ts";
import { type DecodeOptions, decoding, type RequestParts } from "./decode.ts";
import { encodedInSlices } from "./forward.ts";
import { isHttpBody, singleType } from "./http-body.ts";
import { JsonError } from "./json.ts";
import { type ItemFormat, ItemSplitter, ItemTooLong } from "./json-items.ts";
import type { Route } from "./routes.ts";
import { atOnce, inSlices } from "./slices.ts";
import { httpError } from "./status.ts";

/** How to read a stream. */
export interface StreamOptions extends DecodeOptions {
  /** Bytes of one message. */
  readonly maxBytes: number;
  /** Milliseconds that the client may send nothing although the backend waits for more. */
  readonly idleMs: number;
}

/** What a request says beside its messages. */
export type StreamHead = Pick<RequestParts, "pathValues" | "query" | "contentType">;

/**
 * The messages of a request. Iterating throws INVALID_ARGUMENT, the index of the message in front of each field path
 * (`[2].child.string`), an error of status 413 for a message that is too long, and what `bodyChunks` throws.
 *
 * @throws an error of status 415 for a type of body that the route does not take.
 */
export function requestMessages(
  route: Route,
  request: IncomingMessage,
  head: StreamHead,
  options: StreamOptions,
): AsyncGenerator<Message> {
  const type = bodyType(route);
  const format = isHttpBody(type) ? undefined : formatOf(request);
  const chunks = bodyChunks(request, options.idleMs);
  const reader = new ItemReader(route, head, options);
  return format === undefined
    ? pieces(chunks, reader)
    : items(chunks, new ItemSplitter(format, options.maxBytes), reader, request);
}

/** Makes a message of each item of a stream, whatever brings the items. */
export class ItemReader {
  readonly #route: Route;
  readonly #rest: Route;
  readonly #head: StreamHead;
  readonly #options: DecodeOptions;
  #index = 0;

  constructor(route: Route, head: StreamHead, options: DecodeOptions) {
    this.#route = route;
    this.#rest = { ...route, variables: [], maskField: undefined };
    this.#head = head;
    this.#options = options;
  }

  /** Whether the body is an HttpBody, whose pieces are not looked at. */
  get takesPieces(): boolean {
    return isHttpBody(bodyType(this.#route));
  }

  /** The message of the next JSON text. @throws INVALID_ARGUMENT with the index of the item in each field path. */
  async json(body: Uint8Array): Promise<Message> {
    try {
      const message = await inSlices(this.#reading(body, "application/json"));
      return await encodedInSlices(this.#route.method, message);
    } catch (thrown) {
      throw this.#explain(thrown);
    }
  }

  /** The message of the next piece of an HttpBody. */
  piece(data: Uint8Array): Message {
    if (this.#index === 0) {
      try {
        return atOnce(this.#reading(data, ""));
      } catch (thrown) {
        throw this.#explain(thrown);
      }
    }
    this.#index++;
    return wrap(this.#route, data);
  }

  /** The message for a stream of no items, when path or query have something to say all the same. */
  none(): Message | undefined {
    const { query } = this.#head;
    if (this.#index > 0 || (this.#route.variables.length === 0 && query === "")) return undefined;
    return atOnce(this.#reading(new Uint8Array(), "application/json"));
  }

  /** @throws `error` with the index of the item in front: a mistake in the item that comes next. */
  fail(error: unknown): never {
    const index = `[${this.#index}]`;
    if (error instanceof JsonError) throw invalidArgument([{ field: index, description: error.message }]);
    if (error instanceof ItemTooLong) throw httpError(413, Code.ResourceExhausted, `${index}: ${error.message}, got more`);
    throw error;
  }

  *#reading(body: Uint8Array, mediaType: string): Generator<void, Message> {
    const [first, { pathValues, query, contentType }] = [this.#index === 0, this.#head];
    const parts = first
      ? { pathValues, query, body, mediaType, contentType }
      : { pathValues: [], query: "", body, mediaType, contentType };
    const message = yield* decoding(first ? this.#route : this.#rest, parts, this.#options);
    this.#index++;
    return message;
  }

  /** The mistake with the index of the item in front of each field path. */
  #explain(thrown: unknown): unknown {
    const violations = from(thrown).findDetails(BadRequestSchema)[0]?.fieldViolations;
    if (violations === undefined) return thrown;
    return invalidArgument(violations.map(({ field, description }) => ({ field: this.#at(field), description })));
  }

  #at(field: string): string {
    return field === "" || field.startsWith("[") ? `[${this.#index}]${field}` : `[${this.#index}].${field}`;
  }
}

async function* items(
  chunks: AsyncIterableIterator<Buffer>,
  splitter: ItemSplitter,
  reader: ItemReader,
  request: IncomingMessage,
): AsyncGenerator<Message> {
  try {
    for await (const chunk of chunks) {
      for (const item of splitter.push(chunk)) yield await reader.json(item);
    }
    const last = hasBody(request) ? splitter.end() : undefined;
    if (last !== undefined) yield await reader.json(last);
    const none = reader.none();
    if (none !== undefined) yield none;
  } catch (error) {
    reader.fail(error);
  }
}

async function* pieces(chunks: AsyncIterableIterator<Buffer>, reader: ItemReader): AsyncGenerator<Message> {
  let any = false;
  for await (const chunk of chunks) {
    any = true;
    yield reader.piece(chunk);
  }
  // An upload of no bytes is an upload all the same.
  if (!any) yield reader.piece(new Uint8Array());
}

/** What the body of the route holds: the whole request message, or one field of it. */
function bodyType(route: Route) {
  const { body, method } = route;
  return body.kind === "field" ? singleType(body.field) : body.kind === "whole" ? method.input : undefined;
}

function wrap({ method, body }: Route, data: Uint8Array): Message {
  if (body.kind !== "field") return create(method.input, { data });
  const field: DescField = body.field;
  const piece = field.message === undefined ? undefined : create(field.message, { data });
  return create(method.input, { [field.localName]: piece });
}

const formats: Readonly<Record<string, ItemFormat>> = {
  "": "array",
  "application/json": "array",
  "application/x-ndjson": "ndjson",
  "application/ndjson": "ndjson",
  "application/jsonl": "ndjson",
};

function formatOf(request: IncomingMessage): ItemFormat {
  const header = request.headers["content-type"] ?? "";
  const [type = "", ...parameters] = header.split(";").map((part) => part.trim().toLowerCase().replaceAll('"', ""));
  const charset = parameters.find((parameter) => parameter.startsWith("charset="))?.slice(8) ?? "utf-8";
  const format = Object.hasOwn(formats, type) ? formats[type] : undefined;
  if (!hasBody(request)) return format ?? "array";
  if (format !== undefined && (charset === "utf-8" || charset === "utf8")) return format;
  const got = JSON.stringify(header.slice(0, 100));
  const expected = "application/x-ndjson or application/json with one array, in UTF-8";
  throw httpError(415, Code.InvalidArgument, `content-type: expected ${expected}, got ${got}`, {
    accept: "application/x-ndjson, application/json",
  });
}
