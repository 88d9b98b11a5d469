import assert from "node:assert/strict";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
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

describe("a consumer group", () => {
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

  async function publish(topic: string, from: number, to: number): Promise<void> {
    async function* all() {
      for (let n = from; n <= to; n++) yield { event: { topic, key: String(n % 11), data: { n } } };
    }
    await fixture.as(asPayment).publishEvents(all());
  }

  interface Got {
    readonly offset: bigint;
    readonly partition: number;
    readonly key: string;
    readonly n: number;
    readonly generation: bigint;
  }

  /** A member that commits what it has got, until it is stopped. */
  function member(topic: string, group: string, on = fixture, commits = true) {
    const got: Got[] = [];
    let partitions: readonly number[] = [];
    const stop = new AbortController();
    const done = (async () => {
      const client = on.as(asPayment);
      for await (const { item, generation } of client.subscribe({ topic, group, fromBeginning: true }, { signal: stop.signal })) {
        if (item.case === "assignment") partitions = item.value.partitions;
        if (item.case !== "event") continue;
        const { offset, partition, key, data } = item.value;
        got.push({ offset, partition, key, n: Number(data?.n), generation });
        if (commits) await client.commitOffset({ topic, group, partition, offset, generation }).catch(() => undefined);
      }
    })().catch((error: unknown) => {
      if (!stop.signal.aborted) throw error;
    });
    return {
      got,
      partitions: () => partitions,
      async leave() {
        stop.abort();
        await done;
      },
    };
  }

  it("shares the partitions of a topic, hands them over when a member leaves, and gets every event in the order of its key", async () => {
    await using other = await openDatabase({ url: urlOf(db), service: "events", log: silent });
    await using elsewhere = await serve(other);
    await publish("shared", 1, 300);
    const one = member("shared", "g");
    await eventually("all four partitions", () => one.partitions().length === 4);
    const two = member("shared", "g", elsewhere);
    await eventually("a fair share", () => one.partitions().length === 2 && two.partitions().length === 2);
    assert.deepEqual([...one.partitions(), ...two.partitions()].toSorted(), [0, 1, 2, 3]);
    await publish("shared", 301, 600);
    const all = () => new Set([...one.got, ...two.got].map(({ n }) => n)).size;
    await eventually("600 events", () => all() === 600);
    await one.leave();
    await eventually("the handover", () => two.partitions().length === 4);
    await publish("shared", 601, 700);
    await eventually("700 events", () => all() === 700);
    await two.leave();
    for (const { got } of [one, two]) {
      for (const key of new Set(got.map((event) => event.key))) {
        const own = got.filter((event) => event.key === key).map(({ n }) => n);
        assert.deepEqual(
          own,
          own.toSorted((a, b) => a - b),
          `key ${key}`,
        );
      }
    }
    const group = await eventually("the last leave", async () => {
      const { group: now } = await fixture.as(asPayment).getGroup({ topic: "shared", group: "g" });
      return now?.members === 0 && now;
    });
    assert.deepEqual([group.lag, group.owner], [0n, "service:payment"]);
  });

  it("gives what was not committed to the next member again", async () => {
    await publish("again", 1, 20);
    const careless = member("again", "g", fixture, false);
    await eventually("20 events", () => careless.got.length === 20);
    await careless.leave();
    const careful = member("again", "g");
    await eventually("20 events again", () => careful.got.length === 20);
    await careful.leave();
    const late = member("again", "g");
    await eventually("the partitions", () => late.partitions().length === 4);
    await publish("again", 21, 21);
    await eventually("one event", () => late.got.length === 1);
    assert.equal(late.got[0]?.n, 21);
    await late.leave();
  });

  it("refuses a commit of a member that has lost the partition, and takes none back", async () => {
    await publish("fenced", 1, 20);
    const old = member("fenced", "g", fixture, false);
    await eventually("20 events", () => old.got.length === 20);
    const { partition = 0, offset = 1n, generation = 0n } = old.got.at(-1) ?? {};
    await fixture.as(asPayment).replay({ topic: "fenced", group: "g", from: { case: "fromOffset", value: 1n } });
    const commit = { topic: "fenced", group: "g", partition, offset };
    await refused(fixture.as(asPayment).commitOffset({ ...commit, generation }), Code.Aborted);
    await eventually("20 events again", () => old.got.length === 40);
    const { committedOffset } = await fixture.as(asPayment).commitOffset(commit);
    assert.equal(committedOffset, offset);
    const back = await fixture.as(asPayment).commitOffset({ ...commit, offset: 1n });
    assert.equal(back.committedOffset, offset);
    await refused(fixture.as(asPayment).commitOffset({ ...commit, offset: 99n }), Code.InvalidArgument, "offset");
    await old.leave();
  });

  it("replays from a time", async () => {
    await publish("timed", 1, 5);
    const { events } = await fixture.as(asPayment).listEvents({ topic: "timed" });
    await new Promise((resolve) => setTimeout(resolve, 5));
    const time = Date.now();
    await publish("timed", 6, 8);
    assert.ok(Number(events.at(-1)?.storeTime?.seconds) * 1000 <= time);
    const from = { case: "fromTime", value: timestampFromMs(time) } as const;
    const group = await fixture.as(asPayment).replay({ topic: "timed", group: "new", from });
    assert.equal(group.group?.lag, 3n);
    const reader = member("timed", "new");
    await eventually("three events", () => reader.got.length === 3);
    assert.deepEqual(reader.got.map(({ n }) => n).toSorted(), [6, 7, 8]);
    await refused(fixture.as(asPayment).deleteGroup({ topic: "timed", group: "new" }), Code.FailedPrecondition);
    await reader.leave();
    await eventually("the leave", () =>
      fixture
        .as(asPayment)
        .deleteGroup({ topic: "timed", group: "new" })
        .then(Boolean, () => false),
    );
    await refused(fixture.as(asPayment).getGroup({ topic: "timed", group: "new" }), Code.NotFound);
  });

  it("is its owner's alone, but for administrators who name the owner", async () => {
    await fixture.as(asAnn).publishEvent({ key: "a" });
    await fixture.as(asBob).publishEvent({ key: "b" });
    const items = await take(
      (signal) => fixture.as(asAnn).subscribe({ group: "anns", fromBeginning: true }, { signal }),
      (seen) => seen.length === 2,
    );
    assert.deepEqual(
      items.map(({ item }) => item.case),
      ["assignment", "event"],
    );
    const owner = (await fixture.as(asAnn).listGroups({})).groups[0]?.owner ?? "";
    assert.ok(owner.startsWith("user:"));
    await refused(fixture.as(asBob).getGroup({ group: "anns" }), Code.NotFound);
    await refused(fixture.as(asBob).getGroup({ group: "anns", owner }), Code.NotFound);
    await refused(fixture.as(asBob).commitOffset({ group: "anns", owner, partition: 0, offset: 1n }), Code.NotFound);
    await refused(fixture.as(asBob).deleteGroup({ group: "anns", owner }), Code.NotFound);
    await refused(fixture.as(asBob).replay({ group: "anns", owner, from: { case: "fromOffset", value: 1n } }), Code.NotFound);
    assert.equal((await fixture.as(asBob).listGroups({})).groups.length, 0);
    const { group } = await fixture.as(asAdmin).getGroup({ group: "anns", owner });
    assert.equal(group?.lag, 1n);
  });

  it("gives a topic's new partitions to its members", async () => {
    await publish("grown", 1, 10);
    const reader = member("grown", "g");
    await eventually("ten events", () => reader.got.length === 10);
    await fixture.as(asAdmin).updateTopic({ topic: { name: "grown", partitions: 8 }, updateMask: { paths: ["partitions"] } });
    await refused(
      fixture.as(asAdmin).updateTopic({ topic: { name: "grown", partitions: 2 }, updateMask: { paths: ["partitions"] } }),
      Code.FailedPrecondition,
    );
    await publish("grown", 11, 60);
    await eventually("sixty events", () => new Set(reader.got.map(({ n }) => n)).size === 60);
    await reader.leave();
  });
});
