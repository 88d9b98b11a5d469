import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { PublishStatus, TopicAccess } from "#gen/events/v1/event_pb.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import {
  ann,
  asAdmin,
  asAnn,
  asBob,
  asPayment,
  bob,
  type Fixture,
  freshDatabase,
  refused,
  serve,
  silent,
  urlOf,
} from "./events.fixture.ts";

describe("publishing events", () => {
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

  it("answers with the event at its offset and SENT where there is no Kafka", async () => {
    const { event, status } = await fixture
      .as(asAnn)
      .publishEvent({ key: "k", type: "user.greeted", data: { hello: ["world", 1, null] } });
    assert.equal(status, PublishStatus.SENT);
    assert.ok(event !== undefined);
    const { topic, key, offset, type, data, producer } = event;
    assert.deepEqual(
      { topic, key, offset, type, data, producer },
      {
        topic: "events",
        key: "k",
        offset: 1n,
        type: "user.greeted",
        data: { hello: ["world", 1, null] },
        producer: `user:${ann}`,
      },
    );
  });

  it("answers a repeated request_id with the same event, and another content under it with ALREADY_EXISTS", async () => {
    const request = { requestId: uuidv7(), topic: "payments", key: "p1", type: "payment.captured", data: { a: 1, b: 2 } };
    const first = await fixture.as(asPayment).publishEvent(request);
    const again = await fixture.as(asPayment).publishEvent({ ...request, data: { b: 2, a: 1 } });
    assert.deepEqual(again.event?.id, first.event?.id);
    assert.deepEqual([first.event?.offset, again.event?.offset], [1n, 1n]);
    await refused(fixture.as(asPayment).publishEvent({ ...request, data: { a: 2 } }), Code.AlreadyExists);
    const { topic } = await fixture.as(asAdmin).getTopic({ name: "payments" });
    assert.equal(topic?.nextOffset, 2n);
  });

  it("keeps the request ids of two callers apart", async () => {
    const requestId = uuidv7();
    const one = await fixture.as(asAnn).publishEvent({ requestId, type: "a" });
    const other = await fixture.as(asBob).publishEvent({ requestId, type: "b" });
    assert.notEqual(one.event?.id, other.event?.id);
  });

  it("gives 2,000 concurrent events of two instances offsets without gaps, each key in the order of its calls", async () => {
    await using second = await openDatabase({ url: urlOf(db), service: "events", log: silent });
    await using elsewhere = await serve(second, { segment: 300 });
    await fixture.as(asAdmin).createTopic({ topic: { name: "crowd" } });
    const chains = Array.from({ length: 20 }, async (_, key) => {
      const offsets: bigint[] = [];
      for (let n = 0; n < 100; n++) {
        const on = (key + n) % 2 === 0 ? fixture : elsewhere;
        const { event } = await on.as(asPayment).publishEvent({ topic: "crowd", key: String(key), data: { n } });
        offsets.push(event?.offset ?? 0n);
      }
      return offsets;
    });
    const offsets = await Promise.all(chains);
    for (const own of offsets)
      assert.deepEqual(
        own,
        own.toSorted((a, b) => (a < b ? -1 : 1)),
      );
    const all = offsets.flat().toSorted((a, b) => (a < b ? -1 : 1));
    assert.deepEqual(
      all,
      Array.from({ length: 2000 }, (_, n) => BigInt(n + 1)),
    );
  });

  it("stores what JSON can say: U+0000, half a surrogate pair, and 500 KB", async () => {
    const data = { nul: "\u0000", half: "\ud800", long: "x".repeat(500_000) };
    const { event } = await fixture.as(asAnn).publishEvent({ type: "odd", data });
    const { events } = await fixture.as(asAnn).listEvents({ topic: "events", fromOffset: event?.offset ?? 0n });
    assert.equal(events[0]?.data?.nul, "\u0000");
    assert.equal(String(events[0]?.data?.long).length, 500_000);
  });

  for (const [title, request, field] of [
    ["a topic `No Good`", { topic: "No Good" }, "topic"],
    ["a type `Payment!`", { type: "Payment!" }, "type"],
    ["data of more than 512 KiB", { data: { long: "x".repeat(524_288) } }, "data"],
    ["a request_id `1`", { requestId: "1" }, "request_id"],
  ] as const) {
    it(`refuses ${title}`, () => refused(fixture.as(asAnn).publishEvent(request), Code.InvalidArgument, field));
  }

  it("lets people publish to topics that are open to them, and hides the others", async () => {
    await fixture.as(asAdmin).createTopic({ topic: { name: "news", readers: TopicAccess.AUTHENTICATED } });
    await refused(fixture.as(asAnn).publishEvent({ topic: "news" }), Code.PermissionDenied);
    await refused(fixture.as(asAnn).publishEvent({ topic: "payments" }), Code.NotFound);
    await refused(fixture.as(asAnn).publishEvent({ topic: "not-there" }), Code.NotFound);
    const { event } = await fixture.as(asPayment).publishEvent({ topic: "news", key: "a" });
    assert.equal(event?.producer, "service:payment");
    // A service that calls for a person may do what the person may.
    await refused(fixture.as({ ...asAnn, caller: asPayment.caller }).publishEvent({ topic: "news" }), Code.PermissionDenied);
  });

  it("stores a stream in its order, and counts what was there already", async () => {
    const ids = Array.from({ length: 1200 }, () => uuidv7());
    async function* stream(from = 0) {
      for (const [n, requestId] of ids.entries())
        if (n >= from) yield { event: { topic: "streamed", key: "k", requestId, data: { n } } };
    }
    await fixture.as(asPayment).publishEvents(stream(1000));
    const { stored, repeatedCount, status } = await fixture.as(asPayment).publishEvents(stream());
    assert.deepEqual([stored, repeatedCount, status], [1000n, 200n, PublishStatus.SENT]);
    const { events } = await fixture.as(asAdmin).listEvents({ topic: "streamed", pageSize: 1000, fromOffset: 201n });
    assert.deepEqual(
      events.map(({ data }) => data?.n),
      Array.from({ length: 1000 }, (_, n) => n),
    );
  });

  it("ends a stream at its first mistake with the index of the event", async () => {
    async function* stream() {
      yield { event: { topic: "streamed", data: { first: true } } };
      yield { event: { topic: "streamed", data: { long: "x".repeat(600_000) } } };
    }
    await assert.rejects(fixture.as(asPayment).publishEvents(stream()), /\[1\]: data: expected at most 524288 bytes/);
  });

  it("shows a person in the log what happened to its own events, and an administrator everything", async () => {
    await fixture.as(asBob).publishEvent({ type: "bobs.own" });
    await refused(fixture.as(asBob).publishEvent({ data: { long: "x".repeat(600_000) } }), Code.InvalidArgument);
    const { entries } = await fixture.as(asBob).listLogs({});
    assert.deepEqual(new Set(entries.map(({ producer }) => producer)), new Set([`user:${bob}`]));
    assert.ok(entries.some(({ detail }) => detail === "bobs.own"));
    const all = await fixture.as(asAdmin).listLogs({ pageSize: 1000 });
    assert.ok(new Set(all.entries.map(({ producer }) => producer)).size > 2);
    const page = await fixture.as(asAdmin).listLogs({ pageSize: 2 });
    const next = await fixture.as(asAdmin).listLogs({ pageSize: 2, pageToken: page.nextPageToken });
    assert.deepEqual([...page.entries, ...next.entries], all.entries.slice(0, 4));
  });

  it("shows a person in the stats the topics that it reads in full", async () => {
    const own = await fixture.as(asAnn).getStats({});
    assert.deepEqual(
      own.topics.map(({ topic, events }) => [topic, events]),
      [["news", 1n]],
    );
    const all = await fixture.as(asPayment).getStats({});
    assert.deepEqual(
      all.topics.map(({ topic }) => topic),
      ["crowd", "events", "news", "payments", "streamed"],
    );
    assert.deepEqual([all.relay?.configured, all.relay?.lag], [false, 0n]);
  });
});
