import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { currentContext } from "../context.ts";
import { EchoService } from "./echo.fixture.ts";
import { framed, rawCall } from "./raw-call.fixture.ts";
import { asService, startEcho } from "./server.fixture.ts";

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
const texts = async (stream: AsyncIterable<{ text: string }>) => (await Array.fromAsync(stream)).map(({ text }) => text);
const hello = framed(EchoService.method.unary.input, create(EchoService.method.unary.input, { text: "hello" }));

async function* send(...items: string[]) {
  for (const text of items) yield { text };
}

describe("the context of a call", () => {
  const clientOf = () => ({ text: JSON.stringify([currentContext()?.criticality, currentContext()?.client]) });

  it("x-heddle-* headers are believed only with a proof of the calling service", async () => {
    await using echo = await startEcho({ unary: clientOf });
    const claims = {
      "x-heddle-criticality": "SHEDDABLE",
      "x-heddle-client-address": "203.0.113.7",
      "x-heddle-client-agent": "browser",
    };
    const ask = async (headers: Record<string, string>) => JSON.parse((await echo.client().unary({}, { headers })).text);
    assert.deepEqual(await ask({ ...claims, ...(await asService("gateway")) }), [
      "SHEDDABLE",
      { address: "203.0.113.7", userAgent: "browser" },
    ]);
    const [criticality, { address }] = await ask({ ...claims, "x-heddle-caller": "forged" });
    assert.deepEqual([criticality, address], ["CRITICAL", "127.0.0.1"]);
  });

  it("x-correlation-id abc-1 is kept and echoed; an absent or hostile one is replaced", async () => {
    await using echo = await startEcho({ unary: () => ({ text: currentContext()?.correlationId ?? "" }) });
    const ask = async (id: string | undefined) => {
      let echoed: string | null = null;
      const headers: Record<string, string> = id === undefined ? {} : { "x-correlation-id": id };
      const onHeader = (received: Headers) => {
        echoed = received.get("x-correlation-id");
      };
      const { text } = await echo.client().unary({}, { headers, onHeader });
      assert.equal(text, echoed);
      return text;
    };
    assert.equal(await ask("abc-1"), "abc-1");
    const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    assert.match(await ask(undefined), uuid);
    assert.match(await ask("a b"), uuid);
    assert.match(await ask("x".repeat(129)), uuid);
  });

  it("a refused call echoes the correlation id as well", async () => {
    await using echo = await startEcho({});
    const headers = { "x-correlation-id": "abc-2" };
    const outcome = await rawCall({ url: echo.url, path: "/test.v1.EchoService/SignedIn", headers, body: hello });
    assert.equal(outcome.headers["x-correlation-id"], "abc-2");
  });

  it("traceparent is continued with a span id of our own; a malformed one begins a new trace", async () => {
    await using echo = await startEcho({ unary: () => ({ text: JSON.stringify(currentContext()?.trace) }) });
    const ask = async (traceparent: string) =>
      JSON.parse((await echo.client().unary({}, { headers: { traceparent, tracestate: "v=1" } })).text);
    const good = await ask(`00-${"a".repeat(32)}-${"b".repeat(16)}-01`);
    assert.deepEqual([good.traceId, good.flags, good.state], ["a".repeat(32), 1, "v=1"]);
    assert.match(good.spanId, /^[0-9a-f]{16}$/);
    assert.notEqual(good.spanId, "b".repeat(16));
    const bad = await ask(`00-${"A".repeat(32)}-${"b".repeat(16)}-01`);
    assert.match(bad.traceId, /^[0-9a-f]{32}$/);
    assert.deepEqual([bad.flags, bad.state], [1, ""]);
  });

  it("streams of two users that interleave keep each its own context through every step", async () => {
    await using echo = await startEcho({
      async *bidi(requests) {
        yield { text: `${currentContext()?.principal?.id} begins` };
        for await (const { text } of requests) {
          await sleep(1);
          yield { text: `${currentContext()?.principal?.id} ${text}` };
        }
        yield { text: `${currentContext()?.principal?.id} ends` };
      },
    });
    const client = echo.client();
    const run = (id: string) => texts(client.bidi(send("1", "2"), bearer(`user-${id}`)));
    assert.deepEqual(await Promise.all([run("ada"), run("bob")]), [
      ["ada begins", "ada 1", "ada 2", "ada ends"],
      ["bob begins", "bob 1", "bob 2", "bob ends"],
    ]);
  });
});
