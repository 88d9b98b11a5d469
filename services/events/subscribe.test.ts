import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { TopicAccess } from "#gen/events/v1/event_pb.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import {
  asAdmin,
  asAnn,
  asBob,
  asPayment,
  eventually,
  type Fixture,
  freshDatabase,
  refused,
  serve,
  silent,
  take,
  urlOf,
} from "./events.fixture.ts";
import { expire } from "./retention.ts";

describe("subscribing to events", () => {
  let db: Database;
  let fixture: Fixture;
  before(async () => {
    db = await freshDatabase();
    fixture = await serve(db);
  });
  after(async () => {
    await fixture[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });

  async function publish(topic: string, from: number, to: number, more: { type?: string } = {}, on = fixture): Promise<void> {
    async function* all() {
      for (let n = from; n <= to; n++) yield { event: { topic, key: String(n % 7), data: { n }, ...more } };
    }
    await on.as(asPayment).publishEvents(all());
  }

  const offsetsOf = (items: readonly { item: { case?: string | undefined; value?: unknown } }[]) =>
    items.flatMap(({ item }) => (item.case === "event" ? [Number((item.value as { offset: bigint }).offset)] : []));

  it("begins at an offset and goes on with what another instance stores", async () => {
    await publish("live", 1, 500);
    await using other = await openDatabase({ url: urlOf(db), service: "events", log: silent });
    await using elsewhere = await serve(other);
    const reading = take(
      (signal) => fixture.as(asPayment).subscribe({ topic: "live", fromOffset: 300n }, { signal }),
      (seen) => seen.length === 301,
    );
    await publish("live", 501, 600, {}, elsewhere);
    assert.deepEqual(
      offsetsOf(await reading),
      Array.from({ length: 301 }, (_, n) => 300 + n),
    );
    await eventually("the end", () => fixture.subscribers.count === 0);
  });

  it("begins with what comes from now on, without from_offset", async () => {
    await publish("later", 1, 3);
    let published = 3;
    const reading = take(
      (signal) => fixture.as(asPayment).subscribe({ topic: "later" }, { signal }),
      (seen) => seen.length === 1,
    );
    await eventually("the subscription", () => fixture.subscribers.count === 1);
    let seen = false;
    void reading.then(() => (seen = true));
    // It says nothing before the first event, so it is asked by publishing until it shows one.
    while (!seen) await publish("later", ++published, published);
    const [offset = 0] = offsetsOf(await reading);
    assert.ok(offset > 3 && offset <= published);
  });

  it("goes on behind Last-Event-ID, and says so", async () => {
    await publish("resumed", 1, 10);
    let header = new Headers();
    const stream = (signal: AbortSignal) =>
      fixture
        .as(asPayment, { "last-event-id": "7" })
        .subscribe({ topic: "resumed", fromBeginning: true }, { signal, onHeader: (all) => (header = all) });
    assert.deepEqual(offsetsOf(await take(stream, (seen) => seen.length === 3)), [8, 9, 10]);
    assert.equal(header.get("last-event-id"), "7");
  });

  it("shows only events of the types payment.* and note", async () => {
    await publish("typed", 1, 2, { type: "payment.captured" });
    await publish("typed", 3, 4, { type: "paymentx" });
    await publish("typed", 5, 5, { type: "note" });
    const stream = (signal: AbortSignal) =>
      fixture.as(asPayment).subscribe({ topic: "typed", fromBeginning: true, types: ["payment.*", "note"] }, { signal });
    assert.deepEqual(offsetsOf(await take(stream, (seen) => seen.length === 3)), [1, 2, 5]);
  });

  it("shows a person its own events of a topic, all of one that is open, and nothing of the rest", async () => {
    await fixture.as(asAnn).publishEvent({ key: "a" });
    await fixture.as(asBob).publishEvent({ key: "b" });
    const own = await take(
      (signal) => fixture.as(asBob).subscribe({ fromBeginning: true }, { signal }),
      (seen) => seen.length === 1,
    );
    assert.deepEqual(offsetsOf(own), [2]);
    const page = await fixture.as(asBob).listEvents({ topic: "events" });
    assert.deepEqual(
      page.events.map(({ key }) => key),
      ["b"],
    );
    await fixture.as(asAdmin).createTopic({ topic: { name: "open", readers: TopicAccess.AUTHENTICATED } });
    await publish("open", 1, 1);
    assert.deepEqual(
      offsetsOf(
        await take(
          (signal) => fixture.as(asBob).subscribe({ topic: "open", fromBeginning: true }, { signal }),
          () => true,
        ),
      ),
      [1],
    );
    await refused(
      take(
        (signal) => fixture.as(asBob).subscribe({ topic: "live", fromOffset: 1n }, { signal }),
        () => true,
      ),
      Code.NotFound,
    );
    await refused(
      take(
        (signal) => fixture.as(asBob).subscribe({ topic: "live", group: "mine" }, { signal }),
        () => true,
      ),
      Code.NotFound,
    );
    await refused(fixture.as(asBob).listEvents({ topic: "live" }), Code.NotFound);
  });

  it("never skips an event of a transaction that commits late", async () => {
    // Two writers at once, of which one is slow to commit: the reader must see the first one's event before the second's.
    await publish("late", 1, 1);
    await using other = await openDatabase({ url: urlOf(db), service: "events", log: silent });
    const [row] = await db.query<{ id: number }>("SELECT id FROM topic WHERE name = 'late'");
    const reading = take(
      (signal) => fixture.as(asPayment).subscribe({ topic: "late", fromOffset: 1n }, { signal }),
      (seen) => seen.length === 3,
    );
    let second: Promise<void> | undefined;
    await other.transaction(async (tx) => {
      await tx.query(
        `SELECT append_events($1, 1000, now(), ARRAY[gen_random_uuid()], ARRAY[NULL::uuid], '{a}', '{h}', '{service:a}', '{k}', '{1}', '{slow}', '{"{}"}', '{2}', ARRAY[NULL::timestamptz])`,
        [row?.id],
      );
      second = publish("late", 3, 3);
      await new Promise((resolve) => setTimeout(resolve, 100));
    });
    await second;
    assert.deepEqual(offsetsOf(await reading), [1, 2, 3]);
  });

  it("reads no more than a page ahead of a slow subscriber, and misses nothing", async () => {
    await publish("slow", 1, 2000);
    const stream = fixture.as(asPayment).subscribe({ topic: "slow", fromOffset: 1n })[Symbol.asyncIterator]();
    const first = await stream.next();
    assert.equal(first.done, false);
    const before = await db.query(
      "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'",
    );
    assert.equal(before.length, 0);
    const offsets = [1];
    for (let n = 2; n <= 2000; n++) offsets.push(...offsetsOf([(await stream.next()).value ?? assert.fail("an end")]));
    assert.deepEqual(
      offsets,
      Array.from({ length: 2000 }, (_, n) => n + 1),
    );
    await stream.return?.();
  });

  it("ends a page of large events early, and misses none, whatever their sizes", async () => {
    const sizes = [500_000, 490_000, 20_000, 490_000, 1, 505_000, 505_000, 3, 250_000, 250_000, 480_000, 15_000];
    for (const size of sizes) await fixture.as(asPayment).publishEvent({ topic: "large", data: { long: "x".repeat(size) } });
    const stream = (signal: AbortSignal) => fixture.as(asPayment).subscribe({ topic: "large", fromOffset: 1n }, { signal });
    const all = sizes.map((_, n) => n + 1);
    assert.deepEqual(offsetsOf(await take(stream, (seen) => seen.length === sizes.length)), all);
    const paged: number[] = [];
    for (let pageToken = ""; ; ) {
      const page = await fixture.as(asPayment).listEvents({ topic: "large", pageToken });
      paged.push(...page.events.map(({ offset }) => Number(offset)));
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    assert.deepEqual(paged, all);
  });

  it("removes events by time and by size, whole segments as tables, and tells who comes too late", async () => {
    await fixture.as(asAdmin).createTopic({ topic: { name: "short", retention: { seconds: 3600n, nanos: 0 } } });
    await publish("short", 1, 2500);
    await db.query(
      "UPDATE event SET store_time = store_time - interval '2 hours' WHERE position <= 2100 AND topic_id = (SELECT id FROM topic WHERE name = 'short')",
    );
    await expire({ db, clock: Date.now, relaying: true });
    const kept = await fixture.as(asAdmin).getTopic({ name: "short" });
    assert.equal(kept.topic?.firstOffset, 1n);
    await expire({ db, clock: Date.now, relaying: false });
    const { topic } = await fixture.as(asAdmin).getTopic({ name: "short" });
    assert.deepEqual([topic?.firstOffset, topic?.nextOffset], [2101n, 2501n]);
    await expire({ db, clock: Date.now, relaying: false });
    const tables = await db.query(
      "SELECT relname FROM pg_class WHERE relname ~ ('^event_' || (SELECT id FROM topic WHERE name = 'short') || '_[0-9]+$')",
    );
    assert.equal(tables.length, 1);
    const [left] = await db.query<{ n: string }>(
      "SELECT count(*) AS n FROM event WHERE topic_id = (SELECT id FROM topic WHERE name = 'short')",
    );
    assert.equal(left?.n, "400");
    await refused(
      take(
        (signal) => fixture.as(asPayment).subscribe({ topic: "short", fromOffset: 2100n }, { signal }),
        () => true,
      ),
      Code.FailedPrecondition,
    );
    assert.deepEqual(
      offsetsOf(
        await take(
          (signal) => fixture.as(asPayment).subscribe({ topic: "short", fromBeginning: true }, { signal }),
          () => true,
        ),
      ),
      [2101],
    );
    const size = 1000n;
    await fixture
      .as(asAdmin)
      .updateTopic({ topic: { name: "short", retentionBytes: size }, updateMask: { paths: ["retention_bytes"] } });
    await expire({ db, clock: Date.now, relaying: false });
    const small = await fixture.as(asAdmin).getTopic({ name: "short" });
    assert.ok((small.topic?.bytes ?? 0n) <= size && (small.topic?.bytes ?? 0n) > size - 100n, String(small.topic?.bytes));
    assert.equal(small.topic?.retention?.seconds, 3600n);
  });
});
