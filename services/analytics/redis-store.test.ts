import assert from "node:assert/strict";
import { createLogger } from "#mesh/telemetry/log.ts";
import { needRedis, startRedis } from "../../e2e/servers/redis.ts";
import { until } from "../../e2e/until.ts";
import { redisStore } from "./redis-store.ts";

const log = createLogger({ service: "analytics", instance: "test", level: "silent" });

describe("analytics answers in Redis", () => {
  it("come back as the same bytes, end with their time, and are missed while Redis is away", async function () {
    await using redis = await startRedis(needRedis(this));
    await using store = redisStore({ url: redis.url, log });
    const value = Uint8Array.from({ length: 256 }, (_, index) => index);
    await until("the store to keep", async () => {
      store.put("a", value, 60_000);
      return (await store.get("a")) !== undefined;
    });
    assert.deepEqual(new Uint8Array((await store.get("a")) ?? []), value);
    store.put("b", value, 1);
    await until("b to end", async () => (await store.get("b")) === undefined);
    await redis.kill();
    assert.equal(await store.get("a"), undefined);
    store.put("a", value, 60_000);
  });
});
