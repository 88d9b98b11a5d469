import assert from "node:assert/strict";
import { metrics } from "@opentelemetry/api";
import { LogKind } from "#gen/events/v1/event_pb.ts";
import { type Database, openDatabase } from "#mesh/storage/database.ts";
import { asAdmin, asPayment, eventually, type Fixture, freshDatabase, serve, silent, urlOf } from "./events.fixture.ts";
import { type Relay, type Sink, startRelay } from "./relay.ts";
import { expire } from "./retention.ts";
import { followTail } from "./tail.ts";

/** A Kafka in memory, which can be away, and can take a batch and lose the answer. */
function memorySink() {
  const partitions = new Map<number, number[]>();
  const state = { away: false, losesAnswers: false, sends: 0 };
  const here = () => {
    if (state.away) throw new Error("Kafka is away");
  };
  const sink: Sink = {
    async ensure(_, count) {
      here();
      return count;
    },
    async written() {
      here();
      return new Map([...partitions].map(([partition, positions]) => [partition, positions.at(-1) ?? 0]));
    },
    async send(_, batch) {
      here();
      state.sends++;
      for (const { event, partition } of batch) partitions.set(partition, [...(partitions.get(partition) ?? []), event.position]);
      if (state.losesAnswers && state.sends % 2 === 1) throw new Error("the answer was lost");
    },
    reset: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
  return { sink, state, partitions, all: () => [...partitions.values()].flat().toSorted((a, b) => a - b) };
}

describe("the relay", () => {
  let db: Database;
  let fixture: Fixture;
  beforeEach(async () => {
    db = await freshDatabase();
    fixture = await serve(db);
  });
  afterEach(async () => {
    await fixture[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });

  async function publish(from: number, to: number): Promise<void> {
    async function* all() {
      for (let n = from; n <= to; n++) yield { event: { topic: "t", key: String(n % 13), data: { n } } };
    }
    await fixture.as(asPayment).publishEvents(all());
  }

  async function relayOn(database: Database, sink: Sink, owner: string): Promise<Relay> {
    const tail = await followTail({ db: database, log: silent });
    const retry = { firstMs: 10, maxMs: 50 };
    const how = { log: silent, meter: metrics.getMeter("test"), clock: Date.now, batch: 100, pollMs: 50, retry };
    const relay = startRelay({ db: database, sink, tail, owner, ...how });
    return {
      failure: relay.failure,
      async [Symbol.asyncDispose]() {
        await relay[Symbol.asyncDispose]();
        await tail[Symbol.asyncDispose]();
      },
    };
  }

  const upTo = (last: number) => Array.from({ length: last }, (_, n) => n + 1);

  it("catches up with what was stored before it, and while Kafka was away, with each partition in order", async () => {
    const { sink, state, partitions, all } = memorySink();
    await publish(1, 250);
    await using relay = await relayOn(db, sink, "a");
    await eventually("250 events", () => all().length === 250);
    state.away = true;
    await publish(251, 400);
    await eventually("a failure", () => relay.failure() === "Kafka is away");
    await using told = await serve(db, { relay: { waitMs: 0, failure: relay.failure } });
    const stats = await eventually("a failure in the stats", async () => {
      const { relay: seen } = await told.as(asAdmin).getStats({});
      return seen?.connected === false && seen;
    });
    assert.deepEqual([stats.lastError, stats.lag], ["Kafka is away", 150n]);
    state.away = false;
    await eventually("400 events", () => all().length === 400);
    assert.deepEqual(all(), upTo(400));
    for (const positions of partitions.values())
      assert.deepEqual(
        positions,
        positions.toSorted((a, b) => a - b),
      );
    const failed = await fixture.as(asAdmin).listLogs({ topic: "t", kind: LogKind.RELAY_FAILED });
    assert.deepEqual(
      failed.entries.map(({ detail }) => detail),
      ["Kafka is away"],
    );
  });

  it("sends nothing twice when Kafka took a batch and its answer was lost", async () => {
    const { sink, state, all } = memorySink();
    state.losesAnswers = true;
    await using _ = await relayOn(db, sink, "a");
    await publish(1, 500);
    await eventually("500 events", () => all().length >= 500);
    await eventually("the mark", async () => {
      const [row] = await db.query<{ position: string }>("SELECT max(position) AS position FROM relay");
      return row?.position === "500";
    });
    assert.deepEqual(all(), upTo(500));
  });

  it("sends nothing twice from two processes at once", async () => {
    const { sink, all } = memorySink();
    await using second = await openDatabase({ url: urlOf(db), service: "events", log: silent });
    await using _ = await relayOn(db, sink, "a");
    await using __ = await relayOn(second, sink, "b");
    for (let n = 1; n <= 600; n += 60) await publish(n, n + 59);
    await eventually("600 events", () => all().length >= 600);
    assert.deepEqual(all(), upTo(600));
  });

  it("keeps what Kafka has not got from expiring", async () => {
    await publish(1, 10);
    await fixture
      .as(asAdmin)
      .updateTopic({ topic: { name: "t", retentionBytes: 1n }, updateMask: { paths: ["retention_bytes"] } });
    await expire({ db, clock: Date.now, relaying: true });
    assert.equal((await fixture.as(asAdmin).getTopic({ name: "t" })).topic?.firstOffset, 1n);
    const { sink, all } = memorySink();
    await using _ = await relayOn(db, sink, "a");
    await eventually("ten events", () => all().length === 10);
    await eventually("the end of them", async () => {
      await expire({ db, clock: Date.now, relaying: true });
      return (await fixture.as(asAdmin).getTopic({ name: "t" })).topic?.firstOffset === 11n;
    });
  });
});
