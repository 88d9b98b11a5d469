import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { freePort, freezingProxy, silentServer, until } from "../net/raw-server.fixture.ts";
import { ask, echoServer, failure, testClient } from "./mesh.fixture.ts";
import { fakeRegistry } from "./registry.fixture.ts";

describe("createMeshClient: discovery", () => {
  it("finds the service of a contract by its tag, watches it once, and calls it", async () => {
    await using server = await echoServer("a");
    const registry = fakeRegistry();
    registry.publish("echoer", [["echoer-1", server.port]]);
    await using client = testClient({ registry });
    assert.deepEqual(await Promise.all([ask(client, "Get", "x"), ask(client, "Get", "y")]), ["a:x", "a:y"]);
    assert.deepEqual([registry.watched, registry.catalogWatches], [["echoer"], 1]);
  });

  it("watches nothing before the first call", async () => {
    const registry = fakeRegistry();
    await using _client = testClient({ registry });
    assert.deepEqual([registry.watched, registry.catalogWatches], [[], 0]);
  });

  it("waits for the registry's first answer", async () => {
    await using server = await echoServer("a");
    const registry = fakeRegistry();
    await using client = testClient({ registry });
    const call = ask(client, "Get", "x");
    await until("the catalog is watched", () => registry.catalogWatches === 1);
    registry.publish("echoer", [["echoer-1", server.port]]);
    assert.equal(await call, "a:x");
  });

  it("fails with UNAVAILABLE at once when the catalog has no service for the contract", async () => {
    const registry = fakeRegistry({ other: ["other.v1.Other"] });
    registry.publish("other", [["other-1", 1]]);
    await using client = testClient({ registry });
    const error = await failure(ask(client, "Put", "x"));
    assert.deepEqual([error.code, error.rawMessage], [Code.Unavailable, "no running service serves echo.v1.Echo"]);
  });

  it("fails with UNAVAILABLE when the service has no instance", async () => {
    const registry = fakeRegistry();
    registry.publish("echoer", []);
    await using client = testClient({ registry });
    const error = await failure(ask(client, "Put", "x"));
    assert.deepEqual([error.code, error.rawMessage], [Code.Unavailable, "no instance of echoer is running"]);
  });

  it("needs no registry for upstreams, by contract or by service name", async () => {
    await using server = await echoServer("a");
    for (const name of ["echo.v1.Echo", "echo"]) {
      const registry = fakeRegistry();
      await using client = testClient({ registry, upstreams: new Map([[name, [server.address]]]) });
      assert.equal(await ask(client, "Get", name), `a:${name}`);
      assert.equal(registry.catalogWatches, 0);
    }
  });

  it("does not pick a critical instance, and picks it again when it passes", async () => {
    await using a = await echoServer("a");
    await using b = await echoServer("b");
    const registry = fakeRegistry();
    registry.publish("echoer", [
      ["1", a.port],
      ["2", b.port, "critical"],
    ]);
    await using client = testClient({ registry });
    for (let i = 0; i < 20; i++) assert.equal(await ask(client, "Get", "x"), "a:x");
    registry.publish("echoer", [
      ["1", a.port, "critical"],
      ["2", b.port],
    ]);
    for (let i = 0; i < 20; i++) assert.equal(await ask(client, "Get", "x"), "b:x");
  });

  it("uses all instances when fewer than half pass", async () => {
    await using a = await echoServer("a");
    const registry = fakeRegistry();
    registry.publish("echoer", [["1", a.port, "critical"]]);
    await using client = testClient({ registry });
    assert.equal(await ask(client, "Get", "x"), "a:x");
  });

  it("lets a running call finish when its instance is removed, and sends new ones elsewhere", async () => {
    let release = () => {};
    await using a = await echoServer("a", {
      unary: (value, _call, reply) => {
        release = () => reply(null, `a:${value}`);
      },
    });
    await using b = await echoServer("b");
    const registry = fakeRegistry();
    registry.publish("echoer", [["1", a.port]]);
    await using client = testClient({ registry });
    const running = ask(client, "Put", "x");
    await until("the call is there", () => a.calls.length === 1);
    registry.publish("echoer", [["2", b.port]]);
    assert.equal(await ask(client, "Put", "y"), "b:y");
    release();
    assert.equal(await running, "a:x");
  });

  it("connects at once, whatever the backoff, to an instance that turns from critical to passing", async () => {
    const port = await freePort();
    const registry = fakeRegistry();
    registry.publish("echoer", [["1", port]]);
    const now = Date.now();
    await using client = testClient({ registry, clock: () => now });
    assert.equal((await failure(ask(client, "Put", "x"))).code, Code.Unavailable);
    await using _server = await echoServer("back", {}, port);
    assert.equal((await failure(ask(client, "Put", "x"))).rawMessage, "no instance of echoer can be reached");
    registry.publish("echoer", [["1", port, "critical"]]);
    registry.publish("echoer", [["1", port]]);
    assert.equal(await ask(client, "Put", "x"), "back:x");
  });

  it("ready() settles with the first passing instance, and rejects with CANCELLED on abort", async () => {
    const registry = fakeRegistry();
    await using client = testClient({ registry });
    const abort = new AbortController();
    const gaveUp = failure(client.ready("echo.v1.Echo", abort.signal));
    abort.abort();
    assert.equal((await gaveUp).code, Code.Canceled);
    const ready = client.ready("echo.v1.Echo", new AbortController().signal);
    registry.publish("echoer", [["1", 1, "critical"]]);
    registry.publish("echoer", [["1", 1]]);
    await ready;
  });
});

describe("createMeshClient: half-dead endpoints", () => {
  it("a peer that accepts and says nothing does not hold up calls once another is connected", async () => {
    await using silent = await silentServer();
    await using server = await echoServer("a");
    const connection = { connectTimeoutMs: 300 };
    await using client = testClient({ connection, upstreams: new Map([["echo", [silent.address, server.address]]]) });
    assert.equal(await ask(client, "Put", "first"), "a:first");
    const start = performance.now();
    for (let i = 0; i < 20; i++) await ask(client, "Put", "x");
    assert.ok(performance.now() - start < 250);
  });

  it("a frozen peer costs one call its deadline; the unanswered ping then sends all others elsewhere", async () => {
    await using server = await echoServer("a");
    await using proxy = await freezingProxy(server.port);
    const connection = { keepaliveTimeoutMs: 20, connectTimeoutMs: 50 };
    await using client = testClient({ connection, upstreams: new Map([["echo", [proxy.address]]]) });
    assert.equal(await ask(client, "Put", "x"), "a:x");
    proxy.freeze();
    assert.equal((await failure(ask(client, "Put", "x", { timeoutMs: 30 }))).code, Code.DeadlineExceeded);
    const error = await failure(ask(client, "Put", "x", { timeoutMs: 5000 }));
    assert.deepEqual([error.code, error.rawMessage], [Code.Unavailable, "no answer to a ping within 20 ms"]);
  });
});
