import assert from "node:assert/strict";
import { metrics } from "@opentelemetry/api";
import pino from "pino";
import type { RateLimiter } from "../gateway/rate-limiter.ts";
import { redisRateLimiter } from "../gateway/redis-rate-limiter.ts";
import { needRedis, type RedisServer, startRedis } from "./servers/redis.ts";
import { until } from "./until.ts";

describe("rate limits in a real Redis", () => {
  const undo = new AsyncDisposableStack();
  const lines: string[] = [];
  let redis: RedisServer;
  let gateways: RateLimiter[];
  const slow = { perSecond: 1, burst: 10 };

  before(async function () {
    redis = undo.use(await startRedis(needRedis(this)));
    const log = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line).msg) });
    const meter = metrics.getMeter("test");
    const open = () => undo.use(redisRateLimiter({ url: redis.url, log, meter, timeoutMs: 300 }));
    gateways = [open(), open()];
    await untilShared(gateways, "first");
  });
  after(() => undo.disposeAsync());

  it("two gateways let 10 of 40 concurrent requests through together", async () => {
    const taken = await Promise.all(Array.from({ length: 40 }, (_, i) => gateways[i % 2]?.take("c1", slow, 0)));
    assert.equal(taken.filter((one) => one?.waitMs === 0).length, 10);
    const refused = taken.find((one) => one?.waitMs !== 0);
    assert.ok((refused?.waitMs ?? 0) > 0 && (refused?.waitMs ?? 0) <= 1000, JSON.stringify(refused));
    assert.deepEqual([refused?.remaining, refused?.resetSeconds], [0, 10]);
  });

  it("keys and limits have buckets of their own", async () => {
    const [gateway] = gateways;
    assert.equal((await gateway?.take("c2", slow, 0))?.remaining, 9);
    assert.equal((await gateway?.take("c3", slow, 0))?.remaining, 9);
    assert.equal((await gateway?.take("c3", { perSecond: 1, burst: 3 }, 0))?.remaining, 2);
  });

  it("while Redis is away each gateway counts alone, and the log says so once; then together again", async () => {
    await redis.kill();
    const alone = await Promise.all(Array.from({ length: 40 }, (_, i) => gateways[i % 2]?.take("c4", slow, 0)));
    assert.equal(alone.filter((one) => one?.waitMs === 0).length, 20);
    assert.equal(lines.filter((line) => line.startsWith("Redis is away")).length, 2);
    await redis.restart();
    await untilShared(gateways, "again");
  });

  it("a Redis that hangs holds no request up for longer than the timeout, and is left alone for a second", async () => {
    redis.signal("SIGSTOP");
    try {
      const started = performance.now();
      assert.equal((await gateways[0]?.take("c5", slow, 0))?.remaining, 9);
      assert.ok(performance.now() - started < 2000);
      const second = performance.now();
      for (let i = 0; i < 5; i++) await gateways[0]?.take("c5", slow, 0);
      assert.ok(performance.now() - second < 290, `${performance.now() - second} ms`);
    } finally {
      redis.signal("SIGCONT");
    }
    await untilShared(gateways, "after the hang");
  });
});

/** Until both gateways count in one bucket. */
async function untilShared([one, other]: RateLimiter[], key: string): Promise<void> {
  let round = 0;
  await until("the gateways to share buckets", async () => {
    const name = `${key} ${round++}`;
    const first = await one?.take(name, { perSecond: 0.001, burst: 5 }, 0);
    const second = await other?.take(name, { perSecond: 0.001, burst: 5 }, 0);
    return first?.remaining === 4 && second?.remaining === 3;
  });
}
