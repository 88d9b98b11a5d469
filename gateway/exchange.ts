/** One request and its answer on the way through the gateway, and all that the access log says of it. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { ROOT_CONTEXT, type Span, SpanKind, type Tracer, trace } from "@opentelemetry/api";
import type { TraceContext } from "#mesh/context.ts";
import { childOf, newTrace, parseTraceparent } from "#mesh/telemetry/trace.ts";
import { type ClientOfRequest, clientOf, correlationIdOf } from "./correlation.ts";

/** The connection of a client that wants to speak WebSocket, and the first bytes after its head. */
export interface Upgrade {
  readonly socket: Socket;
  readonly head: Buffer;
}

/** What is known of a request from its head alone, and what the steps find out. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly httpMethod: string;
  /** The raw path, without the query. */
  readonly path: string;
  /** The raw query, without its `?`. */
  readonly query: string;
  readonly correlationId: string;
  readonly trace: TraceContext;
  /** The span of the request; the access log ends it. */
  readonly span: Span;
  readonly client: ClientOfRequest;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  /** performance.now() at the same moment. */
  readonly startedAt: number;
  /** The headers that every answer carries, of whatever step. */
  readonly headers: Record<string, string>;
  /** Set when the client asks for a WebSocket; `response` then answers a handshake that is refused. */
  upgrade: Upgrade | undefined;
  /** The template of the route, once it is known. */
  route: string;
  /** The full name of the rpc, once it is known. */
  rpc: string;
  /** Who sent it, once that is known. */
  principal: string;
  /** The session or API key that it came from, once that is known. */
  sessionId: string;
  /** The error that ended it, and what to log of it. */
  error: unknown;
}

/** The parts of `beginExchange` that do not change from request to request. */
export interface ExchangeOptions {
  readonly trustedHops: number;
  readonly tracer: Tracer;
  readonly clock: () => number;
}

/**
 * Begins an exchange.
 *
 * @param target the request's target as it came: a path with query, or in absolute form
 */
export function beginExchange(
  request: IncomingMessage,
  response: ServerResponse,
  target: string,
  options: ExchangeOptions,
): Exchange {
  const { headers } = request;
  const correlationId = correlationIdOf(headers);
  const parent = parseTraceparent(one(headers.traceparent) ?? null, one(headers.tracestate) ?? null);
  const span = options.tracer.startSpan(`${request.method}`, { kind: SpanKind.SERVER }, parentContext(parent));
  const inOriginForm = target.replace(/^https?:\/\/[^/?#]*/i, "");
  const question = inOriginForm.indexOf("?");
  return {
    request,
    response,
    httpMethod: request.method ?? "",
    path: (question < 0 ? inOriginForm : inOriginForm.slice(0, question)) || "/",
    query: question < 0 ? "" : inOriginForm.slice(question + 1),
    correlationId,
    trace: span.isRecording() ? traceOf(span, parent) : parent === undefined ? newTrace() : childOf(parent),
    span,
    client: clientOf(headers, request.socket.remoteAddress, options.trustedHops),
    receivedAt: options.clock(),
    startedAt: performance.now(),
    headers: { "x-correlation-id": correlationId },
    upgrade: undefined,
    route: "",
    rpc: "",
    principal: "",
    sessionId: "",
    error: undefined,
  };
}

function parentContext(parent: TraceContext | undefined) {
  if (parent === undefined) return ROOT_CONTEXT;
  const { traceId, spanId, flags } = parent;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: flags, isRemote: true });
}

function traceOf(span: Span, parent: TraceContext | undefined): TraceContext {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return { traceId, spanId, flags: traceFlags, state: parent?.state ?? "" };
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(",") : value;
}
