import assert from "node:assert/strict";
import { once } from "node:events";
import { Code, ConnectError } from "@connectrpc/connect";
import { metrics } from "@opentelemetry/api";
import pino from "pino";
import { invalidArgument, unavailable } from "#mesh/errors.ts";
import { until } from "#mesh/storage/database.fixture.ts";
import { type Database, openDatabase, type Queryable } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { testDatabase } from "#mesh/testing.ts";
import type { EventSource, SourceEvent } from "./event-source.ts";
import { type InboxEvent, type InboxOptions, openInbox } from "./inbox.ts";
import { countParked } from "./inbox-store.ts";

const log = pino({ level: "silent" });
const meter = metrics.getMeter("test");

describe("inbox", () => {
  let db: Database;
  let open: AsyncDisposableStack;

  beforeEach(async () => {
    open = new AsyncDisposableStack();
    db = open.use(await openDatabase({ url: await testDatabase(), service: "test", log }));
    await db.query("create table effect (seq bigint generated always as identity, n integer)");
  });

  afterEach(() => open.disposeAsync());

  const start = async (source: EventSource, handle: InboxOptions["handle"] = note) =>
    open.use(await openInbox({ db, source, handle, log, meter, clock: Date.now, random: () => 0 }));
  const effects = async () => (await db.query<{ n: number }>("select n from effect order by seq")).map(({ n }) => n);

  it("handles each event once, in order, when the stream breaks after every third and comes again from the last commit", async () => {
    const topic = new Topic(10);
    topic.breakEvery = 3;
    topic.loseCommits = true;
    await start(topic);
    await until(async () => topic.streams > 3 && (await effects()).length === 10);
    assert.deepEqual(await effects(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("commits the last offset that was handled, and goes on behind it", async () => {
    const topic = new Topic(5);
    const inbox = await start(topic);
    await until(async () => topic.committed === 5n);
    await inbox[Symbol.asyncDispose]();
    topic.add(2);
    await start(topic);
    await until(async () => topic.committed === 7n);
    assert.deepEqual([await effects(), topic.sent], [[0, 1, 2, 3, 4, 5, 6], 7]);
  });

  it("leaves no trace of an attempt that failed, and tries UNAVAILABLE again before the event behind it", async () => {
    const topic = new Topic(2);
    let attempts = 0;
    await start(topic, async (tx, event) => {
      await note(tx, event);
      if (event.data.n === 0 && ++attempts < 4) throw unavailable("away");
    });
    await until(async () => (await effects()).length === 2);
    assert.deepEqual([await effects(), attempts], [[0, 1], 4]);
  });

  it("puts an event aside that is refused with INVALID_ARGUMENT, goes on, and handles it when it is asked to", async () => {
    const topic = new Topic(2);
    let refusing = true;
    const inbox = await start(topic, async (tx, event) => {
      await note(tx, event);
      if (event.data.n === 0 && refusing) throw invalidArgument([{ field: "n", description: "expected more" }]);
    });
    await until(async () => topic.committed === 2n);
    assert.deepEqual(await effects(), [1]);
    const [parked, ...others] = await inbox.parked();
    const { parkTime: _, ...seen } = parked ?? assert.fail("nothing is parked");
    assert.deepEqual([seen, others], [{ ...topic.all[0], reason: "InvalidArgument: n: expected more" }, []]);
    await assert.rejects(inbox.retry(seen.id), (error) => ConnectError.from(error).code === Code.InvalidArgument);
    refusing = false;
    assert.deepEqual([await inbox.retry(seen.id), await inbox.retry(seen.id)], [true, false]);
    assert.deepEqual([await effects(), await countParked(db)], [[1, 0], 0]);
  });

  it("handles an event once when two instances get it at the same time", async () => {
    const topic = new Topic(20);
    topic.keepsCommits = false;
    await Promise.all([start(topic), start(topic)]);
    await until(async () => topic.sent >= 40);
    await until(async () => (await effects()).length >= 20);
    assert.deepEqual(
      (await effects()).toSorted((a, b) => a - b),
      Array.from({ length: 20 }, (_, n) => n),
    );
  });

  it("begins again when the stream cannot be had", async () => {
    const topic = new Topic(1);
    topic.refusals = 3;
    await start(topic);
    await until(async () => (await effects()).length === 1);
    assert.equal(topic.streams, 4);
  });
});

async function note(tx: Queryable, event: InboxEvent): Promise<void> {
  await tx.query("insert into effect (n) values ($1)", [event.data.n]);
}

/** A topic of one partition in memory, with what can go wrong. */
class Topic implements EventSource {
  readonly all: InboxEvent[] = [];
  /** Offsets begin at 1. */
  committed = 0n;
  streams = 0;
  sent = 0;
  /** The stream ends with an error after so many events. */
  breakEvery = Number.POSITIVE_INFINITY;
  /** Every commit but that of each second event fails. */
  loseCommits = false;
  /** False: each stream begins at the first event. */
  keepsCommits = true;
  /** So many streams are refused. */
  refusals = 0;

  constructor(count: number) {
    this.add(count);
  }

  add(count: number): void {
    for (let n = 0; n < count; n++) {
      const offset = BigInt(this.all.length + 1);
      const what = { topic: "t", key: "k", type: "test.happened", producer: "service:test", at: new Date(1_700_000_000_000) };
      this.all.push({ ...what, id: uuidv7(), data: { n: this.all.length }, offset });
    }
  }

  async *events(signal: AbortSignal): AsyncGenerator<SourceEvent> {
    this.streams += 1;
    if (this.refusals-- > 0) throw unavailable("not yet");
    let left = this.breakEvery;
    for (const event of this.all.slice(Number(this.committed))) {
      if (left-- === 0) throw unavailable("broken");
      this.sent += 1;
      yield { event, partition: 0, generation: 1n };
    }
    if (!signal.aborted) await once(signal, "abort");
    throw signal.reason;
  }

  async commit({ event }: SourceEvent): Promise<void> {
    if (this.loseCommits && event.offset % 2n === 1n) throw new ConnectError("fenced", Code.Aborted);
    if (this.keepsCommits && event.offset > this.committed) this.committed = event.offset;
  }
}
