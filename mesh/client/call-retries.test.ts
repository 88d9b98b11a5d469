import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Code, type ConnectError } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { answer, frame, freePort, rawServer } from "../net/raw-server.fixture.ts";
import { ask, type EchoHandlers, echoServer, failure, silentLog, testClient } from "./mesh.fixture.ts";
import { fakeRegistry } from "./registry.fixture.ts";

const retryUnavailable = {
  methodConfig: [
    {
      name: [{ service: "echo.v1.Echo" }],
      retryPolicy: {
        maxAttempts: 3,
        initialBackoff: "0.01s",
        maxBackoff: "0.02s",
        backoffMultiplier: 1,
        retryableStatusCodes: ["UNAVAILABLE"],
      },
    },
  ],
};

/** An echo server in a process of its own. */
async function childServer(): Promise<{ port: number; kill(): void } & AsyncDisposable> {
  const fixture = new URL("mesh.fixture.ts", import.meta.url).href;
  const script = `const { echoServer } = await import(${JSON.stringify(fixture)}); console.log((await echoServer("child")).port)`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const [line] = await once(child.stdout, "data");
  const kill = () => void child.kill("SIGKILL");
  return {
    port: Number(line),
    kill,
    async [Symbol.asyncDispose]() {
      kill();
      await exited;
    },
  };
}

function unavailable(reply: grpc.sendUnaryData<string>, metadata?: grpc.Metadata): void {
  reply({ code: grpc.status.UNAVAILABLE, details: "not now", ...(metadata === undefined ? {} : { metadata }) });
}

describe("call: retries", () => {
  it("retries UNAVAILABLE by the policy: 3 attempts, numbered by grpc-previous-rpc-attempts", async () => {
    await using server = await echoServer("a", { unary: (_value, _call, reply) => unavailable(reply) });
    await using client = testClient({ config: retryUnavailable, upstreams: new Map([["echo", [server.address]]]) });
    const error = await failure(ask(client, "Put", "x"));
    assert.deepEqual([error.code, error.rawMessage], [Code.Unavailable, "not now"]);
    assert.deepEqual(
      server.calls.map((metadata) => metadata.get("grpc-previous-rpc-attempts")),
      [[], ["1"], ["2"]],
    );
  });

  it("answers with the attempt that succeeds, and says so in one log line", async () => {
    let failures = 2;
    await using server = await echoServer("a", {
      unary: (value, _call, reply) => (failures-- > 0 ? unavailable(reply) : reply(null, value)),
    });
    const lines: Record<string, unknown>[] = [];
    await using client = testClient({
      config: retryUnavailable,
      upstreams: new Map([["echo", [server.address]]]),
      log: silentLog(lines),
    });
    assert.equal(await ask(client, "Put", "x"), "x");
    assert.equal(lines.length, 1);
    const [line] = lines;
    assert.deepEqual([line?.rpc, line?.service, line?.status, line?.attempts], ["echo.v1.Echo/Put", "echo", "OK", 3]);
    assert.match(
      String(line?.trail),
      /^picked 127\.0\.0\.1:\d+; UNAVAILABLE: not now; retry after \d+ ms; attempt 2 on [\d.:]+; UNAVAILABLE: not now; retry after \d+ ms; attempt 3 on [\d.:]+$/,
    );
  });

  it("does not retry Put, which may have side effects, without a policy; retries Get up to 3 attempts", async () => {
    await using server = await echoServer("a", { unary: (_value, _call, reply) => unavailable(reply) });
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    await failure(ask(client, "Put", "x"));
    assert.equal(server.calls.length, 1);
    await failure(ask(client, "Get", "x"));
    assert.equal(server.calls.length, 4);
  });

  it("does not retry after response headers", async () => {
    await using server = await echoServer("a", {
      unary: (_value, call, reply) => {
        call.sendMetadata(new grpc.Metadata());
        setImmediate(() => unavailable(reply));
      },
    });
    await using client = testClient({ config: retryUnavailable, upstreams: new Map([["echo", [server.address]]]) });
    await failure(ask(client, "Put", "x"));
    assert.equal(server.calls.length, 1);
  });

  it("retries Get, which is idempotent, when the connection breaks between headers and trailers; not Put, even with a policy", async () => {
    for (const [method, streams] of [
      ["Get", 2],
      ["Put", 1],
    ] as const) {
      let seen = 0;
      await using server = await rawServer((stream) => {
        seen += 1;
        if (seen > 1) return answer(stream, ["\n\u0005whole"]);
        stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
        stream.write(frame("torn"), () => stream.session?.destroy());
      });
      await using client = testClient({ config: retryUnavailable, upstreams: new Map([["echo", [server.address]]]) });
      const result = await ask(client, method, "x").catch((error: ConnectError) => error.code);
      assert.deepEqual([result, seen], [method === "Get" ? "whole" : Code.Unavailable, streams]);
    }
  });

  it("waits exactly as grpc-retry-pushback-ms says, and stops at -1", async () => {
    const pushback = ["30", "-1"];
    const times: number[] = [];
    await using server = await echoServer("a", {
      unary: (_value, _call, reply) => {
        const metadata = new grpc.Metadata();
        metadata.set("grpc-retry-pushback-ms", pushback[times.length] ?? "");
        times.push(performance.now());
        unavailable(reply, metadata);
      },
    });
    await using client = testClient({ config: retryUnavailable, upstreams: new Map([["echo", [server.address]]]) });
    await failure(ask(client, "Put", "x"));
    assert.equal(times.length, 2);
    const waited = (times[1] ?? 0) - (times[0] ?? 0);
    assert.ok(waited >= 29 && waited < 500, `waited ${waited} ms`);
  });

  it("retries a refused stream once for free, even without a policy, and not a second time", async () => {
    const previous: unknown[] = [];
    let refusals = 1;
    await using server = await rawServer((stream, fields) => {
      previous.push(fields["grpc-previous-rpc-attempts"]);
      if (refusals-- > 0) stream.close(7);
      else answer(stream, [""]);
    });
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    assert.equal(await ask(client, "Put", "x"), "");
    assert.deepEqual(previous, [undefined, undefined]);
    refusals = 5;
    assert.equal((await failure(ask(client, "Put", "x"))).code, Code.Unavailable);
    assert.equal(previous.length, 4);
  });

  it("goes on to the next endpoint at once when one refuses connections, and avoids it afterwards", async () => {
    await using server = await echoServer("a");
    const dead = `127.0.0.1:${await freePort()}`;
    await using client = testClient({ upstreams: new Map([["echo", [dead, server.address]]]) });
    for (let i = 0; i < 30; i++) assert.equal(await ask(client, "Put", `${i}`), `a:${i}`);
    assert.equal(server.calls.length, 30);
  });

  it("fails with UNAVAILABLE when every endpoint refuses connections", async () => {
    const dead = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    await using client = testClient({ upstreams: new Map([["echo", dead]]) });
    const error = await failure(ask(client, "Put", "x"));
    assert.deepEqual([error.code, error.rawMessage], [Code.Unavailable, "no instance of echo can be reached"]);
    assert.match(String(error.cause), /ECONNREFUSED/);
  });

  it("waits for an endpoint when the method waits for ready", async () => {
    const port = await freePort();
    const config = { methodConfig: [{ name: [{}], waitForReady: true, timeout: "10s" }] };
    await using client = testClient({ config, upstreams: new Map([["echo", [`127.0.0.1:${port}`]]]) });
    const call = ask(client, "Put", "x");
    await using _server = await echoServer("late", {}, port);
    assert.equal(await call, "late:x");
  });

  it("loses no idempotent call when 1 of 2 instances gets SIGKILL under load, nor when one is shut down by force", async () => {
    const slow: EchoHandlers = { unary: (value, _call, reply) => void setTimeout(() => reply(null, value), 2) };
    await using survivor = await echoServer("survivor", slow);
    await using forced = await echoServer("forced", slow);
    await using killed = await childServer();
    for (const [port, end] of [
      [killed.port, killed.kill],
      [forced.port, forced.kill],
    ] as const) {
      const registry = fakeRegistry();
      registry.publish("echoer", [
        ["1", port],
        ["2", survivor.port],
      ]);
      await using client = testClient({ registry });
      const failures: unknown[] = [];
      let done = 0;
      const worker = async () => {
        for (let i = 0; i < 100; i++) {
          await ask(client, "Get", `${i}`).catch((error) => failures.push(error));
          done += 1;
          if (done === 300) end();
        }
      };
      await Promise.all(Array.from({ length: 8 }, worker));
      assert.deepEqual([failures, done], [[], 800]);
    }
    assert.ok(forced.calls.length > 50, `the instance that ended had only ${forced.calls.length} calls`);
  });

  it("loses no call at all when an instance drains by GOAWAY", async () => {
    await using a = await rawServer((stream) => answer(stream, [""]));
    await using b = await rawServer((stream) => answer(stream, [""]));
    await using client = testClient({ upstreams: new Map([["echo", [a.address, b.address]]]) });
    for (let i = 0; i < 200; i++) {
      if (i % 20 === 0) for (const session of a.sessions) session.close();
      await Promise.all([ask(client, "Put", "x"), ask(client, "Put", "y")]);
    }
  });
});
