import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { runWithContext } from "../context.ts";
import { until } from "../net/raw-server.fixture.ts";
import { ask, callContext, codeOf, echoServer, testClient } from "./mesh.fixture.ts";
import { fakeRegistry } from "./registry.fixture.ts";

describe("call: deadline", () => {
  it("takes the least of context, timeoutMs and service config", async () => {
    await using server = await echoServer("a");
    const config = { methodConfig: [{ name: [{}], timeout: "5s" }] };
    await using client = testClient({ config, upstreams: new Map([["echo", [server.address]]]) });
    await ask(client, "Get", "config");
    await ask(client, "Get", "own", { timeoutMs: 3000 });
    await runWithContext(callContext({ deadline: Date.now() + 1000 }), () => ask(client, "Get", "context", { timeoutMs: 3000 }));
    assert.deepEqual(
      server.timeouts.map((ms) => Math.ceil(ms / 1000)),
      [5, 3, 1],
    );
  });

  it("shrinks over a hop: the second call gets what the first has left", async () => {
    await using inner = await echoServer("inner");
    await using client = testClient({ upstreams: new Map([["echo", [inner.address]]]) });
    await using outer = await echoServer("outer", {
      unary: (value, call, reply) => {
        const deadline = Number(call.getDeadline());
        setTimeout(() => {
          const hop = () => ask(client, "Get", value);
          runWithContext(callContext({ deadline }), hop).then((answer) => reply(null, answer), reply);
        }, 40);
      },
    });
    await using first = testClient({ upstreams: new Map([["echo", [outer.address]]]) });
    assert.equal(await ask(first, "Get", "x", { timeoutMs: 2000 }), "inner:x");
    const [given, left] = [outer.timeouts[0] ?? 0, inner.timeouts[0] ?? 0];
    assert.ok(given <= 2000 && left <= given - 39, `given ${given}, left ${left}`);
  });

  it("an expired parent fails here with DEADLINE_EXCEEDED and sends nothing", async () => {
    await using server = await echoServer("a");
    const registry = fakeRegistry();
    await using client = testClient({ registry, upstreams: new Map([["echo", [server.address]]]) });
    assert.equal(
      await codeOf(runWithContext(callContext({ deadline: Date.now() }), () => ask(client, "Get", "x"))),
      Code.DeadlineExceeded,
    );
    assert.equal(server.calls.length, 0);
  });

  it("ends a call without an answer at its deadline, cancels it on the server, and does not retry it", async () => {
    let cancelled = 0;
    await using server = await echoServer("a", {
      unary: (_value, call) => {
        call.on("cancelled", () => {
          cancelled += 1;
        });
      },
    });
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    const start = performance.now();
    assert.equal(await codeOf(ask(client, "Get", "x", { timeoutMs: 60 })), Code.DeadlineExceeded);
    const took = performance.now() - start;
    assert.ok(took >= 59 && took < 1000, `took ${took} ms`);
    await until("the server saw it", () => cancelled === 1);
    assert.equal(server.calls.length, 1);
  });

  it("never waits beyond the deadline for the registry, a backoff or an endpoint", async () => {
    await using waiting = testClient({ config: { methodConfig: [{ name: [{}], waitForReady: true }] } });
    assert.equal(await codeOf(ask(waiting, "Put", "x", { timeoutMs: 30 })), Code.DeadlineExceeded);
    await using server = await echoServer("a", {
      unary: (_v, _call, reply) => reply({ code: grpc.status.UNAVAILABLE, details: "no" }),
    });
    const retryPolicy = {
      maxAttempts: 5,
      initialBackoff: "10s",
      maxBackoff: "10s",
      backoffMultiplier: 1,
      retryableStatusCodes: ["UNAVAILABLE"],
    };
    const config = { methodConfig: [{ name: [{}], retryPolicy }] };
    await using slow = testClient({ config, upstreams: new Map([["echo", [server.address]]]) });
    assert.equal(await codeOf(ask(slow, "Put", "x", { timeoutMs: 100 })), Code.Unavailable);
  });

  it("timeoutMs 0 means no limit of the caller's own", async () => {
    await using server = await echoServer("a");
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    assert.equal(await ask(client, "Get", "x", { timeoutMs: 0 }), "a:x");
    assert.deepEqual(server.timeouts, [Number.POSITIVE_INFINITY]);
  });
});

describe("call: cancellation", () => {
  for (const how of ["the caller's signal", "the context's signal"]) {
    it(`${how} ends the call with CANCELLED and reaches the server`, async () => {
      let cancelled = 0;
      await using server = await echoServer("a", {
        unary: (_value, call) => {
          call.on("cancelled", () => {
            cancelled += 1;
          });
        },
      });
      await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
      const abort = new AbortController();
      const { signal } = abort;
      const calls: Readonly<Record<string, () => Promise<string>>> = {
        "the caller's signal": () => ask(client, "Get", "x", { signal }),
        "the context's signal": () => runWithContext(callContext({ signal }), () => ask(client, "Get", "x")),
      };
      const code = codeOf(calls[how]?.() ?? Promise.reject(new Error(how)));
      await until("the call is there", () => server.calls.length === 1);
      abort.abort();
      assert.equal(await code, Code.Canceled);
      await until("the server saw it", () => cancelled === 1);
      assert.equal(server.calls.length, 1);
    });
  }

  it("a call whose signal is aborted already sends nothing", async () => {
    await using server = await echoServer("a");
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    assert.equal(await codeOf(ask(client, "Get", "x", { signal: AbortSignal.abort() })), Code.Canceled);
    assert.equal(server.calls.length, 0);
  });

  it("leaves no listener on a signal, and warns of none, after 200 calls at once on one context", async () => {
    const warnings: string[] = [];
    const onWarning = (warning: Error) => warnings.push(warning.message);
    process.on("warning", onWarning);
    await using server = await echoServer("a");
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners += 1;
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners -= 1;
      removeEventListener.apply(signal, args);
    };
    await runWithContext(callContext({ signal }), () => Promise.all(Array.from({ length: 200 }, () => ask(client, "Get", "x"))));
    await new Promise((later) => setImmediate(later));
    process.off("warning", onWarning);
    assert.deepEqual([listeners, warnings], [0, []]);
  });
});
