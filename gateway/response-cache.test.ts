import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { startTestGateway, type TestGateway, until } from "./fixtures/harness.ts";
import { type ShopBackend, shopBackend, shopContracts } from "./fixtures/shop.ts";

describe("gateway: the response cache", () => {
  let backend: ShopBackend;
  let gateway: TestGateway;
  let now = 1_000_000_000_000;
  beforeEach(async () => {
    backend = shopBackend();
    gateway = await startTestGateway({
      contracts: shopContracts(),
      transport: () => backend.transport,
      staticApiKeys: ["ops:k1", "other:k2"],
      clock: () => now,
    });
  });
  afterEach(() => gateway[Symbol.asyncDispose]());

  it("keeps a public answer for its ttl, and says so", async () => {
    const first = await gateway.send("GET /api/v1/catalog?page=1");
    now += 59_000;
    const second = await gateway.send("GET /api/v1/catalog?page=1", { headers: { "x-api-key": "k1" } });
    now += 1000;
    const third = await gateway.send("GET /api/v1/catalog?page=1");
    assert.equal(backend.calls.length, 2);
    assert.deepEqual([second.text, first.headers.age, second.headers.age, third.headers.age], [first.text, "0", "59", "0"]);
    assert.deepEqual(
      [first, second, third].map(({ headers }) => headers["cache-status"]),
      ["heddle; fwd=uri-miss; stored", "heddle; hit; ttl=1", "heddle; fwd=stale; stored"],
    );
    assert.equal(second.headers["cache-control"], "public, max-age=60, stale-if-error=600");
    assert.equal(second.headers.etag, first.headers.etag);
    assert.match(String(first.headers.etag), /^W\/"[\w-]{22}"$/);
    const fresh = await gateway.send("GET /api/v1/catalog?page=1", { headers: { "if-none-match": String(first.headers.etag) } });
    assert.deepEqual([fresh.status, fresh.text, fresh.headers.age], [304, "", "0"]);
  });

  it("tells requests apart by message, metadata and HTTP method, and HEAD shares with GET", async () => {
    for (const target of ["GET /api/v1/catalog?page=1", "GET /api/v1/catalog?page=2", "HEAD /api/v1/catalog?page=2"]) {
      await gateway.send(target);
    }
    await gateway.send("GET /api/v1/catalog?page=2", { headers: { "accept-language": "de" } });
    await gateway.send("GET /api/v1/catalog?page=2&fields=items.id");
    assert.equal(backend.calls.length, 3);
  });

  it("never shows a private answer to anybody else, nor to the same one with other rights", async () => {
    const seen: unknown[] = [];
    for (const key of ["k1", "k2", "k1", "k2"]) {
      const { headers } = await gateway.send("GET /api/v1/basket", { headers: { "x-api-key": key } });
      seen.push([headers["cache-status"], headers["cache-control"], headers.vary]);
    }
    const head = ["private, max-age=10", "Accept, Authorization, X-API-Key"];
    assert.deepEqual(seen, [
      ["heddle; fwd=uri-miss; stored", ...head],
      ["heddle; fwd=uri-miss; stored", ...head],
      ["heddle; hit; ttl=10", ...head],
      ["heddle; hit; ttl=10", ...head],
    ]);
    assert.equal((await gateway.send("GET /api/v1/basket")).status, 401);
    assert.equal(backend.calls.length, 2);
  });

  it("makes one call for 20 concurrent requests, and does not fail them when the first one's client leaves", async () => {
    const gate = Promise.withResolvers<void>();
    backend.gate = gate.promise;
    const leaver = new AbortController();
    const first = gateway.send("GET /api/v1/catalog", { signal: leaver.signal }).catch(() => undefined);
    await until(() => backend.calls.length === 1);
    const others = Array.from({ length: 20 }, () => gateway.send("GET /api/v1/catalog"));
    await until(() => gateway.lines.length === 0);
    leaver.abort();
    await first;
    await until(() => backend.calls.length === 2);
    gate.resolve();
    const statuses = (await Promise.all(others)).map(({ status }) => status);
    assert.deepEqual([new Set(statuses), backend.calls.length], [new Set([200]), 2]);
  });

  it("shows a stale answer for as long as it may while the backend fails, and not for a mistake of the client", async () => {
    await gateway.send("GET /api/v1/catalog");
    now += 61_000;
    backend.failure = new ConnectError("away", Code.Unavailable);
    const stale = await gateway.send("GET /api/v1/catalog");
    assert.deepEqual([stale.status, stale.headers.age], [200, "61"]);
    assert.equal(stale.headers["cache-status"], "heddle; fwd=stale; fwd-status=503; detail=stale-if-error");
    backend.failure = new ConnectError("no", Code.PermissionDenied);
    assert.equal((await gateway.send("GET /api/v1/catalog")).status, 403);
    backend.failure = new ConnectError("away", Code.Unavailable);
    now += 600_000;
    const gone = await gateway.send("GET /api/v1/catalog");
    assert.deepEqual([gone.status, gone.headers.etag, gone.headers["cache-control"]], [503, undefined, undefined]);
  });

  it("keeps no failure, and asks again for a client that does not want a kept one", async () => {
    backend.failure = new ConnectError("away", Code.Unavailable);
    await gateway.send("GET /api/v1/catalog");
    backend.failure = undefined;
    await gateway.send("GET /api/v1/catalog");
    await gateway.send("GET /api/v1/catalog", { headers: { "cache-control": "no-cache" } });
    await gateway.send("GET /api/v1/catalog");
    assert.equal(backend.calls.length, 3);
  });
});
