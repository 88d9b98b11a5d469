import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import type { DescMethodStreaming } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { pino } from "pino";
import { currentContext, runWithContext } from "../context.ts";
import { reasonOf, unauthenticated } from "../errors.ts";
import { parseTraceparent } from "../telemetry/trace.ts";
import { ask, callContext, codeOf, echoServer, methodOf, testClient, trace } from "./mesh.fixture.ts";
import { fakeRegistry } from "./registry.fixture.ts";

describe("call: header", () => {
  it("carries trace, correlation id, criticality, client, caller and the principal's token", async () => {
    await using server = await echoServer("a");
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    const principal = {
      kind: "user",
      id: "u",
      roles: [],
      scopes: [],
      sessionId: "s",
      token: "jwt",
      expiresAt: 0,
      degraded: false,
    } as const;
    await runWithContext(callContext({ principal }), () =>
      ask(client, "Get", "x", { headers: { "X-Own": "1", "x-heddle-caller": "forged" } }),
    );
    const [sent] = server.calls;
    const field = (name: string) => sent?.get(name);
    assert.deepEqual(field("authorization"), ["Bearer jwt"]);
    assert.deepEqual(field("x-correlation-id"), ["corr-1"]);
    assert.deepEqual(field("x-heddle-criticality"), ["SHEDDABLE"]);
    assert.deepEqual(field("x-heddle-client-address"), ["192.0.2.7"]);
    assert.deepEqual(field("x-heddle-client-agent"), ["curl/8"]);
    assert.deepEqual(field("x-heddle-caller"), ["caller-token"]);
    assert.deepEqual(field("x-own"), ["1"]);
    assert.deepEqual(field("tracestate"), ["a=b"]);
    assert.deepEqual(server.timeouts, [Number.POSITIVE_INFINITY]);
    const got = parseTraceparent(String(field("traceparent")?.[0]));
    assert.equal(got?.traceId, trace.traceId);
    assert.notEqual(got?.spanId, trace.spanId);
  });

  it("makes a correlation id and a trace of its own outside any call", async () => {
    await using server = await echoServer("a");
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    await ask(client, "Get", "x");
    const [sent] = server.calls;
    assert.match(String(sent?.get("x-correlation-id")[0]), /^[0-9a-f-]{36}$/);
    assert.notEqual(parseTraceparent(String(sent?.get("traceparent")[0])), undefined);
    assert.deepEqual(sent?.get("authorization"), []);
  });

  it("keeps an authorization that the caller set itself", async () => {
    await using server = await echoServer("a");
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    const principal = {
      kind: "user",
      id: "u",
      roles: [],
      scopes: [],
      sessionId: "s",
      token: "jwt",
      expiresAt: 0,
      degraded: false,
    } as const;
    await runWithContext(callContext({ principal }), () => ask(client, "Get", "x", { headers: { authorization: "Basic x" } }));
    assert.deepEqual(server.calls[0]?.get("authorization"), ["Basic x"]);
  });

  it("passes -bin metadata through unchanged", async () => {
    await using server = await echoServer("a");
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    await ask(client, "Get", "x", { headers: { "x-raw-bin": "AAECAw" } });
    assert.deepEqual(server.calls[0]?.get("x-raw-bin"), [Buffer.from([0, 1, 2, 3])]);
  });
});

describe("call: context", () => {
  it("reads a request's source, and logs the end of a stream, in the context of its own call", async () => {
    await using server = await echoServer("a", {
      chat: (call) => {
        call.on("data", (value: string) => call.write(value));
        call.on("end", () => call.end());
      },
    });
    const logged: unknown[] = [];
    const log = pino({ level: "debug" }, { write: () => void logged.push(currentContext()?.correlationId) });
    await using client = testClient({ log, upstreams: new Map([["echo", [server.address]]]) });
    // This call opens the connection, so that the other one waits for it and is sent from an event of the connection.
    const other = runWithContext(callContext({ correlationId: "other" }), () => ask(client, "Get", "x"));
    const seen: unknown[] = [];
    async function* input(): AsyncIterable<never> {
      for (const value of ["a", "x".repeat(300_000), "b"]) {
        seen.push(currentContext()?.correlationId);
        yield { value } as never;
      }
      seen.push(currentContext()?.correlationId);
    }
    await runWithContext(callContext({ correlationId: "own" }), async () => {
      const method = methodOf("Chat") as DescMethodStreaming;
      const response = await client.transport.stream(method, undefined, undefined, undefined, input());
      for await (const _message of response.message) seen.push(currentContext()?.correlationId);
    });
    await other;
    assert.deepEqual(new Set(seen), new Set(["own"]));
    assert.deepEqual(logged.sort(), ["other", "own", "own"]);
  });

  it("starts connections and watches outside any call", async () => {
    const registry = fakeRegistry();
    await using server = await echoServer("a");
    registry.publish("echoer", [["1", server.port]]);
    const seen: unknown[] = [];
    const { watchService, watchCatalog } = registry;
    registry.watchService = (...args) => {
      seen.push(currentContext());
      return watchService.apply(registry, args);
    };
    registry.watchCatalog = (...args) => {
      seen.push(currentContext());
      return watchCatalog.apply(registry, args);
    };
    const connect = (address: string) => {
      seen.push(currentContext());
      return connectTcp(Number(address.split(":")[1]), "127.0.0.1");
    };
    await using client = testClient({ registry, connection: { connect } });
    await runWithContext(callContext(), () => ask(client, "Get", "x"));
    assert.deepEqual(seen, [undefined, undefined, undefined]);
  });
});

describe("call: errors and metrics", () => {
  it("keeps the server's code, message and details", async () => {
    const thrown = unauthenticated("MFA_REQUIRED", "a code is needed: ä");
    assert.equal(reasonOf(thrown), "MFA_REQUIRED");
    const metadata = new grpc.Metadata();
    // google.rpc.Status{code 16, details [ErrorInfo{reason MFA_REQUIRED, domain heddle}]}, written by hand.
    const info = Buffer.concat([Buffer.from([10, 12]), Buffer.from("MFA_REQUIRED"), Buffer.from([18, 6]), Buffer.from("heddle")]);
    const type = Buffer.from("type.googleapis.com/google.rpc.ErrorInfo");
    const any = Buffer.concat([Buffer.from([10, type.length]), type, Buffer.from([18, info.length]), info]);
    metadata.set("grpc-status-details-bin", Buffer.concat([Buffer.from([8, 16, 26, any.length]), any]));
    metadata.set("x-note", "1");
    await using server = await echoServer("a", {
      unary: (_value, _call, reply) => reply({ code: grpc.status.UNAUTHENTICATED, details: "a code is needed: ä", metadata }),
    });
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    const error = await ask(client, "Get", "x").then(
      () => undefined,
      (thrown: ConnectError) => thrown,
    );
    assert.ok(error !== undefined);
    assert.deepEqual(
      [error.code, error.rawMessage, reasonOf(error)],
      [Code.Unauthenticated, "a code is needed: ä", "MFA_REQUIRED"],
    );
    assert.deepEqual([error.metadata.get("x-note"), error.metadata.get("grpc-status")], ["1", null]);
  });

  it("refuses a request of 24 bytes where the service config allows 10, and a response likewise", async () => {
    await using server = await echoServer("a");
    const config = { methodConfig: [{ name: [{}], maxRequestMessageBytes: 10, maxResponseMessageBytes: 10 }] };
    await using client = testClient({ config, upstreams: new Map([["echo", [server.address]]]) });
    assert.equal(await codeOf(ask(client, "Get", "x".repeat(22))), Code.ResourceExhausted);
    assert.equal(server.calls.length, 0);
    assert.equal(await codeOf(ask(client, "Get", "x".repeat(8))), Code.ResourceExhausted);
    assert.equal(await ask(client, "Get", "x"), "a:x");
  });

  it("records attempts, calls and retries under the names of A66 and A96", async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
    const provider = new MeterProvider({ readers: [reader] });
    let failures = 2;
    await using server = await echoServer("a", {
      unary: (value, _call, reply) =>
        failures-- > 0 ? reply({ code: grpc.status.UNAVAILABLE, details: "no" }) : reply(null, value),
    });
    await using client = testClient({ meter: provider.getMeter("test"), upstreams: new Map([["echo", [server.address]]]) });
    await ask(client, "Get", "x");
    await reader.forceFlush();
    const seen: Record<string, unknown[]> = {};
    for (const { metrics } of exporter.getMetrics()[0]?.scopeMetrics ?? []) {
      for (const { descriptor, dataPoints } of metrics) {
        seen[descriptor.name] = dataPoints.map(({ attributes, value }) => [
          attributes["grpc.method"],
          attributes["grpc.target"],
          attributes["grpc.status"],
          typeof value === "number" ? value : (value as { count: number }).count,
        ]);
      }
    }
    await provider.shutdown();
    const method = "echo.v1.Echo/Get";
    assert.deepEqual(
      seen["heddle.client.breaker.state"]?.map((point) => (point as unknown[])[3]),
      [0, 0],
    );
    assert.deepEqual(
      seen["heddle.client.endpoints"]?.map((point) => (point as unknown[])[3]),
      [1],
    );
    assert.deepEqual(seen["grpc.client.attempt.started"], [[method, "echo", undefined, 3]]);
    assert.deepEqual(seen["grpc.client.attempt.duration"], [
      [method, "echo", "UNAVAILABLE", 2],
      [method, "echo", "OK", 1],
    ]);
    assert.deepEqual(seen["grpc.client.call.duration"], [[method, "echo", "OK", 1]]);
    assert.deepEqual(seen["grpc.client.call.retries"], [[method, "echo", undefined, 1]]);
  });
});
