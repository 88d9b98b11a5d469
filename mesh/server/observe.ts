/** The outermost layer: each call becomes a span, a log line and a measurement, whatever ends it. */
import { Code, type ConnectError, type Interceptor } from "@connectrpc/connect";
import type { Meter } from "@opentelemetry/api";
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import { runWithContext, type TraceContext } from "../context.ts";
import { refusalOf } from "../identity/refusal.ts";
import type { RefusalReporter } from "../identity/refusal-reporter.ts";
import type { Logger } from "../telemetry/log.ts";
import { childOf, newTrace, parseTraceparent } from "../telemetry/trace.ts";
import { type Call, callKey } from "./call.ts";
import { mapStream } from "./stream.ts";

/** Continues the caller's trace, or begins one. The span carries the name of gRFC A72. */
export function traceCall(tracer: Tracer): (call: Call) => void {
  return (call) => {
    const headers = call.handler.requestHeader;
    const parent = parseTraceparent(headers.get("traceparent"), headers.get("tracestate"));
    if (call.builtIn) {
      // Consul and balancers ask every other second; nobody wants to see these traces.
      call.trace = parent === undefined ? newTrace() : childOf(parent);
      return;
    }
    const span = tracer.startSpan(`Recv.${call.name}`, { kind: SpanKind.SERVER }, parentContext(parent));
    call.trace = span.isRecording() ? ownTrace(span.spanContext(), parent) : parent === undefined ? newTrace() : childOf(parent);
    call.onEnd((error) => {
      if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: codeName(error.code) });
      span.end();
    });
  };
}

/** Latency buckets in seconds, as gRFC A66 sets them. */
const durationBuckets = [
  0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.013, 0.016, 0.02,
  0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1, 2, 5, 10, 20, 50, 100,
];

/** Counts calls by the names of gRFC A66. */
export interface ServerMetrics {
  started(method: string): void;
  ended(method: string, code: string, seconds: number): void;
}

/** The name that unknown methods share, so that a scanner cannot make a time series per path. */
export const otherMethod = "other";

/** Makes the instruments `grpc.server.call.started` and `grpc.server.call.duration`. */
export function serverMetrics(meter: Meter): ServerMetrics {
  const started = meter.createCounter("grpc.server.call.started", { unit: "{call}", description: "Calls that came in" });
  const duration = meter.createHistogram("grpc.server.call.duration", {
    unit: "s",
    description: "Time from the headers of a call to its outcome",
    advice: { explicitBucketBoundaries: durationBuckets },
  });
  return {
    started: (method) => started.add(1, { "grpc.method": method }),
    ended: (method, code, seconds) => duration.record(seconds, { "grpc.method": method, "grpc.status": code }),
  };
}

/** Measures the call and writes its line when it ends. */
export function logAndMeasure(log: Logger, metrics: ServerMetrics): (call: Call) => void {
  return (call) => {
    metrics.started(call.name);
    call.onEnd((error) => {
      const ms = performance.now() - call.startedAt;
      const code = error === undefined ? "OK" : codeName(error.code);
      metrics.ended(call.name, code, ms / 1000);
      const write = () => writeLine(log, call, code, ms, error);
      if (call.context === undefined) write();
      else runWithContext(call.context, write);
    });
  };
}

/** Reports a call that was refused for who made it, once it has ended. */
export function auditRefusals(reporter: Pick<RefusalReporter, "report"> | undefined): (call: Call) => void {
  return (call) => {
    if (reporter === undefined || call.builtIn) return;
    call.onEnd((error) => {
      const { name, context, callerError } = call;
      if (context === undefined) return;
      const refusal = refusalOf(error, { name, principal: context.principal, callerError });
      if (refusal !== undefined) reporter.report(refusal, context);
    });
  };
}

/** Tells the call how its handler ended. */
export const reportOutcome: Interceptor = (next) => async (request) => {
  const call = request.contextValues.get(callKey);
  if (call === undefined) return next(request);
  try {
    const response = await next(request);
    if (!response.stream) {
      call.end(undefined);
      return response;
    }
    const message = mapStream(response.message, {
      each: (item) => {
        call.lastSentAt = performance.now();
        return item;
      },
      done: () => call.end(undefined),
      failed: (error) => call.end(error as ConnectError),
    });
    return { ...response, message };
  } catch (error) {
    // The error boundary is below this layer, so nothing but ConnectError comes up.
    call.end(error as ConnectError);
    throw error;
  }
};

/** The name of a code as gRPC writes it: `DEADLINE_EXCEEDED`. */
export function codeName(code: Code): string {
  if (code === Code.Canceled) return "CANCELLED";
  const name: string | undefined = Code[code];
  return name === undefined ? `CODE_${code}` : name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

/**
 * A defect of ours, which has a cause, is an error, and an outage of what we stand on a warning. Anything that the caller did
 * is none of both: bytes that are no message end INTERNAL as well, as gRPC has it.
 */
function levelOf(call: Call, error: ConnectError | undefined): "debug" | "info" | "warn" | "error" {
  switch (error?.code) {
    case Code.Internal:
    case Code.Unknown:
    case Code.DataLoss:
      return error.cause === undefined ? "info" : "error";
    case Code.Unavailable:
      return error.cause === undefined ? "info" : "warn";
    default:
      return call.builtIn ? "debug" : "info";
  }
}

function writeLine(log: Logger, call: Call, code: string, ms: number, error: ConnectError | undefined): void {
  log[levelOf(call, error)](
    {
      method: call.name,
      code,
      ms: Math.round(ms * 100) / 100,
      protocol: call.handler.protocolName,
      peer: call.peer.address,
      caller: call.caller?.id,
      principal: call.context?.principal?.id,
      error: error?.rawMessage,
      err: error?.cause,
    },
    "call",
  );
}

function parentContext(parent: TraceContext | undefined) {
  if (parent === undefined) return ROOT_CONTEXT;
  const { traceId, spanId, flags } = parent;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: flags, isRemote: true });
}

function ownTrace(own: { traceId: string; spanId: string; traceFlags: number }, parent: TraceContext | undefined): TraceContext {
  return { traceId: own.traceId, spanId: own.spanId, flags: own.traceFlags, state: parent?.state ?? "" };
}
