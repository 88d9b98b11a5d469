import assert from "node:assert/strict";
import { connect } from "node:http2";
import { connect as connectTcp } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, createClient } from "@connectrpc/connect";
import { Health } from "#gen/grpc/health/v1/health_pb.ts";
import { refusal, startEcho, until } from "./server.fixture.ts";

describe("drain", () => {
  it("a call in flight finishes, a new connection is refused, and the server ends as soon as the call has", async () => {
    const started = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<void>();
    await using echo = await startEcho({
      async unary() {
        started.resolve();
        await finish.promise;
        return { text: "finished" };
      },
    });
    const call = echo.client().unary({});
    await started.promise;
    const before = performance.now();
    const drained = echo.server.drain(5000);
    const refused = await new Promise<string>((resolve) => {
      connectTcp(echo.server.port, "127.0.0.1").on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
    });
    assert.equal(refused, "ECONNREFUSED");
    finish.resolve();
    assert.equal((await call).text, "finished");
    await drained;
    assert(performance.now() - before < 2000);
  });

  it("a call that takes longer than drain(50) ends UNAVAILABLE", async () => {
    const started = Promise.withResolvers<void>();
    await using echo = await startEcho({
      unary() {
        started.resolve();
        return new Promise(() => undefined);
      },
    });
    const call = refusal(echo.client().unary({}));
    await started.promise;
    await echo.server.drain(50);
    const { code, rawMessage } = await call;
    assert.deepEqual([code, rawMessage], [Code.Unavailable, "the server is shutting down"]);
  });

  it("a watch without a deadline does not hold up drain(10000); one that still sends goes on to its end", async () => {
    await using echo = await startEcho({
      async *server() {
        for (let n = 0; n < 8; n++) {
          yield { text: String(n) };
          await sleep(50);
        }
      },
    });
    const watch = createClient(Health, echo.transport("grpc")).watch({})[Symbol.asyncIterator]();
    const download = echo.client().server({})[Symbol.asyncIterator]();
    assert.equal((await watch.next()).done, false);
    assert.equal((await download.next()).value?.text, "0");
    const drained = echo.server.drain(10_000);
    assert.equal((await refusal(watch.next())).code, Code.Unavailable);
    const rest = await Array.fromAsync({ [Symbol.asyncIterator]: () => download });
    assert.equal(rest.length, 7);
    const before = performance.now();
    await drained;
    assert(performance.now() - before < 3000);
  });

  it("peers are told by GOAWAY first with the highest stream id, then with the last one", async () => {
    let finish = () => {};
    await using echo = await startEcho({
      unary: () =>
        new Promise((resolve) => {
          finish = () => resolve({});
        }),
    });
    const session = connect(echo.url);
    const ids: number[] = [];
    session.on("goaway", (_code, lastStreamId) => ids.push(lastStreamId));
    const stream = session.request({
      ":method": "POST",
      ":path": "/test.v1.EchoService/Unary",
      "content-type": "application/grpc",
    });
    stream.resume();
    stream.end(Buffer.alloc(5));
    await until(() => finish.toString().includes("resolve"));
    const drained = echo.server.drain(5000);
    await until(() => ids.length === 2);
    finish();
    await drained;
    assert.deepEqual(ids.slice(0, 2), [2 ** 31 - 1, 1]);
    session.destroy();
  });

  it("a connection that never says a word does not hold up drain(50)", async () => {
    await using echo = await startEcho({});
    const silent = connectTcp(echo.server.port, "127.0.0.1");
    await new Promise((resolve) => silent.once("connect", resolve));
    silent.on("error", () => undefined).resume();
    const closed = new Promise((resolve) => silent.once("close", resolve));
    await echo.server.drain(50);
    await closed;
  });
});
