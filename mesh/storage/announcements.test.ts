import assert from "node:assert/strict";
import { pino } from "pino";
import { type Announcements, listenTo } from "./announcements.ts";
import type { Database } from "./database.ts";

const log = pino({ level: "silent" });
const never = new AbortController().signal;

/** A database that announces what the test says. */
function announcer() {
  let hear: ((payload: string) => void) | undefined;
  let reconnect: (() => void) | undefined;
  const listen: Database["listen"] = async (channel, listener, onReconnect) => {
    assert.equal(channel, "thing_changed");
    hear = listener;
    reconnect = onReconnect;
    return {
      async [Symbol.asyncDispose]() {
        hear = undefined;
      },
    };
  };
  return {
    db: { listen } as Partial<Database> as Database,
    announce: (id: string) => hear?.(id),
    reconnect: () => reconnect?.(),
    listens: () => hear !== undefined,
  };
}

/** Whether a wait has settled by the time that all that is due now is done. */
async function settled(wait: Promise<boolean>): Promise<boolean | "waits"> {
  const turn = new Promise<"waits">((resolve) => setImmediate(() => resolve("waits")));
  return Promise.race([wait, turn]);
}

describe("announcements of things by their ids", () => {
  let database: ReturnType<typeof announcer>;
  let announcements: Announcements;
  let heard: number;
  beforeEach(async () => {
    database = announcer();
    heard = 0;
    announcements = await listenTo({ db: database.db, channel: "thing_changed", log, onAny: () => heard++ });
  });
  afterEach(() => announcements[Symbol.asyncDispose]());

  it("ring the bells of their thing, and those alone", async () => {
    using a = announcements.bell("a", never);
    using same = announcements.bell("a", never);
    using b = announcements.bell("b", never);
    const waits = [a.rung(), same.rung(), b.rung()];
    database.announce("a");
    assert.deepEqual(await Promise.all(waits.map(settled)), [true, true, "waits"]);
    assert.equal(heard, 1);
  });

  it("are not missed between two waits, and count once however many there were", async () => {
    using bell = announcements.bell("a", never);
    database.announce("a");
    database.announce("a");
    assert.equal(await bell.rung(), true);
    assert.equal(await settled(bell.rung()), "waits");
  });

  it("may have been lost with the connection: after an outage all bells ring", async () => {
    using a = announcements.bell("a", never);
    using b = announcements.bell("b", never);
    database.reconnect();
    assert.deepEqual([await a.rung(), await b.rung(), heard], [true, true, 1]);
  });

  it("are not waited for longer than for a while", async () => {
    await using impatient = await listenTo({ db: announcer().db, channel: "thing_changed", log, patienceMs: 1 });
    using bell = impatient.bell("a", never);
    assert.equal(await bell.rung(), true);
  });

  it("end for a bell with its signal, also one that has aborted before", async () => {
    const leave = new AbortController();
    using bell = announcements.bell("a", leave.signal);
    const wait = bell.rung();
    leave.abort();
    assert.equal(await wait, false);
    using late = announcements.bell("a", leave.signal);
    assert.equal(await late.rung(), false);
  });

  it("end for all bells with their own end", async () => {
    using bell = announcements.bell("a", never);
    const wait = bell.rung();
    await announcements[Symbol.asyncDispose]();
    assert.deepEqual([await wait, await bell.rung(), database.listens()], [false, false, false]);
  });

  it("hang no bell longer than somebody waits", () => {
    const bells = [announcements.bell("a", never), announcements.bell("a", never), announcements.bell("b", never)];
    assert.equal(announcements.bells, 3);
    for (const bell of bells) bell[Symbol.dispose]();
    assert.equal(announcements.bells, 0);
  });
});
