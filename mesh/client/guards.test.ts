import assert from "node:assert/strict";
import { Code, type ConnectError } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { retryAfterMs } from "../errors.ts";
import { freePort } from "../net/raw-server.fixture.ts";
import { ask, echoServer, failure, testClient } from "./mesh.fixture.ts";
import { fakeRegistry } from "./registry.fixture.ts";

describe("breakers", () => {
  it("opens after 5 failures in a row, fails at once with RetryInfo, shows it, and resets by service or contract", async () => {
    let broken = true;
    await using server = await echoServer("a", {
      unary: (value, _call, reply) => (broken ? reply({ code: grpc.status.INTERNAL, details: "broken" }) : reply(null, value)),
    });
    let now = 1_000_000;
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]), clock: () => now });
    for (let i = 0; i < 5; i++) assert.equal((await failure(ask(client, "Put", "x"))).code, Code.Internal);
    const error = await failure(ask(client, "Put", "x"));
    assert.deepEqual([error.code, error.rawMessage], [Code.Unavailable, "echo is failing, and calls to it are paused"]);
    assert.ok((retryAfterMs(error) ?? 0) >= 4000);
    assert.equal(server.calls.length, 5);
    const views = client.breakers();
    assert.deepEqual(
      views.map(({ service, endpoint, state, failureRate, calls, contract }) => [
        service,
        endpoint,
        state,
        failureRate,
        calls,
        contract,
      ]),
      [
        ["echo", undefined, "OPEN", 1, 5, "echo.v1.Echo"],
        ["echo", server.address, "OPEN", 1, 5, undefined],
      ],
    );
    broken = false;
    now += 1;
    assert.equal(client.resetBreaker("nobody"), false);
    assert.equal(client.resetBreaker("echo"), true);
    assert.equal(await ask(client, "Put", "x"), "x");
    assert.equal(client.resetBreaker("echo.v1.Echo"), true);
  });

  it("leaves an endpoint out whose own breaker is open, while the service's stays closed", async () => {
    await using bad = await echoServer("bad", {
      unary: (_v, _call, reply) => reply({ code: grpc.status.INTERNAL, details: "broken" }),
    });
    await using good = await echoServer("good");
    await using client = testClient({ upstreams: new Map([["echo", [bad.address, good.address]]]) });
    const answers: string[] = [];
    for (let i = 0; i < 60; i++)
      answers.push(await ask(client, "Put", "x").catch((error: ConnectError) => Code[error.code] ?? ""));
    assert.ok(bad.calls.length <= 5, `the failing endpoint was called ${bad.calls.length} times`);
    assert.deepEqual(new Set(answers.slice(-20)), new Set(["good:x"]));
    assert.equal(client.breakers().find(({ endpoint }) => endpoint === undefined)?.state, "CLOSED");
  });

  it("does not count NOT_FOUND", async () => {
    await using server = await echoServer("a", {
      unary: (_v, _call, reply) => reply({ code: grpc.status.NOT_FOUND, details: "no" }),
    });
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    for (let i = 0; i < 30; i++) assert.equal((await failure(ask(client, "Put", "x"))).code, Code.NotFound);
    assert.deepEqual(new Set(client.breakers().map(({ state }) => state)), new Set(["CLOSED"]));
  });

  it("closes the breakers of a service when its instances come back after all were gone", async () => {
    const dead = await freePort();
    const registry = fakeRegistry();
    registry.publish("echoer", [["1", dead]]);
    await using client = testClient({ registry });
    for (let i = 0; i < 6; i++) await failure(ask(client, "Put", "x"));
    assert.equal(client.breakers().find(({ endpoint }) => endpoint === undefined)?.state, "OPEN");
    registry.publish("echoer", [["1", dead, "critical"]]);
    await using server = await echoServer("new");
    registry.publish("echoer", [
      ["1", dead, "critical"],
      ["2", server.port],
    ]);
    assert.equal(await ask(client, "Put", "x"), "new:x");
  });
});
