import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { until } from "../net/raw-server.fixture.ts";
import { echoServer, failure, openStream, readAll, silentLog, type Text, testClient, texts } from "./mesh.fixture.ts";

describe("request messages: client and bidi streaming", () => {
  it("sends every message and gets the one answer", async () => {
    await using server = await echoServer("a", {
      collect: (call, reply) => {
        const got: string[] = [];
        call.on("data", (value) => got.push(value));
        call.on("end", () => reply(null, got.join("+")));
      },
    });
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    const response = await openStream(client, "Collect", texts("a", "b", "c"));
    assert.deepEqual(await readAll(response.message), ["a+b+c"]);
  });

  it("replays the messages sent so far to the next attempt, while they fit the buffer", async () => {
    let calls = 0;
    await using server = await echoServer("a", {
      collect: (call, reply) => {
        calls += 1;
        const got: string[] = [];
        call.on("data", (value) => {
          got.push(value);
          if (calls === 1 && got.length === 2) reply({ code: grpc.status.UNAVAILABLE, details: "no" });
        });
        call.on("end", () => reply(null, got.join("+")));
      },
    });
    const retryPolicy = {
      maxAttempts: 3,
      initialBackoff: "0.01s",
      maxBackoff: "0.01s",
      backoffMultiplier: 1,
      retryableStatusCodes: ["UNAVAILABLE"],
    };
    const config = { methodConfig: [{ name: [{}], retryPolicy }] };
    await using client = testClient({ config, upstreams: new Map([["echo", [server.address]]]) });
    const response = await openStream(client, "Collect", texts("a", "b", "c"));
    assert.deepEqual([await readAll(response.message), calls], [["a+b+c"], 2]);
  });

  it("does not retry, and says so in the log, when 300 KB were sent", async () => {
    let calls = 0;
    await using server = await echoServer("a", {
      collect: (call, reply) => {
        calls += 1;
        let bytes = 0;
        call.on("data", (value: string) => {
          bytes += value.length;
          if (bytes >= 300 * 1024) reply({ code: grpc.status.UNAVAILABLE, details: "no" });
        });
      },
    });
    const retryPolicy = {
      maxAttempts: 3,
      initialBackoff: "0.01s",
      maxBackoff: "0.01s",
      backoffMultiplier: 1,
      retryableStatusCodes: ["UNAVAILABLE"],
    };
    const lines: Record<string, unknown>[] = [];
    await using client = testClient({
      config: { methodConfig: [{ name: [{}], retryPolicy }] },
      log: silentLog(lines),
      upstreams: new Map([["echo", [server.address]]]),
    });
    const piece = "x".repeat(100 * 1024);
    const error = await failure(openStream(client, "Collect", texts(piece, piece, piece)));
    assert.deepEqual([error.code, calls], [Code.Unavailable, 1]);
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ["request too long to be kept for a retry", "call"],
    );
  });

  it("exchanges messages in both directions at once", async () => {
    await using server = await echoServer("a", {
      chat: (call) => {
        call.on("data", (value: string) => call.write(value.toUpperCase()));
        call.on("end", () => call.end());
      },
    });
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    const turns: (() => void)[] = [];
    async function* input(): AsyncIterable<never> {
      for (const value of ["a", "b", "c"]) {
        yield { value } as never;
        await new Promise<void>((next) => turns.push(next));
      }
    }
    const response = await openStream(client, "Chat", input());
    const got: string[] = [];
    for await (const message of response.message) {
      got.push((message as unknown as Text).value);
      turns.shift()?.();
    }
    assert.deepEqual(got, ["A", "B", "C"]);
  });

  it("ends with the error that the request's source throws, cancels on the server, and cleans the source up", async () => {
    let cancelled = 0;
    let cleaned = 0;
    await using server = await echoServer("a", {
      chat: (call) => {
        call.on("cancelled", () => {
          cancelled += 1;
        });
        call.on("data", () => {});
      },
    });
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    async function* input(): AsyncIterable<never> {
      try {
        yield { value: "a" } as never;
        await until("the server has the call", () => true);
        throw new ConnectError("no more", Code.DataLoss);
      } finally {
        cleaned += 1;
      }
    }
    const error = await failure(openStream(client, "Chat", input()));
    assert.deepEqual([error.code, error.rawMessage, cleaned], [Code.DataLoss, "no more", 1]);
    await until("the server saw it or never had it", () => cancelled === 1 || client.breakers().length === 2);
  });

  it("stops reading the source when the server has answered", async () => {
    let cleaned = 0;
    let read = 0;
    await using server = await echoServer("a", { collect: (_call, reply) => reply(null, "enough") });
    await using client = testClient({ upstreams: new Map([["echo", [server.address]]]) });
    async function* input(): AsyncIterable<never> {
      try {
        for (;;) {
          read += 1;
          yield { value: "x".repeat(1000) } as never;
          await new Promise((later) => setTimeout(later, 1));
        }
      } finally {
        cleaned += 1;
      }
    }
    const response = await openStream(client, "Collect", input());
    assert.deepEqual(await readAll(response.message), ["enough"]);
    await until("the source was closed", () => cleaned === 1);
    const then = read;
    await new Promise((later) => setTimeout(later, 10));
    assert.equal(read, then);
  });
});
