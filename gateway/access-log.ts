/** One line and one measurement for each request. */
import { performance } from "node:perf_hooks";
import { Code, type ConnectError } from "@connectrpc/connect";
import { type Meter, SpanStatusCode } from "@opentelemetry/api";
import { from } from "#mesh/errors.ts";
import type { Logger } from "#mesh/telemetry/log.ts";
import type { Exchange } from "./exchange.ts";

/** Writes the line of a finished exchange. */
export type AccessLog = (exchange: Exchange) => void;

/**
 * An access log.
 *
 * Defects of ours are errors, outages warnings, all else information; health checks are not logged at info. The measurement
 * is OpenTelemetry's `http.server.request.duration`, by route template, so that a scanner makes no time series per path.
 */
export function createAccessLog(log: Logger, meter: Meter): AccessLog {
  const duration = meter.createHistogram("http.server.request.duration", {
    unit: "s",
    description: "Time from the head of a request to the end of its answer",
    advice: {
      explicitBucketBoundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
    },
  });
  return (exchange) => {
    const { response, client } = exchange;
    const error = exchange.error === undefined ? undefined : from(exchange.error);
    const ms = performance.now() - exchange.startedAt;
    duration.record(ms / 1000, {
      "http.request.method": methods.has(exchange.httpMethod) ? exchange.httpMethod : "_OTHER",
      "http.response.status_code": response.statusCode,
      "http.route": exchange.route || "other",
    });
    endSpan(exchange, error);
    log[levelOf(exchange, error)](
      {
        http: exchange.httpMethod,
        route: exchange.route || undefined,
        path: exchange.path.slice(0, 200),
        status: response.statusCode,
        ms: Math.round(ms * 100) / 100,
        rpc: exchange.rpc || undefined,
        code: error === undefined ? "OK" : (Code[error.code] ?? String(error.code)),
        principal: exchange.principal || undefined,
        client: client.address,
        correlationId: exchange.correlationId,
        traceId: exchange.trace.traceId,
        error: error?.rawMessage,
        err: error?.cause,
      },
      "request",
    );
  };
}

const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"]);

/** By OpenTelemetry's HTTP conventions: only what is our side's fault makes a server's span an error. */
function endSpan({ span, httpMethod, route, rpc, response }: Exchange, error: ConnectError | undefined): void {
  if (span.isRecording()) {
    span.updateName(route === "" ? httpMethod : `${httpMethod} ${route}`);
    span.setAttributes({
      "http.request.method": httpMethod,
      "http.route": route,
      "http.response.status_code": response.statusCode,
      "rpc.method": rpc,
    });
    if (response.statusCode >= 500 && error !== undefined)
      span.setStatus({ code: SpanStatusCode.ERROR, message: error.rawMessage });
  }
  span.end();
}

function levelOf(exchange: Exchange, error: ConnectError | undefined): "debug" | "info" | "warn" | "error" {
  switch (error?.code) {
    case Code.Internal:
    case Code.Unknown:
    case Code.DataLoss:
      return "error";
    case Code.Unavailable:
      return "warn";
    default:
      return exchange.route === "/health" ? "debug" : "info";
  }
}
