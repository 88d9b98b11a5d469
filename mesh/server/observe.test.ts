import assert from "node:assert/strict";
import type { Code } from "@connectrpc/connect";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { currentContext } from "../context.ts";
import { codeName } from "./observe.ts";
import { asService, refusal, startEcho } from "./server.fixture.ts";

const echoText = ({ text }: { text: string }) => ({ text });

describe("log and metrics", () => {
  it("a call is one line at info with method, code, ms, peer, caller and principal, and no token", async () => {
    await using echo = await startEcho({ signedIn: echoText });
    const headers = { authorization: "Bearer user-ada", "x-correlation-id": "abc-3", ...(await asService("gateway")) };
    await echo.client().signedIn({}, { headers });
    assert.equal(echo.lines.length, 1);
    const { time, ms, peer, traceId, ...line } = echo.lines[0] ?? {};
    assert.deepEqual(line, {
      level: "info",
      service: "echo",
      instance: "echo-1",
      correlationId: "abc-3",
      method: "test.v1.EchoService/SignedIn",
      code: "OK",
      protocol: "grpc",
      caller: "gateway",
      principal: "ada",
      msg: "call",
    });
    assert.match(String(peer), /^127\.0\.0\.1:\d+$/);
    assert.match(String(traceId), /^[0-9a-f]{32}$/);
    assert.equal(typeof ms, "number");
    assert.equal(typeof time, "string");
  });

  it("two calls that succeed and one that is refused are counted by method and status", async () => {
    await using echo = await startEcho({ unary: echoText });
    const client = echo.client();
    await client.unary({});
    await client.unary({});
    await refusal(client.signedIn({}));
    const text = await echo.metrics.text();
    for (const line of [
      'grpc_server_call_started_total{grpc_method="test.v1.EchoService/Unary"} 2',
      'grpc_server_call_started_total{grpc_method="test.v1.EchoService/SignedIn"} 1',
      'grpc_server_call_duration_seconds_count{grpc_method="test.v1.EchoService/Unary",grpc_status="OK"} 2',
      'grpc_server_call_duration_seconds_count{grpc_method="test.v1.EchoService/SignedIn",grpc_status="UNAUTHENTICATED"} 1',
      'grpc_server_call_duration_seconds_bucket{grpc_method="test.v1.EchoService/Unary",grpc_status="OK",le="100"} 2',
    ]) {
      assert(text.split("\n").includes(line), `${line} is not in\n${text}`);
    }
  });
});

describe("spans", () => {
  it("a call is a span Recv.<method> below the caller's; a refusal is its status; the handler sees the span's own id", async () => {
    const exporter = new InMemorySpanExporter();
    const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
    const tracing = { tracer: provider.getTracer("t"), [Symbol.asyncDispose]: async () => undefined };
    await using echo = await startEcho({ unary: () => ({ text: currentContext()?.trace.spanId ?? "" }) }, { tracing });
    const headers = { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` };
    const { text } = await echo.client().unary({}, { headers });
    await refusal(echo.client().signedIn({}, { headers }));
    const spans = exporter.getFinishedSpans();
    assert.deepEqual(
      spans.map((span) => [span.name, span.kind, span.spanContext().traceId, span.parentSpanContext?.spanId, span.status]),
      [
        ["Recv.test.v1.EchoService/Unary", SpanKind.SERVER, "a".repeat(32), "b".repeat(16), { code: SpanStatusCode.UNSET }],
        [
          "Recv.test.v1.EchoService/SignedIn",
          SpanKind.SERVER,
          "a".repeat(32),
          "b".repeat(16),
          { code: SpanStatusCode.ERROR, message: "UNAUTHENTICATED" },
        ],
      ],
    );
    assert.equal(text, spans[0]?.spanContext().spanId);
    await provider.shutdown();
  });
});

describe("codeName", () => {
  it("names every code as gRPC does, and one that nobody knows by its number", () => {
    const codes = [...Array.from({ length: 16 }, (_, index) => index + 1), 99];
    assert.deepEqual(
      codes.map((code) => codeName(code as Code)).join(" "),
      [
        "CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED CODE_99",
      ].join(" "),
    );
  });
});
