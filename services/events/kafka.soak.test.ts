/**
 * Everything that is published comes to a real Kafka, in the order of its key, while Kafka is killed twice and the relay with it.
 * Short by default; 100,000 events with HEDDLE_SOAK=1.
 */
import assert from "node:assert/strict";
import { metrics } from "@opentelemetry/api";
import { PublishStatus } from "#gen/events/v1/event_pb.ts";
import { openDatabase } from "#mesh/storage/database.ts";
import { type KafkaServer, needKafka, startKafka } from "../../e2e/servers/kafka.ts";
import { asPayment, eventually, freshDatabase, serve, silent, urlOf } from "./events.fixture.ts";
import { readKafka } from "./kafka.fixture.ts";
import { kafkaSink } from "./kafka.ts";
import { startRelay } from "./relay.ts";
import { followTail } from "./tail.ts";

const long = process.env.HEDDLE_SOAK === "1";
const total = long ? 100_000 : 3000;
const keys = 50;

describe("the relay to a real Kafka", function () {
  this.timeout(long ? 900_000 : 180_000);
  let kafka: KafkaServer;
  before(async function () {
    kafka = await startKafka(needKafka(this));
  });
  after(() => kafka?.[Symbol.asyncDispose]());

  it(`brings ${total} events to Kafka, none missing, none twice, each key in its order, though Kafka is killed twice and two relays compete`, async () => {
    await using db = await freshDatabase();
    await using second = await openDatabase({ url: urlOf(db), service: "events", log: silent });
    const started = performance.now();
    await using relay = await relayOn(db, "one");
    await using other = await relayOn(second, "two");
    await using fixture = await serve(db, { relay: { waitMs: 1000, failure: relay.failure }, segment: 20_000 });
    const client = fixture.as(asPayment);
    const first = await client.publishEvent({ topic: "soak", key: "0", data: { n: 0 } });
    assert.equal(first.status, PublishStatus.SENT);

    let sent = 1;
    const until = async (end: number) => {
      // The other relay is paced by its own news; publishing goes on whatever becomes of Kafka.
      for (; sent < end; ) {
        const chunk = Array.from({ length: Math.min(250, end - sent) }, (_, n) => sent + n);
        await Promise.all(chunk.map((n) => client.publishEvent({ topic: "soak", key: String(n % keys), data: { n } })));
        sent += chunk.length;
      }
    };
    for (const part of [0.3, 0.7]) {
      await until(Math.floor(total * part));
      await kafka.kill();
      const { status } = await client.publishEvent({ topic: "soak", key: String(sent % keys), data: { n: sent } });
      sent++;
      assert.equal(status, PublishStatus.QUEUED);
      await eventually("a failed attempt", () => relay.failure() !== undefined || other.failure() !== undefined);
      await until(Math.floor(total * (part + 0.15)));
      await kafka.restart();
    }
    await until(total);
    const published = performance.now();
    await eventuallyRelayed();
    const relayed = performance.now();

    const found = await readKafka(kafka.broker, "soak");
    const positions = new Set(found.map(({ position }) => position));
    assert.equal(positions.size, total, "events in Kafka");
    const twice = found.length - positions.size;
    for (let partition = 0; partition < 4; partition++) {
      const own = found.filter((event) => event.partition === partition).map(({ position }) => position);
      assert.deepEqual(
        own,
        own.toSorted((a, b) => a - b),
        `partition ${partition}`,
      );
    }
    const places = new Set(found.map(({ key, partition }) => `${key} in ${partition}`));
    assert.equal(places.size, keys, "partitions of each key");
    assert.equal(twice, 0, "events that are in Kafka twice");
    console.log(
      `      ${total} events: published in ${seconds(started, published)}, all in Kafka ${seconds(published, relayed)} later`,
    );

    async function eventuallyRelayed(): Promise<void> {
      for (const end = Date.now() + 300_000; Date.now() < end; ) {
        const { topics } = await client.getStats({});
        if (topics.find(({ topic }) => topic === "soak")?.relayLag === 0n) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error("the relay did not catch up within 300 s");
    }
  });

  it("brings events of 500 KB to Kafka, many at once and of one key", async () => {
    await using db = await freshDatabase();
    await using fixture = await serve(db);
    const client = fixture.as(asPayment);
    for (let n = 0; n < 8; n++) {
      await client.publishEvent({ topic: "large", key: "k", data: { n, long: "x".repeat(n % 2 === 0 ? 500_000 : 100_000) } });
    }
    async function* small() {
      for (let n = 8; n < 1500; n++) yield { event: { topic: "large", key: "k", type: "t".repeat(200), data: { n } } };
    }
    await client.publishEvents(small());
    await using _ = await relayOn(db, "one");
    await eventually("all of them", async () => {
      const [row] = await db.query<{ position: string }>("SELECT max(position) AS position FROM relay");
      return row?.position === "1500";
    });
    const found = await readKafka(kafka.broker, "large");
    assert.deepEqual(
      found.map(({ data }) => data.n),
      Array.from({ length: 1500 }, (_, n) => n),
    );
  });

  async function relayOn(db: Awaited<ReturnType<typeof freshDatabase>>, owner: string) {
    const tail = await followTail({ db, log: silent });
    const sink = kafkaSink({ brokers: [kafka.broker] });
    const relay = startRelay({
      db,
      sink,
      tail,
      log: silent,
      meter: metrics.getMeter("test"),
      clock: Date.now,
      owner,
      pollMs: 200,
    });
    return {
      failure: relay.failure,
      async [Symbol.asyncDispose]() {
        await relay[Symbol.asyncDispose]();
        await tail[Symbol.asyncDispose]();
      },
    };
  }
});

function seconds(from: number, to: number): string {
  return `${((to - from) / 1000).toFixed(1)} s`;
}
