import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { metrics } from "@opentelemetry/api";
import pino from "pino";
import { until } from "#mesh/storage/database.fixture.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { testDatabase } from "#mesh/testing.ts";
import { type Outbox, type OutboxOptions, openOutbox, type StoredEvent } from "./outbox.ts";

const log = pino({ level: "silent" });
const meter = metrics.getMeter("test");

describe("outbox", () => {
  let db: Database;
  let open: AsyncDisposableStack;

  beforeEach(async () => {
    open = new AsyncDisposableStack();
    db = open.use(await openDatabase({ url: await testDatabase(), service: "test", log }));
  });

  afterEach(() => open.disposeAsync());

  const start = async (publish: OutboxOptions["publish"], more: Partial<OutboxOptions> = {}) =>
    open.use(await openOutbox({ db, publish, log, meter, clock: Date.now, ...more }));
  const put = (outbox: Outbox, key: string, n: number, more: { type?: string; id?: string } = {}) =>
    db.transaction((tx) => outbox.put(tx, { topic: "t", key, type: "test.happened", data: { n }, ...more }));

  it("publishes what a committed transaction put, with its id and all that it holds, and forgets it then", async () => {
    const seen: StoredEvent[] = [];
    const outbox = await start(async (event) => void seen.push(event), { clock: () => 1_700_000_000_000, pollMs: 60_000 });
    const id = await db.transaction((tx) =>
      outbox.put(tx, { topic: "payments", key: "k", type: "payment.captured", data: { a: [1, "ü", null] } }),
    );
    await until(async () => seen.length === 1 && (await outbox.waiting()) === 0);
    const at = new Date(1_700_000_000_000);
    assert.deepEqual(seen, [{ topic: "payments", key: "k", type: "payment.captured", data: { a: [1, "ü", null] }, id, at }]);
  });

  it("publishes nothing of a transaction that was rolled back", async () => {
    const seen: StoredEvent[] = [];
    const outbox = await start(async (event) => void seen.push(event));
    await assert.rejects(
      db.transaction(async (tx) => {
        await outbox.put(tx, { topic: "t", key: "a", type: "x", data: { n: 1 } });
        throw new Error("no");
      }),
    );
    await put(outbox, "a", 2);
    await until(async () => (await outbox.waiting()) === 0);
    assert.deepEqual(
      seen.map(({ data }) => data),
      [{ n: 2 }],
    );
  });

  it("puts several at once, those of a key in the order given", async () => {
    const seen: StoredEvent[] = [];
    const outbox = await start(async (event) => void seen.push(event));
    const events = [..."bab"].map((key, n) => ({ topic: "t", key, type: "x", data: { n } }));
    await db.transaction((tx) => outbox.putAll(tx, events));
    await until(async () => seen.length === 3 && (await outbox.waiting()) === 0);
    const of = (key: string) => seen.filter((event) => event.key === key).map(({ data }) => data.n);
    assert.deepEqual([of("a"), of("b")], [[1], [0, 2]]);
  });

  it("keeps the order of each key and puts none off for another, with three instances and a receiver that fails at random", async () => {
    const seen = new Map<string, number[]>();
    const known = new Set<string>();
    const publish = async (event: StoredEvent) => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
      if (Math.random() < 0.05) throw new ConnectError("away", Code.Unavailable);
      if (known.has(event.id)) return;
      known.add(event.id);
      seen.set(event.key, [...(seen.get(event.key) ?? []), Number(event.data.n)]);
    };
    const outbox = await start(publish, { random: () => 0 });
    await start(publish);
    await start(publish);
    const keys = ["a", "b", "c", "d", "e", "f"];
    const numbers = Array.from({ length: 40 }, (_, n) => n);
    await Promise.all(
      keys.map(async (key) => {
        for (const n of numbers) await put(outbox, key, n);
      }),
    );
    await until(async () => (await outbox.waiting()) === 0, 20_000);
    assert.deepEqual(
      keys.map((key) => seen.get(key)),
      keys.map(() => numbers),
    );
  });

  it("keeps the order in which transactions of one key committed, when the first to put is the last to end", async () => {
    const seen: unknown[] = [];
    const outbox = await start(async ({ data }) => void seen.push(data.n));
    const held = Promise.withResolvers<void>();
    const putFirst = Promise.withResolvers<void>();
    const first = db.transaction(async (tx) => {
      await outbox.put(tx, { topic: "t", key: "a", type: "x", data: { n: 1 } });
      putFirst.resolve();
      await held.promise;
    });
    await putFirst.promise;
    const second = put(outbox, "a", 2);
    await put(outbox, "b", 3);
    await until(async () => seen.length === 1);
    held.resolve();
    await Promise.all([first, second]);
    await until(async () => seen.length === 3);
    assert.deepEqual(seen, [3, 1, 2]);
  });

  it("holds a key while the receiver is away, and goes on with the same event when it is back", async () => {
    let away = true;
    const tried: unknown[] = [];
    const outbox = await start(async ({ data }) => {
      tried.push(data.n);
      if (away) throw new ConnectError("away", Code.Unavailable);
    });
    await put(outbox, "a", 1);
    await put(outbox, "a", 2);
    await until(async () => tried.length >= 3);
    assert.deepEqual(new Set(tried), new Set([1]));
    assert.equal(await outbox.waiting(), 2);
    away = false;
    await until(async () => (await outbox.waiting()) === 0);
    assert.equal(tried.at(-1), 2);
  });

  it("parks an event that is refused with INVALID_ARGUMENT, goes on with its key, and publishes it again when asked to", async () => {
    let refuses = true;
    const seen: unknown[] = [];
    const outbox = await start(async ({ data }) => {
      if (refuses && data.n === 1) throw new ConnectError("data.n: expected 2", Code.InvalidArgument);
      seen.push(data.n);
    });
    const id = await put(outbox, "a", 1);
    await put(outbox, "a", 2);
    await until(async () => seen.length === 1 && (await outbox.waiting()) === 0);
    const [parked] = await outbox.parked();
    assert.equal(parked?.id, id);
    assert.equal(parked?.reason, "INVALID_ARGUMENT: data.n: expected 2");
    assert.equal(await outbox.retry(randomUUID()), false);
    refuses = false;
    assert.equal(await outbox.retry(id), true);
    await until(async () => seen.length === 2);
    assert.deepEqual(seen, [2, 1]);
    assert.deepEqual(await outbox.parked(), []);
  });

  it("takes an id that waits already for the same event", async () => {
    const outbox = await start(async () => {
      throw new ConnectError("away", Code.Unavailable);
    });
    const id = randomUUID();
    assert.deepEqual([await put(outbox, "a", 1, { id }), await put(outbox, "a", 1, { id })], [id, id]);
    assert.equal(await outbox.waiting(), 1);
  });

  it("cuts an attempt short that takes longer than its limit, and tries again", async () => {
    let tries = 0;
    const outbox = await start(
      (_event, signal) => {
        tries++;
        if (tries > 1) return Promise.resolve();
        return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      },
      { timeoutMs: 50 },
    );
    await put(outbox, "a", 1);
    await until(async () => (await outbox.waiting()) === 0);
    assert.equal(tries, 2);
  });

  it("takes over the keys of an instance that died, once its claim has ended", async () => {
    const dead = await start(() => new Promise(() => {}), { graceMs: 0 });
    await put(dead, "a", 1);
    await until(async () => (await db.query("select 1 from heddle_outbox.event where lease_id is not null")).length === 1);
    // What a kill -9 leaves behind: a claim that nobody renews.
    await db.query("update heddle_outbox.event set lease_id = $1, lease_until = now() + interval '300 ms'", [randomUUID()]);
    const seen: unknown[] = [];
    const began = Date.now();
    await start(async ({ data }) => void seen.push(data.n), { pollMs: 50 });
    await until(async () => seen.length === 1);
    assert.ok(Date.now() - began >= 200);
  });

  it("waits while the database is away, and goes on when it is back", async () => {
    const seen: unknown[] = [];
    const outbox = await start(async ({ data }) => void seen.push(data.n), { pollMs: 50 });
    await put(outbox, "a", 1);
    await until(async () => seen.length === 1);
    await db
      .query("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()")
      .catch(() => undefined);
    await until(async () => (await put(outbox, "a", 2)) !== "");
    await until(async () => seen.at(-1) === 2);
  });
});
