/** Spans, and the W3C Trace Context (https://www.w3.org/TR/trace-context/) that joins them across processes. */
import { randomBytes } from "node:crypto";
import { ProxyTracerProvider, type Tracer } from "@opentelemetry/api";
import type { TraceContext } from "../context.ts";

/** The tracer of a process. Disposing sends the spans that are still held, for at most 2 s. */
export interface Tracing extends AsyncDisposable {
  readonly tracer: Tracer;
}

/**
 * Starts tracing.
 *
 * @param o.endpoint base URL of an OTLP/HTTP collector, as in OTEL_EXPORTER_OTLP_ENDPOINT (`http://127.0.0.1:4318`); spans go to
 *   `v1/traces` below it, in batches. Without it no exporter is loaded and spans cost nothing; trace ids still cross every hop.
 */
export function createTracing(o: { service: string; instance: string; endpoint: URL | undefined }): Tracing {
  const proxy = new ProxyTracerProvider();
  const exporting = o.endpoint === undefined ? undefined : startExport(proxy, o.service, o.instance, o.endpoint);
  return {
    tracer: proxy.getTracer("heddle"),
    async [Symbol.asyncDispose]() {
      const provider = await exporting;
      // A collector that is away is no reason to fail the stop of a process.
      await provider?.shutdown().catch(() => undefined);
    },
  };
}

/** How long the last spans may take to leave, in milliseconds. */
const shutdownMs = 2000;

/** The SDK and the exporter cost 10 MB and 100 ms, so they are loaded only here. Spans of the first moments are dropped. */
async function startExport(proxy: ProxyTracerProvider, service: string, instance: string, endpoint: URL) {
  const [sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import("@opentelemetry/sdk-trace"),
    import("@opentelemetry/exporter-trace-otlp-http"),
    import("@opentelemetry/resources"),
  ]);
  const url = new URL(`${endpoint.pathname.replace(/\/$/, "")}/v1/traces`, endpoint).href;
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: shutdownMs });
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({ "service.name": service, "service.instance.id": instance }),
    sampler: new sdk.ParentBasedSampler({ root: new sdk.AlwaysOnSampler() }),
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter, exportTimeoutMillis: shutdownMs })],
  });
  proxy.setDelegate(provider);
  return provider;
}

/**
 * Reads `traceparent`, and `tracestate` when given:
 *
 *     traceparent = version "-" trace-id "-" parent-id "-" flags ["-" anything]   ; the rest only after version 00
 *     version = 2HEXDIGLC (not ff), trace-id = 32HEXDIGLC, parent-id = 16HEXDIGLC (neither all zero), flags = 2HEXDIGLC
 *
 * Undefined when it is absent or breaks the grammar: the receiver then starts a new trace. Flags that the standard does not
 * define are cleared. A malformed `tracestate` is dropped without touching `traceparent`.
 */
export function parseTraceparent(header: string | null, state?: string | null): TraceContext | undefined {
  const match = header === null ? null : traceparentPattern.exec(header);
  if (match === null) return undefined;
  const [, version, traceId = "", spanId = "", flags = "", rest] = match;
  if (version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  if (traceId === "0".repeat(32) || spanId === "0".repeat(16)) return undefined;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) & knownFlags, state: parseTracestate(state ?? "") };
}

const traceparentPattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Sampled, and the random-id flag of Trace Context level 2. */
const knownFlags = 0b11;

/** At most 512 characters and 32 `key=value` members, as the standard lets a receiver demand. */
function parseTracestate(state: string): string {
  if (state.length > 512) return "";
  const members = state.split(",");
  const good = members.length <= 32 && members.every((member) => memberPattern.test(member));
  return good ? state : "";
}

const memberPattern = /^[ \t]*[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}[ \t]*$/;

/** Writes `traceparent`, always in version 00. */
export function formatTraceparent(t: TraceContext): string {
  return `00-${t.traceId}-${t.spanId}-${t.flags.toString(16).padStart(2, "0")}`;
}

/** A new trace, marked as sampled. */
export function newTrace(): TraceContext {
  return { traceId: randomHex(16), spanId: randomHex(8), flags: 1, state: "" };
}

/** The same trace with a new span id: what a process sends on after it took `t` in. */
export function childOf(t: TraceContext): TraceContext {
  return { traceId: t.traceId, spanId: randomHex(8), flags: t.flags, state: t.state };
}

/** `bytes` random bytes in lower-case hex, never all zero, which the standard forbids. */
function randomHex(bytes: number): string {
  for (;;) {
    const hex = randomBytes(bytes).toString("hex");
    if (/[^0]/.test(hex)) return hex;
  }
}
