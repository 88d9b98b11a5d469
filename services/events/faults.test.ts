import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { unavailable } from "#mesh/errors.ts";
import type { Database } from "#mesh/storage/database.ts";
import { uuidv7 } from "#mesh/storage/uuid.ts";
import { createAppender } from "./appender.ts";
import { asPayment, eventually, freshDatabase, refused, serve, silent } from "./events.fixture.ts";

describe("events: faults of the database", () => {
  it("answers UNAVAILABLE while it is away, and a repeat stores the event once", async () => {
    await using db = await freshDatabase();
    const away = { now: false, late: false };
    const broken: Database = {
      async query(sql, params) {
        if (away.now) throw unavailable("the database is away", 1000);
        const rows = await db.query(sql, params);
        // Committed, and the answer lost.
        if (away.late && sql.includes("append_events")) throw unavailable("the outcome is unknown", 1000);
        return rows as never;
      },
      transaction: (work, options) => db.transaction(work, options),
      listen: (...args) => db.listen(...args),
      check: (signal) => db.check(signal),
      [Symbol.asyncDispose]: async () => {},
    };
    await using fixture = await serve(broken);
    const request = { requestId: uuidv7(), topic: "t", key: "k" };
    await fixture.as(asPayment).publishEvent({ topic: "t", key: "first" });
    away.now = true;
    await refused(fixture.as(asPayment).publishEvent(request), Code.Unavailable);
    away.now = false;
    away.late = true;
    await refused(fixture.as(asPayment).publishEvent(request), Code.Unavailable);
    away.late = false;
    const { event } = await fixture.as(asPayment).publishEvent(request);
    assert.equal(event?.offset, 2n);
    const { events } = await fixture.as(asPayment).listEvents({ topic: "t" });
    assert.equal(events.length, 2);
  });

  it("loses nothing when every connection is cut again and again while 8 publish and one reads", async () => {
    await using db = await freshDatabase();
    await using fixture = await serve(db);
    const client = fixture.as(asPayment);
    await client.publishEvent({ topic: "cut", key: "x", data: { n: -1 } });
    const read: bigint[] = [];
    const leave = new AbortController();
    const reading = (async () => {
      while (!leave.signal.aborted) {
        try {
          const fromOffset = (read.at(-1) ?? 0n) + 1n;
          for await (const { item } of client.subscribe({ topic: "cut", fromOffset }, { signal: leave.signal })) {
            if (item.case === "event") read.push(item.value.offset);
          }
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }
    })();
    let cuts = 0;
    const cutting = (async () => {
      for (; cuts < 5; cuts++) {
        await eventually("more events", () => read.length > cuts * 100);
        await db
          .query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
          )
          .catch(() => undefined);
      }
    })();
    await Promise.all(
      Array.from({ length: 8 }, async (_, key) => {
        for (let n = 0; n < 100; n++) {
          const request = { requestId: uuidv7(), topic: "cut", key: String(key), data: { n } };
          while (!(await client.publishEvent(request).then(Boolean, () => false)))
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }),
    );
    await eventually("all of it read", () => read.length >= 801);
    await cutting;
    leave.abort();
    await reading;
    assert.deepEqual(
      read,
      Array.from({ length: 801 }, (_, n) => BigInt(n + 1)),
    );
  });

  it("refuses more than 20,000 waiting events with RESOURCE_EXHAUSTED, and stores those that wait", async () => {
    await using db = await freshDatabase();
    const gate = Promise.withResolvers<void>();
    const slow: Database = { ...bound(db), query: (sql, params) => gate.promise.then(() => db.query(sql, params)) };
    const appender = createAppender({ db: slow, log: silent, clock: Date.now });
    const [topic] = await db.query<{ id: number }>("SELECT id FROM topic WHERE name = 'events'");
    const draft = {
      requestId: undefined,
      producer: "service:a",
      key: "k",
      type: "t",
      data: "{}",
      occurTime: undefined,
      contentHash: "h",
    };
    const drafts = Array.from({ length: 500 }, () => draft);
    const waiting = Array.from({ length: 40 }, () => appender.append(topic?.id ?? 0, drafts));
    await refused((async () => appender.append(topic?.id ?? 0, [draft]))(), Code.ResourceExhausted);
    gate.resolve();
    const stored = (await Promise.all(waiting)).flat().map(({ event }) => event.position);
    assert.deepEqual(
      stored,
      Array.from({ length: 20_000 }, (_, n) => n + 1),
    );
  });
});

function bound(db: Database): Database {
  return {
    query: (sql, params) => db.query(sql, params),
    transaction: (work, options) => db.transaction(work, options),
    listen: (...args) => db.listen(...args),
    check: (signal) => db.check(signal),
    [Symbol.asyncDispose]: async () => {},
  };
}
