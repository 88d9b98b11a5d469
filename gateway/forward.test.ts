import assert from "node:assert/strict";
import { currentContext } from "#mesh/context.ts";
import { configs, outcome, startTestGateway, until } from "./fixtures/harness.ts";

describe("gateway/forward", () => {
  it("ends a call at the least of the client's timeout and the service config's, with 504", async () => {
    const signals: AbortSignal[] = [];
    const hanging = () => {
      signals.push(currentContext()?.signal ?? assert.fail());
      return new Promise<never>((_, reject) => signals.at(-1)?.addEventListener("abort", () => reject(signals.at(-1)?.reason)));
    };
    const transport = () => ({ unary: hanging, stream: hanging }) as never;
    await using gateway = await startTestGateway({ transport, serviceConfigs: configs({ "echo.v1.EchoService/Echo": 80 }) });
    const start = performance.now();
    assert.equal(outcome(await gateway.send("GET /v1/echo")), "504 the deadline of the call has passed");
    assert.equal(
      outcome(await gateway.send("GET /v1/echo", { headers: { "grpc-timeout": "20m" } })),
      "504 the deadline of the call has passed",
    );
    assert.equal(
      outcome(await gateway.send("GET /v1/echo", { headers: { "grpc-timeout": "1n" } })),
      "504 the deadline of the call has passed",
    );
    assert.ok(performance.now() - start < 1000);
    const garbage = await gateway.send("GET /v1/echo", { headers: { "x-server-timeout": "soon" } });
    assert.equal(outcome(garbage), '400 header x-server-timeout: expected seconds such as 1.5, got "soon"');
    const gone = new AbortController();
    const called = signals.length;
    const reply = gateway.send("GET /v1/echo", { signal: gone.signal, headers: { "grpc-timeout": "9S" } });
    await until(() => signals.length > called);
    gone.abort();
    await assert.rejects(reply);
    await until(() => signals.at(-1)?.aborted === true);
  });
});
