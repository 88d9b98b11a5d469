import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { childOf, createTracing, formatTraceparent, newTrace, parseTraceparent } from "./trace.ts";

const id = "4bf92f3577b34da6a3ce929d0e0e4736";
const span = "00f067aa0ba902b7";

describe("parseTraceparent", () => {
  for (const [header, flags] of [
    [`00-${id}-${span}-01`, 1],
    [`00-${id}-${span}-00`, 0],
    [`00-${id}-${span}-03`, 3],
    [`00-${id}-${span}-ff`, 3],
    [`01-${id}-${span}-01`, 1],
    [`cc-${id}-${span}-01-what-the-future-brings`, 1],
    [`fe-${id}-${span}-01-`, 1],
  ] as const) {
    it(`reads ${header}`, () => {
      assert.deepEqual(parseTraceparent(header), { traceId: id, spanId: span, flags, state: "" });
    });
  }

  for (const header of [
    "",
    "00",
    `00-${id}-${span}`,
    `00-${id}-${span}-`,
    `00-${id}-${span}-1`,
    `00-${id}-${span}-011`,
    `00-${id}-${span}-01-`,
    `00-${id}-${span}-01-extra`,
    `01-${id}-${span}-01extra`,
    `ff-${id}-${span}-01`,
    `0-${id}-${span}-01`,
    `000-${id}-${span}-01`,
    `00-${id.toUpperCase()}-${span}-01`,
    `00-${id}-${span.toUpperCase()}-01`,
    `0A-${id}-${span}-01`,
    `00-${id}-${span}-0A`,
    `00-${"0".repeat(32)}-${span}-01`,
    `00-${id}-${"0".repeat(16)}-01`,
    `00-${id.slice(1)}-${span}-01`,
    `00-${id}0-${span}-01`,
    `00-${id.slice(0, 31)}g-${span}-01`,
    `00-${id}-${span.slice(1)}-01`,
    `00_${id}_${span}_01`,
    ` 00-${id}-${span}-01`,
    `00-${id}-${span}-01 `,
    `00-${id}-${span}-01\n`,
    `00-${id}-${span}-01, 00-${id}-${span}-01`,
  ]) {
    it(`refuses ${JSON.stringify(header)}`, () => {
      assert.equal(parseTraceparent(header), undefined);
    });
  }

  it("an absent header is none", () => {
    assert.equal(parseTraceparent(null), undefined);
  });

  for (const [state, kept] of [
    ["congo=t61rcWkgMzE", true],
    ["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", true],
    ["tenant@vendor=1, b=2", true],
    ["", false],
    ["no-value", false],
    ["UPPER=1", false],
    ["a=1,,b=2", false],
    [`a=${"x".repeat(257)}`, false],
    [`a=${"x".repeat(250)},b=${"x".repeat(250)},c=${"x".repeat(50)}`, false],
    [Array.from({ length: 33 }, (_, n) => `k${n}=1`).join(","), false],
    ["a=ä", false],
  ] as const) {
    it(`tracestate ${JSON.stringify(state.slice(0, 40))} is ${kept ? "kept" : "dropped"}, traceparent stands`, () => {
      const expected = { traceId: id, spanId: span, flags: 1, state: kept ? state : "" };
      assert.deepEqual(parseTraceparent(`00-${id}-${span}-01`, state), expected);
    });
  }
});

describe("trace contexts", () => {
  it("what is written is read back", () => {
    const trace = newTrace();
    assert.match(formatTraceparent(trace), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    assert.deepEqual(parseTraceparent(formatTraceparent(trace)), trace);
    assert.equal(formatTraceparent({ traceId: id, spanId: span, flags: 0, state: "" }), `00-${id}-${span}-00`);
  });

  it("a child keeps all but the span id", () => {
    const parent = { traceId: id, spanId: span, flags: 1, state: "a=1" };
    const { spanId, ...rest } = childOf(parent);
    assert.deepEqual(rest, { traceId: id, flags: 1, state: "a=1" });
    assert.match(spanId, /^[0-9a-f]{16}$/);
    assert.notEqual(spanId, span);
  });
});

describe("createTracing", () => {
  it("without an endpoint spans record nothing", async () => {
    await using tracing = createTracing({ service: "s", instance: "s-1", endpoint: undefined });
    assert.equal(tracing.tracer.startSpan("x").isRecording(), false);
  });

  it("with an endpoint spans arrive at v1/traces below it, the held ones at the end", async () => {
    const requests: { url: string | undefined; body: string }[] = [];
    const collector = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        requests.push({ url: request.url, body: Buffer.concat(chunks).toString("latin1") });
        response.writeHead(200, { "content-type": "application/json" }).end("{}");
      });
    });
    await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
    const endpoint = new URL(`http://127.0.0.1:${(collector.address() as AddressInfo).port}/otel/`);
    {
      await using tracing = createTracing({ service: "ledger", instance: "ledger-1", endpoint });
      const end = Date.now() + 10_000;
      while (!tracing.tracer.startSpan("probe").isRecording() && Date.now() < end) await new Promise((r) => setTimeout(r, 10));
      tracing.tracer.startSpan("Recv.a.v1.A/B").end();
    }
    collector.closeAllConnections();
    collector.close();
    assert.equal(requests[0]?.url, "/otel/v1/traces");
    assert.match(requests[0]?.body ?? "", /Recv\.a\.v1\.A\/B/);
    assert.match(requests[0]?.body ?? "", /ledger-1/);
  });

  it("with a collector that is away nothing throws, and disposing ends within its bound", async () => {
    const tracing = createTracing({ service: "s", instance: "s-1", endpoint: new URL("http://127.0.0.1:9") });
    const end = Date.now() + 10_000;
    while (!tracing.tracer.startSpan("probe").isRecording() && Date.now() < end) await new Promise((r) => setTimeout(r, 10));
    tracing.tracer.startSpan("lost").end();
    const before = performance.now();
    await tracing[Symbol.asyncDispose]();
    assert(performance.now() - before < 3000);
  });
});
