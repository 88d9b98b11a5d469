import assert from "node:assert/strict";
import { metrics } from "@opentelemetry/api";
import { type AnswerCache, answerCache, type SharedStore } from "./answer-cache.ts";

const meter = metrics.getMeter("test");
const ttlMs = 60_000;

function cacheWith(shared?: SharedStore, concurrency = 1): AnswerCache {
  return answerCache({ ttlMs, maxBytes: 2 ** 20, concurrency, shared, meter });
}

/** Computations that end when the test says so. */
function computing() {
  const started: { signal: AbortSignal; finish: (value: string) => void }[] = [];
  const compute = (signal: AbortSignal) =>
    new Promise<Uint8Array>((resolve, reject) => {
      started.push({ signal, finish: (value) => resolve(Buffer.from(value)) });
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  return { started, compute };
}

const never = new AbortController().signal;
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("analytics answer cache", () => {
  it("computes once for all who ask meanwhile, and keeps the answer", async () => {
    const cache = cacheWith();
    const { started, compute } = computing();
    const ask = () => cache.get({ key: "a", fresh: false, signal: never, compute });
    const all = [ask(), ask(), ask()];
    await turn();
    assert.equal(started.length, 1);
    started[0]?.finish("x");
    for (const { value, cached } of await Promise.all(all))
      assert.deepEqual([Buffer.from(value).toString(), cached], ["x", false]);
    assert.equal((await ask()).cached, true);
  });

  it("goes on for the others when one leaves, and ends when all have left", async () => {
    const cache = cacheWith();
    const { started, compute } = computing();
    const [one, two] = [new AbortController(), new AbortController()];
    const asked = [one, two].map(({ signal }) => cache.get({ key: "a", fresh: false, signal, compute }));
    const outcomes = Promise.allSettled(asked);
    await turn();
    one.abort(new Error("left"));
    await assert.rejects(asked[0] ?? Promise.resolve(), /left/);
    assert.equal(started[0]?.signal.aborted, false);
    two.abort(new Error("left"));
    await outcomes;
    assert.equal(started[0]?.signal.aborted, true);
  });

  it("computes anew for who asks for a fresh answer, and keeps no failure", async () => {
    const cache = cacheWith();
    let count = 0;
    const compute = async () => Buffer.from(String(++count));
    const ask = async (fresh: boolean) =>
      Buffer.from((await cache.get({ key: "a", fresh, signal: never, compute })).value).toString();
    assert.deepEqual([await ask(false), await ask(true), await ask(false)], ["1", "2", "2"]);
    const fail = { key: "b", fresh: false, signal: never, compute: () => Promise.reject(new Error("away")) };
    await assert.rejects(cache.get(fail), /away/);
    assert.equal((await cache.get({ ...fail, compute })).cached, false);
  });

  it("computes one at a time where that is the limit, and gives the turn on when one has left", async () => {
    const cache = cacheWith();
    const { started, compute } = computing();
    const leaving = new AbortController();
    const first = cache.get({ key: "a", fresh: false, signal: never, compute });
    const second = cache.get({ key: "b", fresh: false, signal: leaving.signal, compute });
    const third = cache.get({ key: "c", fresh: false, signal: never, compute });
    await turn();
    assert.equal(started.length, 1);
    leaving.abort(new Error("left"));
    await assert.rejects(second, /left/);
    started[0]?.finish("1");
    await first;
    await turn();
    assert.equal(started.length, 2);
    started[1]?.finish("3");
    assert.equal(Buffer.from((await third).value).toString(), "3");
  });

  it("asks the store that all instances share before it computes, and puts there what it computed", async () => {
    const stored = new Map<string, Uint8Array>([["there", Buffer.from("other")]]);
    const puts: [string, number][] = [];
    const shared: SharedStore = {
      get: async (key) => stored.get(key),
      put: (key, _value, ttl) => void puts.push([key, ttl]),
    };
    const cache = cacheWith(shared);
    const compute = async () => Buffer.from("own");
    const there = await cache.get({ key: "there", fresh: false, signal: never, compute });
    assert.deepEqual([Buffer.from(there.value).toString(), there.cached], ["other", true]);
    const fresh = await cache.get({ key: "there", fresh: true, signal: never, compute });
    assert.deepEqual([Buffer.from(fresh.value).toString(), fresh.cached, puts], ["own", false, [["there", ttlMs]]]);
  });
});
