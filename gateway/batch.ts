/**
 * `POST /api/v1/batch`: several requests in one, each through the whole walk of the gateway (its own credentials check, rate,
 * deadline, cache, log line), at most ten at a time, answered in the order in which they were sent.
 */
import type { IncomingMessage } from "node:http";
import { Code } from "@connectrpc/connect";
import { from } from "#mesh/errors.ts";
import { type BatchItem, readBatch } from "./batch-request.ts";
import { type BodyLimits, readBody } from "./body.ts";
import type { EndpointAnswer } from "./endpoints.ts";
import { beginExchange, type Exchange, type ExchangeOptions } from "./exchange.ts";
import { MemoryResponse, memoryRequest } from "./memory-exchange.ts";
import { isGone } from "./outgoing.ts";
import type { Route } from "./routes.ts";
import { httpError } from "./status.ts";

/** What a batch needs of the gateway. */
export interface BatchOptions extends BodyLimits {
  readonly exchange: ExchangeOptions;
  /** Answers one request, whatever it is, and logs it. It does not throw. */
  readonly serve: (exchange: Exchange) => Promise<void>;
}

/** Requests at work at once, of one batch. */
const concurrency = 10;
/** Bytes of all answers together. */
const maxAnswerBytes = 32 * 2 ** 20;

/**
 * Answers a batch.
 *
 * @throws INVALID_ARGUMENT for a batch that cannot be read, and for one within another.
 */
export async function answerBatch(outer: Exchange, options: BatchOptions): Promise<EndpointAnswer> {
  if (batched.has(outer.request)) throw httpError(400, Code.InvalidArgument, "a batch cannot be part of another");
  const type = (outer.request.headers["content-type"] ?? "application/json").split(";", 1)[0]?.trim().toLowerCase();
  if (type !== "application/json") throw httpError(415, Code.InvalidArgument, "content-type: expected application/json");
  const items = readBatch(await readBody(outer.request, options));
  const answers: string[] = [];
  let next = 0;
  let bytes = 0;
  const work = async () => {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index];
      if (item === undefined || isGone(outer.response)) return;
      const answer = await perform(outer, item, options);
      bytes += answer.length;
      answers[index] = bytes <= maxAnswerBytes ? answer : tooLarge(item.id);
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, work));
  return { status: 200, headers: { "content-type": "application/json" }, body: `{"responses":[${answers.join(",")}]}` };
}

/** @throws INVALID_ARGUMENT when the request is part of a batch and its answer would be a stream. */
export function refuseBatchedStream(request: IncomingMessage, { method }: Pick<Route, "method">): void {
  if (method.methodKind === "unary" || !batched.has(request)) return;
  throw httpError(400, Code.InvalidArgument, "a stream cannot be part of a batch");
}

/** The requests that came in a batch. */
const batched = new WeakSet<IncomingMessage>();

/** What every request of a batch has from the batch itself, unless it says otherwise. */
const inherited = [
  "authorization",
  "x-api-key",
  "cookie",
  "accept-language",
  "grpc-timeout",
  "connect-timeout-ms",
  "x-server-timeout",
];
/** What it has from the batch alone: who sent it, and to which story it belongs. */
const fixed = ["host", "user-agent", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "origin"];
/** What it cannot have: they are about a connection, of which there is one. */
const dropped = [
  "connection",
  "content-length",
  "transfer-encoding",
  "upgrade",
  "expect",
  "te",
  "trailer",
  "keep-alive",
  "accept-encoding",
];

async function perform(outer: Exchange, item: BatchItem, { exchange, serve }: BatchOptions): Promise<string> {
  const headers = headersOf(outer, item);
  const { remoteAddress } = outer.request.socket;
  const request = memoryRequest({ method: item.method, target: item.path, headers, body: item.body, remoteAddress });
  batched.add(request);
  const response = new MemoryResponse(request);
  // A client that goes away ends all that it asked for.
  const onClose = () => response.destroy();
  outer.response.once("close", onClose);
  try {
    const inner = beginExchange(request, response, item.path, exchange);
    // The batch's answer has these once.
    await serve(inner);
    return written(item.id, response);
  } catch (error) {
    return failed(item.id, 500, from(error).code, "internal error");
  } finally {
    outer.response.off("close", onClose);
  }
}

function headersOf({ request, correlationId, trace }: Exchange, item: BatchItem): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of inherited) take(name);
  Object.assign(headers, item.headers);
  for (const name of dropped) delete headers[name];
  for (const name of fixed) {
    delete headers[name];
    take(name);
  }
  // HTTP/2 names the host otherwise.
  headers.host ??= String(request.headers[":authority"] ?? "");
  headers["x-correlation-id"] = correlationId;
  headers.traceparent = `00-${trace.traceId}-${trace.spanId}-${trace.flags.toString(16).padStart(2, "0")}`;
  return headers;

  function take(name: string): void {
    const value = request.headers[name];
    if (value !== undefined) headers[name] = String(value);
  }
}

/** One answer: JSON as it is, other text as a text, other bytes in base64. */
function written(id: string, response: MemoryResponse): string {
  const { body } = response;
  const headers = Object.fromEntries(
    Object.entries(response.getHeaders())
      .filter(([name]) => name !== "content-length" && name !== "connection")
      .map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : String(value)]),
  );
  const head = `"id":${JSON.stringify(id)},"status":${response.statusCode},"headers":${JSON.stringify(headers)}`;
  if (body.length === 0) return `{${head}}`;
  const type = headers["content-type"] ?? "";
  if (/^application\/([\w.+-]+\+)?json\b/.test(type)) return `{${head},"body":${body.toString()}}`;
  if (type.startsWith("text/")) return `{${head},"body":${JSON.stringify(body.toString())}}`;
  return `{${head},"body_base64":"${body.toString("base64")}"}`;
}

function tooLarge(id: string): string {
  return failed(id, 507, Code.ResourceExhausted, `expected at most ${maxAnswerBytes} bytes of answers in a batch, got more`);
}

function failed(id: string, status: number, code: Code, message: string): string {
  return JSON.stringify({ id, status, headers: { "content-type": "application/json" }, body: { code, message } });
}
