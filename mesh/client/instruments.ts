/** What calls tell of themselves: metrics by gRFC A66 and A96, spans by A72. */
import {
  type Counter,
  type Histogram,
  type Meter,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace as traceApi,
} from "@opentelemetry/api";
import type { TraceContext } from "../context.ts";
import { statusName } from "../policy/status-codes.ts";
import { childOf } from "../telemetry/trace.ts";

/** A span and the trace context that goes out with it. */
export interface SpanHandle {
  readonly trace: TraceContext;
  end(code: number, message: string): void;
}

/** The client's instruments on one meter and one tracer. */
export class Instruments {
  readonly #attemptStarted: Counter;
  readonly #attemptDuration: Histogram;
  readonly #callDuration: Histogram;
  readonly #retries: Histogram;
  readonly #transparentRetries: Histogram;
  readonly #retryDelay: Histogram;
  readonly #replayOverflows: Counter;
  readonly #tracer: Tracer;

  constructor(meter: Meter, tracer: Tracer) {
    const seconds = { unit: "s", advice: { explicitBucketBoundaries: latencyBuckets } };
    const retries = { unit: "{retry}", advice: { explicitBucketBoundaries: [0, 1, 2, 3, 4] } };
    this.#attemptStarted = meter.createCounter("grpc.client.attempt.started", { unit: "{attempt}" });
    this.#attemptDuration = meter.createHistogram("grpc.client.attempt.duration", seconds);
    this.#callDuration = meter.createHistogram("grpc.client.call.duration", seconds);
    this.#retries = meter.createHistogram("grpc.client.call.retries", retries);
    this.#transparentRetries = meter.createHistogram("grpc.client.call.transparent_retries", retries);
    this.#retryDelay = meter.createHistogram("grpc.client.call.retry_delay", seconds);
    this.#replayOverflows = meter.createCounter("heddle.client.replay_buffer.overflows", { unit: "{call}" });
    this.#tracer = tracer;
  }

  /** `method` is `package.Service/Method`, `target` the service's name. */
  attemptStarted(method: string, target: string): void {
    this.#attemptStarted.add(1, { "grpc.method": method, "grpc.target": target });
  }

  attemptEnded(method: string, target: string, code: number, ms: number): void {
    const attributes = { "grpc.method": method, "grpc.target": target, "grpc.status": statusName(code) };
    this.#attemptDuration.record(ms / 1000, attributes);
  }

  /** A call ended; A96 reports no zeros of retries. */
  callEnded(method: string, target: string, code: number, ms: number, repeated: Repeated): void {
    const attributes = { "grpc.method": method, "grpc.target": target };
    this.#callDuration.record(ms / 1000, { ...attributes, "grpc.status": statusName(code) });
    if (repeated.retries > 0) this.#retries.record(repeated.retries, attributes);
    if (repeated.transparent > 0) this.#transparentRetries.record(repeated.transparent, attributes);
    if (repeated.delayMs > 0) this.#retryDelay.record(repeated.delayMs / 1000, attributes);
  }

  replayOverflow(method: string, target: string): void {
    this.#replayOverflows.add(1, { "grpc.method": method, "grpc.target": target });
  }

  /** Starts a client span below `parent`. Without an exporter it is a new span id and nothing else. */
  span(name: string, parent: TraceContext): SpanHandle {
    const { traceId, spanId, flags: traceFlags } = parent;
    const above = traceApi.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags });
    const span = this.#tracer.startSpan(name, { kind: SpanKind.CLIENT }, above);
    if (!span.isRecording()) return { trace: childOf(parent), end: () => {} };
    const own = span.spanContext();
    return {
      trace: { traceId: own.traceId, spanId: own.spanId, flags: own.traceFlags, state: parent.state },
      end: (code, message) => endSpan(span, code, message),
    };
  }
}

/** How often a call was repeated. */
export interface Repeated {
  readonly retries: number;
  readonly transparent: number;
  readonly delayMs: number;
}

function endSpan(span: Span, code: number, message: string): void {
  span.setAttribute("rpc.grpc.status_code", code);
  if (code !== 0) span.setStatus({ code: SpanStatusCode.ERROR, message: `${statusName(code)}, ${message}` });
  span.end();
}

/** Seconds; A66's boundaries for latencies. */
const latencyBuckets = [
  0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.013, 0.016, 0.02,
  0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1, 2, 5, 10, 20, 50, 100,
];
